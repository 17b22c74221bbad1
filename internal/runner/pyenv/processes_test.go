package pyenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary play a builder in a process of its own.
func TestMain(m *testing.M) {
	if cache := os.Getenv("PYENV_TEST_CACHE"); cache != "" {
		built, err := Builder{Cache: cache, UV: os.Getenv("PYENV_TEST_UV")}.Build(context.Background(), Request{Requirements: os.Getenv("PYENV_TEST_REQUIREMENTS")})
		fmt.Println(built.Reused, built.Python, err)
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// slowUV installs only when the test lets it, so that a builder is met midway.
const slowUV = `#!/bin/sh
here="$(dirname "$0")"
echo "$@" >> "$here/calls"
case "$1" in
venv) for dir; do :; done; mkdir -p "$dir/bin"; echo '#!/bin/sh' > "$dir/bin/python"; chmod +x "$dir/bin/python";;
pip) touch "$(dirname "$5")/../half"; while [ ! -e "$here/go" ]; do sleep 0.02; done; touch "$(dirname "$5")/../whole";;
esac
`

func (b bench) process(request Request) *exec.Cmd {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), "PYENV_TEST_CACHE="+b.Cache, "PYENV_TEST_UV="+b.UV, "PYENV_TEST_REQUIREMENTS="+request.Requirements)
	command.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	return command
}

func (b bench) midway() {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if found, err := filepath.Glob(filepath.Join(b.Cache, "envs", "*", "half")); err == nil && len(found) == 1 {
			return
		}
	}
	b.Fatal("no builder came midway")
}

func TestBuildersInTwoProcessesBuildOnce(t *testing.T) {
	b := newBench(t)
	request := b.requirements("numpy==2.0.0\n")
	if err := os.WriteFile(b.UV, []byte(slowUV), 0o755); err != nil {
		t.Fatal(err)
	}
	outputs := make(chan string, 2)
	for range cap(outputs) {
		command := b.process(request)
		go func() {
			output, err := command.CombinedOutput()
			outputs <- fmt.Sprint(string(output), err)
		}()
	}
	b.midway()
	time.Sleep(200 * time.Millisecond) // the other one waits for the lock, or would build
	if err := os.WriteFile(filepath.Join(b.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, second := <-outputs, <-outputs
	if reused := strings.HasPrefix(first, "true") != strings.HasPrefix(second, "true"); !reused || !strings.Contains(first+second, "false") {
		t.Errorf("got %q and %q; want one that built and one that did not", first, second)
	}
	if calls := b.calls(); len(calls) != 2 {
		t.Errorf("calls of uv: %q", calls)
	}
}

func TestBuilderKilledMidwayLeavesNothingThatIsUsed(t *testing.T) {
	b := newBench(t)
	request := b.requirements("numpy==2.0.0\n")
	if err := os.WriteFile(b.UV, []byte(slowUV), 0o755); err != nil {
		t.Fatal(err)
	}
	builder := b.process(request)
	if err := builder.Start(); err != nil {
		t.Fatal(err)
	}
	b.midway()
	if err := errors.Join(builder.Process.Kill(), os.WriteFile(filepath.Join(b.dir, "go"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_ = builder.Wait() // it was killed
	built, err := b.Build(t.Context(), request)
	if err != nil || built.Reused {
		t.Fatalf("got %+v, %v; want a new build", built, err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(built.Python)), "whole")); err != nil {
		t.Errorf("the environment is not whole: %v", err)
	}
	if calls := b.calls(); len(calls) != 4 {
		t.Errorf("%d calls of uv, want the killed builder's two and two more", len(calls))
	}
	log, err := os.ReadFile(built.Log)
	if err != nil || strings.Count(string(log), "$ uv") != 2 || !strings.Contains(string(log), "done after") {
		t.Errorf("the log says %q, %v", log, err)
	}
}

func TestDiagnosesAskForTheRightThing(t *testing.T) {
	for output, want := range map[string]string{
		"error: Request failed after 3 retries\n  Caused by: error sending request for url\n  Caused by: dns error":               "index is not reached",
		"  x No solution found when resolving dependencies:\n because Packages were unavailable because the network was disabled": "index is not reached",
		"  x No solution found when resolving dependencies: there is no version of numpy==99":                                     "can't be resolved",
		"error: Hash mismatch for `numpy==2.0.0`":                                             "hash",
		"error: In `--require-hashes` mode, all requirements must have their versions pinned": "hash",
		"error: Failed to write: No space left on device (os error 28)":                       "disk is full",
		"Segmentation fault": "",
	} {
		if what, hint := diagnose(output); !strings.Contains(what, want) || hint == "" || want == "" && what != "" {
			t.Errorf("%q: got %q, %q", output, what, hint)
		}
	}
}
