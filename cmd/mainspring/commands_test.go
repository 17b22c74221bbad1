package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// outcome is what one command line left.
type outcome struct {
	code           int
	stdout, stderr string
}

// mainspring runs a command line in an empty directory, where no local stack
// is found and the environment names an S3 server that is never called.
func mainspring(t *testing.T, args ...string) outcome {
	t.Helper()
	t.Setenv("MAINSPRING_S3_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "k")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	t.Setenv("MAINSPRING_STORES", "") // and put back what --stores sets
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	t.Setenv("TEMPORAL_ADDRESS", freeAddress(t))
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

const goodSpec = `model: {name: delay}
data:
  source: data
  time: t
  key: k
  label: y
  features: [x]
  window: 60d
  holdout: 14d
train:
  command: [python, train.py]
  code: src
`

// inProject changes to a directory with a spec and what it names.
func inProject(t *testing.T, spec string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"lifecycle.yaml": spec, "src/train.py": "train()", "data/1.parquet": "rows"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"run", "--colour"}, "mainspring: unknown flag: --colour\nsee `mainspring run --help`\n"},
		{[]string{"status"}, "mainspring: accepts 1 arg(s), received 0\nsee `mainspring status --help`\n"},
		{[]string{"fly"}, "mainspring: unknown command \"fly\" for \"mainspring\"\nsee `mainspring --help`\n"},
		{[]string{"run"}, "lifecycle.yaml: there is no such file (name the spec with -f)\n"},
	}
	for _, test := range tests {
		got := mainspring(t, test.args...)
		if got.code != exitUsage || got.stderr != test.want || got.stdout != "" {
			t.Errorf("%v: exit %d, stderr:\n%s\nwant:\n%s", test.args, got.code, got.stderr, test.want)
		}
	}
}

func TestSpecErrors(t *testing.T) {
	inProject(t, strings.Replace(goodSpec, "window", "widnow", 1))
	want := "lifecycle.yaml:8:3: data: unknown field `widnow`; did you mean `window`?\n    8 |   widnow: 60d\n      |   ^\n"
	for _, command := range []string{"run", "render"} {
		if got := mainspring(t, command); got.code != exitUsage || got.stderr != want {
			t.Errorf("%s: exit %d, stderr:\n%s\nwant:\n%s", command, got.code, got.stderr, want)
		}
	}
}

func TestRenderDryRun(t *testing.T) {
	inProject(t, goodSpec)
	got := mainspring(t, "render", "--dry-run")
	if got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	var spec models.LifecycleSpec
	if err := json.Unmarshal([]byte(got.stdout), &spec); err != nil {
		t.Fatal(err)
	}
	if err := spec.ValidateResolved(); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(spec.Data.Source, "s3://mainspring/data/") || !strings.HasPrefix(spec.Train.Code.URI, "s3://mainspring/objects/") {
		t.Errorf("data %s, code %+v", spec.Data.Source, spec.Train.Code)
	}
}

func TestTemporalNotReachable(t *testing.T) {
	t.Chdir(t.TempDir())
	got := mainspring(t, "status", "pool/default")
	if got.code != exitFailed || !strings.HasPrefix(got.stderr, "mainspring: no Temporal server answers at 127.0.0.1:") ||
		!strings.Contains(got.stderr, "`mainspring dev`") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}

func TestNamedStackIsNotRunning(t *testing.T) {
	t.Chdir(t.TempDir())
	got := mainspring(t, "status", "--state-dir", t.TempDir(), "pool/default")
	if got.code != exitFailed || !strings.Contains(got.stderr, "mainspring dev") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}

func TestAsOf(t *testing.T) {
	for text, want := range map[string]string{"2013-03-01": "2013-03-01T00:00:00Z", "2013-03-01T06:00:00+02:00": "2013-03-01T04:00:00Z"} {
		at, err := parseMoment(text)
		if err != nil || at.UTC().Format("2006-01-02T15:04:05Z07:00") != want {
			t.Errorf("%s is %s, error %v; want %s", text, at, err, want)
		}
	}
	inProject(t, goodSpec)
	want := "mainspring: --as-of \"March\" is no date or time; write it like 2013-03-01 or 2013-03-01T06:00:00Z\n"
	if got := mainspring(t, "run", "--as-of", "March"); got.code != exitUsage || got.stderr != want {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}

func TestSchemaAndVersion(t *testing.T) {
	if got := mainspring(t, "schema"); got.code != 0 || !json.Valid([]byte(got.stdout)) {
		t.Errorf("exit %d, %d bytes of schema", got.code, len(got.stdout))
	}
	if got := mainspring(t, "version"); got.code != 0 || !strings.HasPrefix(got.stdout, "mainspring ") {
		t.Errorf("exit %d: %s", got.code, got.stdout)
	}
	if got, want := describeBuild(nil), "mainspring (unknown) go1"; !strings.HasPrefix(got, want) {
		t.Errorf("version %q, want %q…", got, want)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, command := range newRootCommand().Commands() {
		if !command.Hidden && command.Short == "" || (command.Args == nil && command.RunE != nil) || command.Run != nil {
			t.Errorf("%s needs a short description, Args and RunE", command.Name())
		}
	}
}
