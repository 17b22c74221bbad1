package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// fileStore is a store in a directory that outlives processes. It is out while
// it has a file called "out".
type fileStore struct{ dir string }

func (s fileStore) check() error {
	if _, err := os.Stat(filepath.Join(s.dir, "out")); err == nil {
		return errOut
	}
	return nil
}

func (s fileStore) List(_ context.Context, prefix string) ([]Object, error) {
	var found []Object
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if key := filepath.ToSlash(strings.TrimPrefix(path, s.dir+"/")); strings.HasPrefix(key, prefix) && !strings.HasSuffix(key, ".part") {
			found = append(found, Object{Key: key})
		}
		return nil
	})
	return found, errors.Join(err, s.check())
}

func (s fileStore) Get(_ context.Context, key string) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(s.dir, key))
}

func (s fileStore) Put(_ context.Context, key string, data []byte) error {
	if err := s.check(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, key)
	part := fmt.Sprintf("%s-%d.part", path, time.Now().UnixNano())
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(part, data, 0o600), os.Rename(part, path))
}

// crashDir tells a process of this test binary that it is a gateway.
const crashDir = "MAINSPRING_TEST_GATEWAY_DIR"

// TestGatewayProcess is not a test: it is the process that TestKilledUnderLoad
// kills.
func TestGatewayProcess(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("a process of TestKilledUnderLoad")
	}
	g, err := New(Config{Name: "gw", SpoolDir: filepath.Join(dir, "spool"), Poll: 20 * time.Millisecond, Flush: 300 * time.Millisecond},
		fileStore{filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	listeners := Listeners{Data: listen(t), Admin: listen(t)}
	urls := fmt.Sprintf("http://%s http://%s", listeners.Data.Addr(), listeners.Admin.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := replaceFile(filepath.Join(dir, "urls"), []byte(urls)); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(ctx, listeners); err != nil {
		t.Fatal(err)
	}
}

// gatewayProcess is one that runs.
type gatewayProcess struct {
	command     *exec.Cmd
	data, admin string
}

func startGateway(t *testing.T, dir string) *gatewayProcess {
	t.Helper()
	file := filepath.Join(dir, "urls")
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	p := &gatewayProcess{command: exec.Command(os.Args[0], "-test.run=^TestGatewayProcess$", "-test.v")}
	p.command.Env = append(os.Environ(), crashDir+"="+dir)
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.command.Stdout, p.command.Stderr = log, log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Process.Kill() }) // gone already where all went well
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil {
			p.data, p.admin, _ = strings.Cut(string(text), " ")
			break
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name()) // said below if it is there
			t.Fatalf("the gateway does not start: %s", text)
		}
	}
	waitFor(t, p.data+"/v2/health/ready", 200)
	return p
}

// end kills the process, or stops it, and waits.
func (p *gatewayProcess) end(t *testing.T, with os.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(with); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil && with != os.Kill {
		t.Fatal(err)
	}
}

// answeredAt notes when the answer to each request came.
type answeredAt struct {
	mu sync.Mutex
	at map[string]time.Time
}

// load sends requests one after the other until the gateway is gone.
func (a *answeredAt) load(url, prefix string) {
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", prefix, i)
		request, err := http.NewRequest("POST", url+"/v2/models/flights/infer", strings.NewReader(inferBody))
		if err != nil {
			return
		}
		request.Header.Set(HeaderRequestID, id)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return
		}
		if response.StatusCode == http.StatusOK {
			a.mu.Lock()
			a.at[id] = time.Now()
			a.mu.Unlock()
		}
		time.Sleep(time.Millisecond)
	}
}

// TestKilledUnderLoad kills a gateway with SIGKILL while requests come, once
// with the store out, and wants every answer that is older than a second in the
// log, once.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := t.TempDir()
	store := fileStore{filepath.Join(dir, "store")}
	server := modelServer(t, "v1")
	publish := func(key string, value any) {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	publish(models.ReplicasKey("flights", "v1"), models.Replicas{Endpoint: "flights", Version: "v1", URLs: []string{server.URL}})
	publish(models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 1, Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}}})

	answers := &answeredAt{at: map[string]time.Time{}}
	due := map[string]bool{} // must be in the log
	out := filepath.Join(store.dir, "out")
	for round, lives := range []time.Duration{1700 * time.Millisecond, 1300 * time.Millisecond, 2100 * time.Millisecond} {
		p := startGateway(t, dir)
		if round == 1 { // from here over the kill until after the next start
			if err := os.WriteFile(out, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var callers sync.WaitGroup
		for c := range 4 {
			callers.Go(func() { answers.load(p.data, fmt.Sprintf("%d-%d", round, c)) })
		}
		time.Sleep(lives)
		killed := time.Now()
		p.end(t, os.Kill)
		callers.Wait()
		for id, at := range answers.at {
			if strings.HasPrefix(id, fmt.Sprintf("%d-", round)) && at.Before(killed.Add(-time.Second)) {
				due[id] = true
			}
		}
		if round == 2 {
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := startGateway(t, dir)
	postTo(t, last.admin+"/admin/flush")
	last.end(t, syscall.SIGTERM)

	logged := map[string]int{}
	copied := newMemoryStore()
	objects, err := store.List(t.Context(), models.InferenceRoot("flights"))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if copied.objects[object.Key], err = store.Get(t.Context(), object.Key); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rowsUnder[models.InferenceRow](t, copied, models.InferenceRoot("flights")) {
		logged[row.ID]++
	}
	missing := 0
	for id := range due {
		if logged[id] == 0 {
			missing++
		}
	}
	for id, n := range logged {
		if n != 1 {
			t.Errorf("%s is in the log %d times", id, n)
		}
	}
	t.Logf("%d answered, %d of them more than a second before a kill; %d logged", len(answers.at), len(due), len(logged))
	if missing > 0 || len(due) < 300 {
		t.Errorf("%d of %d answers older than a second are missing", missing, len(due))
	}
}
