package clouds

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/copying"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

// TestMain makes the test binary play `mainspring copy` as well, to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "copy" {
		if err := play(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play copies, and prints what it sent.
func play(source, destination string) error {
	store, err := stores.Open(os.Getenv)
	if err != nil {
		return err
	}
	plan, err := copying.At(context.Background(), store, source)
	if err != nil {
		return err
	}
	to, err := copying.Open(store, destination)
	if err != nil {
		return err
	}
	var progress copying.Progress
	err = copying.Copier{Source: store, To: to, Parallel: 2}.Run(context.Background(), plan, &progress)
	fmt.Println(progress.Objects.Load(), progress.Bytes.Load(), progress.SkippedObjects.Load())
	return err
}

// world is the stack's S3 server, with the bucket of the default store, and a
// second server with the bucket lake.
type world struct {
	*testing.T
	env      map[string]string
	far      artifact.Config
	farStore *artifact.S3
	both     *artifact.Stores
}

func (w *world) getenv(name string) string { return w.env[name] }

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("MAINSPRING_TEST_STACK") == "" {
		t.Skip("NOT TESTED with two real S3 servers: MAINSPRING_TEST_STACK is not set (make test sets it)")
	}
	w := &world{T: t, env: map[string]string{"LAKE_KEY": "lakes", "LAKE_SECRET": word()}}
	for _, name := range []string{"MAINSPRING_S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"} {
		w.env[name] = os.Getenv(name)
	}
	w.env["MAINSPRING_S3_BUCKET"] = "clouds-" + word()
	endpoint := w.startServer(w.env["LAKE_KEY"], w.env["LAKE_SECRET"])
	w.far = artifact.Config{Endpoint: endpoint, Bucket: "lake", AccessKey: w.env["LAKE_KEY"], SecretKey: w.env["LAKE_SECRET"]}
	var err error
	if w.farStore, err = artifact.NewS3(w.far); err != nil {
		t.Fatal(err)
	}
	w.profiles("- {prefix: s3://lake/, endpoint: \"" + endpoint + "\", access_key: env:LAKE_KEY, secret_key: env:LAKE_SECRET}\n")
	for _, store := range []interface {
		EnsureBucket(context.Context) error
	}{w.farStore, w.both} {
		if err := store.EnsureBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// profiles opens all stores anew.
func (w *world) profiles(text string) {
	w.Helper()
	path := filepath.Join(w.TempDir(), "stores.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	w.env[stores.Variable] = path
	var err error
	if w.both, err = stores.Open(w.getenv); err != nil {
		w.Fatal(err)
	}
}

// word is as good as any other for a name or a secret.
func word() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// startServer runs a server of its own until the test ends.
func (w *world) startServer(key, secret string) (endpoint string) {
	w.Helper()
	tools, err := devstack.Setup(w.Context(), devstack.ReporterFunc(func(devstack.Progress) {}))
	if err != nil {
		w.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		w.Fatal(err)
	}
	dir := w.TempDir()
	data, sidecar := filepath.Join(dir, "data"), filepath.Join(dir, "metadata")
	for _, d := range []string{data, sidecar} {
		if err := os.Mkdir(d, 0o700); err != nil {
			w.Fatal(err)
		}
	}
	server := exec.Command(tools.S3Server, "--quiet", "--port", address, "--region", "us-east-1", "posix", "--sidecar", sidecar, data)
	server.Env = append(os.Environ(), "VGW_HEALTH=/health", "ROOT_ACCESS_KEY_ID="+key, "ROOT_SECRET_ACCESS_KEY="+secret)
	if err := server.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _, _ = server.Process.Kill(), server.Wait() }) // ended by the kill
	for range 100 {
		if answer, err := http.Get("http://" + address + "/health"); err == nil {
			_ = answer.Body.Close() // it is there
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.Fatal("the second S3 server does not answer")
	return ""
}
