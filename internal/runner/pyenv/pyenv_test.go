package pyenv

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// fakeUV stands for uv: it records its calls, makes what "venv" is told to
// make, and fails to install a requirement called nowhere.
const fakeUV = `#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
case "$1" in
venv) for dir; do :; done; mkdir -p "$dir/bin"; echo '#!/bin/sh' > "$dir/bin/python"; chmod +x "$dir/bin/python";;
pip) if grep -q nowhere "$7"; then echo "resolving"; echo "no such package: nowhere"; exit 1; fi;;
esac
`

type bench struct {
	*testing.T
	dir string
	Builder
}

func newBench(t *testing.T) bench {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: python3 is not installed")
	}
	dir := t.TempDir()
	uv := filepath.Join(dir, "uv")
	if err := os.WriteFile(uv, []byte(fakeUV), 0o755); err != nil {
		t.Fatal(err)
	}
	return bench{t, dir, Builder{Cache: filepath.Join(dir, "cache"), UV: uv}}
}

func (b bench) requirements(text string) Request {
	b.Helper()
	path := filepath.Join(b.dir, "requirements.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return Request{Requirements: path}
}

func (b bench) calls() []string {
	data, err := os.ReadFile(filepath.Join(b.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		b.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestSameRequirementsAreBuiltOnce(t *testing.T) {
	b := newBench(t)
	request := b.requirements("numpy==2.0.0 --hash=sha256:00\n")
	first, err := b.Build(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.Python); err != nil {
		t.Errorf("no interpreter: %v", err)
	}
	again, err := b.Build(context.Background(), request)
	if want := (Environment{Python: first.Python, Digest: first.Digest, Log: first.Log, Reused: true}); err != nil || again != want || first.Reused {
		t.Errorf("got %+v, %v; want %+v", again, err, want)
	}
	calls := b.calls()
	if len(calls) != 2 || !strings.Contains(calls[1], "--require-hashes") {
		t.Errorf("calls: %q", calls)
	}

	request.SystemSite = true
	other, err := b.Build(context.Background(), request)
	if err != nil || other.Digest == first.Digest {
		t.Errorf("an environment that sees the host's packages is the same: %v, %v", other, err)
	}
	if calls := b.calls(); len(calls) != 4 || !strings.Contains(calls[2], "--system-site-packages") {
		t.Errorf("calls: %q", calls)
	}
	third, err := b.Build(context.Background(), b.requirements("numpy==2.0.1\n"))
	if err != nil || third.Digest == first.Digest {
		t.Errorf("other requirements give the same environment: %v, %v", third, err)
	}
}

func TestInterruptedBuildIsDoneAgain(t *testing.T) {
	b := newBench(t)
	request := b.requirements("numpy==2.0.0\n")
	interpreter, err := b.Build(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(filepath.Dir(interpreter.Python))
	debris := filepath.Join(dir, "half-installed")
	if err := errors.Join(os.Remove(filepath.Join(dir, marker)), os.WriteFile(debris, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(debris); !os.IsNotExist(err) {
		t.Error("what the killed builder left was used")
	}
}

func TestFailuresNameTheirCause(t *testing.T) {
	b := newBench(t)
	noUV := b.Builder
	noUV.UV = filepath.Join(b.dir, "no-uv")
	for _, c := range []struct {
		builder Builder
		request Request
		want    string
	}{
		{b.Builder, b.requirements("nowhere==1\n"), "no such package: nowhere"},
		{noUV, Request{Requirements: b.requirements("numpy==1\n").Requirements, SystemSite: true}, "MAINSPRING_UV"},
		{b.Builder, Request{Python: "python9"}, "train.environment.python"},
	} {
		if c.want == "no such package: nowhere" {
			b.requirements("nowhere==1\n")
		} else {
			b.requirements("numpy==1\n")
		}
		_, err := c.builder.Build(context.Background(), c.request)
		var rich *models.Error
		if !errors.As(err, &rich) || rich.Kind != models.KindEnvironmentFailed || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want one that says %q", err, c.want)
		}
	}
}

func TestConcurrentBuildersShareOneBuild(t *testing.T) {
	b := newBench(t)
	request := b.requirements("numpy==2.0.0\n")
	failures := make(chan error, 4)
	for range cap(failures) {
		go func() {
			_, err := b.Build(context.Background(), request)
			failures <- err
		}()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if calls := b.calls(); len(calls) != 2 {
		t.Errorf("%d calls of uv, want 2", len(calls))
	}
}

func TestWithoutRequirementsTheHostsInterpreterIsUsed(t *testing.T) {
	b := newBench(t)
	want, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Build(context.Background(), Request{}); err != nil || got != (Environment{Python: want}) {
		t.Errorf("got %v, %v; want %s", got, err, want)
	}
}

// The real uv, where there is one.
func TestRealUV(t *testing.T) {
	uv := os.Getenv("MAINSPRING_UV")
	if uv == "" {
		t.Skip("SKIPPED: MAINSPRING_UV does not name the uv program")
	}
	b := newBench(t)
	b.UV = uv
	interpreter, err := b.Build(context.Background(), b.requirements("# nothing is needed\n"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(interpreter.Python, "-c", "import sys; print(sys.prefix)").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != filepath.Dir(filepath.Dir(interpreter.Python)) {
		t.Errorf("the interpreter says %s, %v", out, err)
	}
	_, err = b.Build(context.Background(), b.requirements("this is no requirement\n"))
	if err == nil || !strings.Contains(err.Error(), "Expected") {
		t.Errorf("got %v, want uv's own message", err)
	}
}
