package activities

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
)

// environmentUV stands for uv: it fails as uv does, by what the requirements say.
const environmentUV = `#!/bin/sh
case "$1" in
venv) for dir; do :; done; mkdir -p "$dir/bin"; for p in python tool; do echo '#!/bin/sh' > "$dir/bin/$p"; chmod +x "$dir/bin/$p"; done;;
pip) echo "Resolved 1 package"
	grep -q offline "$7" && { echo "error: Failed to fetch: https://index.test/simple/offline/"; echo "  Caused by: dns error"; exit 2; }
	grep -q nowhere "$7" && { echo "  x No solution found when resolving dependencies: nowhere was not found in the package registry"; exit 1; }
	grep -q altered "$7" && { echo "error: Hash mismatch for altered==1"; exit 1; };;
esac
exit 0
`

// preparation is a request whose code holds train.py.
func (b *hostBench) preparation(requirements string, command ...string) models.PrepareEnvironmentRequest {
	b.Helper()
	uv, code := filepath.Join(b.dir, "uv"), filepath.Join(b.dir, "source")
	for path, text := range map[string]string{uv: environmentUV, filepath.Join(code, "train.py"): "print()", filepath.Join(code, "run.sh"): "#!/bin/sh\n"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	b.Environments = pyenv.Builder{Cache: filepath.Join(b.dir, "cache"), UV: uv}
	archive, err := artifact.PackDir(code, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(b.Context(), b.memory, archive.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	req := models.PrepareEnvironmentRequest{RunKey: "abc123", Run: models.Run{ArtifactURI: "s3://mainspring/mlflow/1/run1/artifacts"}}
	req.Train = models.TrainSpec{Command: command, Code: source(ref)}
	if requirements != "" {
		ref, err := artifact.PutObjectBytes(b.Context(), b.memory, []byte(requirements))
		if err != nil {
			b.Fatal(err)
		}
		req.Train.Environment.Requirements = source(ref)
	}
	return req
}

func source(ref models.Ref) models.Source {
	return models.Source{URI: ref.URI, SHA256: ref.SHA256, Size: ref.Size}
}

const buildLogKey = "mlflow/1/run1/artifacts/logs/environment.log"

func TestPrepareEnvironmentBuildsOnceAndKeepsTheLog(t *testing.T) {
	b := newHostBench(t)
	req := b.preparation("numpy==1\n", "python", "train.py")
	first, err := b.PrepareEnvironment(context.Background(), req)
	if err != nil || first.Digest == "" || first.Reused || first.LogURI != "s3://mainspring/"+buildLogKey {
		t.Fatalf("got %+v, %v", first, err)
	}
	if log := b.stored(buildLogKey); !strings.Contains(log, "Resolved 1 package") || !strings.Contains(log, "$ uv pip install") {
		t.Errorf("the log says %q", log)
	}
	again, err := b.PrepareEnvironment(context.Background(), req)
	if err != nil || again.Digest != first.Digest || !again.Reused {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestPrepareEnvironmentSaysWhatIsWrong(t *testing.T) {
	b := newHostBench(t)
	for name, c := range map[string]struct {
		requirements string
		command      []string
		change       func(*models.PrepareEnvironmentRequest)
		kind         models.ErrorKind
		says         []string
	}{
		"index out of reach": {"offline==1\n", []string{"python", "train.py"}, nil, models.KindEnvironmentFailed,
			[]string{"the package index is not reached", "UV_DEFAULT_INDEX", "dns error"}},
		"unknown package": {"nowhere==1\n", []string{"python", "train.py"}, nil, models.KindEnvironmentFailed,
			[]string{"can't be resolved", "correct the requirements file", "nowhere was not found"}},
		"wrong hash": {"altered==1\n", []string{"python", "train.py"}, nil, models.KindEnvironmentFailed,
			[]string{"hash is not the one that was pinned", "--generate-hashes"}},
		"no uv": {"numpy==2\n", []string{"python", "train.py"}, func(*models.PrepareEnvironmentRequest) {
			b.Environments = pyenv.Builder{Cache: b.Cache, UV: "/nowhere/uv"}
		}, models.KindEnvironmentFailed, []string{"MAINSPRING_UV", "install uv"}},
		"no interpreter": {"", []string{"python", "train.py"}, func(r *models.PrepareEnvironmentRequest) {
			r.Train.Environment.Python = "python9"
		}, models.KindEnvironmentFailed, []string{"python9", "train.environment.python"}},
		"no script":          {"", []string{"python", "trian.py"}, nil, models.KindTrainingFailed, []string{"command not found", "trian.py", "train.code"}},
		"no program":         {"", []string{"no-such-program"}, nil, models.KindTrainingFailed, []string{"command not found", "no-such-program", "PATH"}},
		"no program in code": {"", []string{"./go.sh"}, nil, models.KindTrainingFailed, []string{"command not found", "./go.sh"}},
		"no secret": {"", []string{"./run.sh"}, func(r *models.PrepareEnvironmentRequest) {
			r.Train.Env = map[string]string{"TOKEN": "env:NOT_HERE"}
		}, models.KindEnvironmentFailed, []string{"NOT_HERE is not set on host n"}},
		"damaged code": {"", []string{"./run.sh"}, func(r *models.PrepareEnvironmentRequest) {
			ref, err := artifact.PutObjectBytes(t.Context(), b.memory, []byte("no archive"))
			if err != nil {
				t.Fatal(err)
			}
			r.Train.Code = source(ref)
		}, models.KindEnvironmentFailed, []string{"train.code", "mainspring run"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := b.preparation(c.requirements, c.command...)
			if c.change != nil {
				c.change(&req)
			}
			_, err := b.PrepareEnvironment(context.Background(), req)
			wantKind(t, err, c.kind, c.says...)
			if strings.HasPrefix(name, "index") && !strings.Contains(b.stored(buildLogKey), "dns error") {
				t.Error("the log of the failed build is not in the run")
			}
		})
	}
}

func TestPrepareEnvironmentFindsPrograms(t *testing.T) {
	b := newHostBench(t)
	for _, c := range []struct {
		requirements string
		command      []string
	}{
		{"", []string{"./run.sh"}}, {"", []string{"sh", "run.sh"}}, {"", []string{"/bin/sh"}}, {"", []string{"python", "-m", "train"}}, {"numpy==1\n", []string{"tool"}},
	} {
		if _, err := b.PrepareEnvironment(context.Background(), b.preparation(c.requirements, c.command...)); err != nil {
			t.Errorf("%q: %v", c.command, err)
		}
	}
}

func TestCodeIsReadOnlyAndCanBeRemoved(t *testing.T) {
	b := newHostBench(t)
	req := b.preparation("", "./run.sh")
	dir := filepath.Join(b.dir, "job", codeDir)
	for range 2 { // an attempt that was interrupted has left a tree
		if err := b.cache().code(t.Context(), req.Train.Code.Ref(), dir); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]os.FileMode{dir: 0o555, filepath.Join(dir, "run.sh"): 0o555} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if err := runner.Remove(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !os.IsNotExist(err) {
		t.Errorf("the code is still there: %v", err)
	}
}
