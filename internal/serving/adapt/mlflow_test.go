package adapt

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/mlmodel"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	tinyModel = `flavors:
  python_function:
    loader_module: tiny_model
    code: code
signature:
  inputs: '[{"name": "distance", "type": "double"}, {"name": "carrier", "type": "string"}]'
  outputs: '[{"name": "late", "type": "double"}]'
`
	tinyCode = `class Model:
    def predict(self, frame, params=None):
        if (frame.carrier == "boom").any():
            raise ValueError("no such carrier")
        p = frame.distance / 1000
        return [[1 - v, v] for v in p]

def _load_pyfunc(path):
    return Model()
`
)

// mlflowPython is the interpreter of the development stack's MLflow.
func mlflowPython(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("MAINSPRING_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Skip("there is no cache of the development stack:", err)
		}
		cache = filepath.Join(user, "mainspring")
	}
	found, _ := filepath.Glob(filepath.Join(cache, "mlflow-*", "env", "bin", "python")) // the pattern is well-formed
	if testing.Short() || len(found) == 0 {
		t.Skip("needs the development stack's MLflow in " + cache + ": run `mainspring dev` once, and no -short")
	}
	return found[len(found)-1]
}

// What this package believes of MLflow, its real server says.
func TestAgainstTheRealServerOfMLflow(t *testing.T) {
	python, dir := mlflowPython(t), t.TempDir()
	for name, text := range map[string]string{"MLmodel": tinyModel, "code/tiny_model.py": tinyCode} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	handler := adapterOf(t, serveByMLflow(t, python, dir), dir)
	ready := func() bool {
		status, _ := ask(t, handler, http.MethodGet, "/v2/health/ready", "")
		return status == http.StatusOK
	}
	for deadline := time.Now().Add(2 * time.Minute); !ready(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("MLflow's server does not become ready")
		}
	}
	body := func(carrier string) string {
		return `{"inputs":[{"name":"distance","datatype":"FP64","shape":[2,1],"data":[250,500]},{"name":"carrier","datatype":"BYTES","shape":[2,1],"data":["UA","` + carrier + `"]}]}`
	}
	status, got := ask(t, handler, http.MethodPost, infer, body("AA"))
	if want := `"outputs":[{"name":"late","datatype":"FP64","shape":[2],"data":[0.25,0.5]}]`; status != http.StatusOK || !strings.Contains(got, want) {
		t.Errorf("got %d %s, want %s", status, got, want)
	}
	if status, got := ask(t, handler, http.MethodPost, infer, body("boom")); status != http.StatusInternalServerError {
		t.Errorf("a model that raises: got %d %s", status, got)
	}
	wrong := strings.Replace(body("AA"), "distance", "distence", 1)
	if status, got := ask(t, handler, http.MethodPost, infer, wrong); status != http.StatusBadRequest || !strings.Contains(got, "distance") {
		t.Errorf("a wrong input: got %d %s", status, got)
	}
}

func adapterOf(t *testing.T, upstream *url.URL, dir string) http.Handler {
	t.Helper()
	signature, err := mlmodel.ReadSignature(dir)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := Handler(Config{Upstream: upstream, Protocol: models.ProtocolMLflow, Name: "flights", Version: "3",
		Prediction: "late", Task: models.TaskBinary, Signature: signature})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// serveByMLflow runs `mlflow models serve`, which ends with the test.
func serveByMLflow(t *testing.T, python, dir string) *url.URL {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().String()
	listener.Close()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	//nolint:gosec // the program is the development stack's
	command := exec.CommandContext(context.Background(), python, "-m", "mlflow", "models", "serve", "-m", dir, "-h", "127.0.0.1", "-p", port, "--env-manager", "local")
	command.Env = slices.Concat(os.Environ(), []string{"PATH=" + filepath.Dir(python) + string(os.PathListSeparator) + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1"})
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return &url.URL{Scheme: "http", Host: at}
}
