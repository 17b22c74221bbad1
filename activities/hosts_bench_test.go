package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
)

// hostBench is one host with a store in memory. Its jobs end with the test. Tests
// with one mostly wait for processes, so they run beside each other.
type hostBench struct {
	*testing.T
	*Hosts
	memory  artifact.Store
	metrics *metricBook
	dir     string
}

func newHostBench(t *testing.T) *hostBench {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	memory, metrics := artifact.NewMemory("mainspring"), &metricBook{}
	b := &hostBench{T: t, memory: memory, metrics: metrics, dir: dir}
	b.Hosts = &Hosts{
		Node: "n", Address: "127.0.0.1", Store: memory, Metrics: metrics, Inspector: SignatureInspector{},
		Runner:       runner.Runner{Root: filepath.Join(dir, "state"), Shim: []string{self, "shim"}},
		Environments: pyenv.Builder{Cache: filepath.Join(dir, "cache")},
		Cache:        filepath.Join(dir, "cache"), Server: []string{self, "serve"},
		Environ: []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "AWS_REGION=here", "MLFLOW_TRACKING_URI=http://mlflow.test", "OTHER=hidden", "API_TOKEN=hush-hush"},
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := runner.StopAll(ctx, b.Runner.Root); err != nil {
			t.Error(err)
		}
	})
	return b
}

// request is a gang of two ranks on this host, of the test binary's rank part.
func (b *hostBench) request(args ...string) models.RunRanksRequest {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	return models.RunRanksRequest{
		RunKey: "abc123", Token: 5, Groups: 1, WorldSize: 2,
		Node: models.LeaseNode{Node: "n", Devices: []models.Device{
			{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}, {UUID: "VIRT-n-1", Vendor: models.VendorVirtual},
		}},
		Master:   models.MasterEndpoint{Address: "127.0.0.1", Port: 4711},
		Snapshot: b.snapshot(),
		Train: models.TrainSpec{
			Command: append([]string{self, "rank"}, args...), Params: map[string]any{"rounds": 3},
			Env: map[string]string{"GORACE": "atexit_sleep_ms=0"}, Grace: models.Duration(10 * time.Second), Timeout: models.Day,
		},
		Run:      models.Run{RunID: "run1", ArtifactURI: "s3://mainspring/mlflow/1/run1/artifacts", StartTime: time.Date(2013, 8, 1, 0, 0, 0, 0, time.UTC)},
		Features: []models.Column{{Name: "distance", Type: "int64", Role: "feature"}},
	}
}

func (b *hostBench) snapshot() models.Ref {
	b.Helper()
	ctx := context.Background()
	manifest := `{"format":1,"files":[`
	for i, path := range []string{"test/a.parquet", "train/a.parquet"} {
		ref, err := artifact.PutObjectBytes(ctx, b.memory, []byte(path))
		if err != nil {
			b.Fatal(err)
		}
		manifest += strings.Repeat(",", i) + fmt.Sprintf(`{"path":%q,"rows":1,"sha256":%q,"size":%d}`, path, ref.SHA256, ref.Size)
	}
	ref, err := artifact.PutObjectBytes(ctx, b.memory, []byte(manifest+"]}"))
	if err != nil {
		b.Fatal(err)
	}
	return ref
}

// stored returns the text of an object, "" when there is none.
func (b *hostBench) stored(key string) string {
	b.Helper()
	data, _, err := artifact.GetBytes(context.Background(), b.memory, key, 1<<20)
	if err != nil && !errors.Is(err, artifact.ErrNotFound) {
		b.Fatal(err)
	}
	return string(data)
}

// job is the state of the request's job.
func (b *hostBench) job(req models.RunRanksRequest) (runner.State, bool) {
	b.Helper()
	handle, found, err := b.Runner.Attach(fmt.Sprintf("train-%s-%d-%d", req.RunKey, req.Token, req.GroupRank))
	if err != nil {
		b.Fatal(err)
	}
	if !found {
		return runner.State{}, false
	}
	state, _, err := handle.Poll()
	if err != nil {
		b.Fatal(err)
	}
	return state, true
}

func (b *hostBench) eventually(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	b.Fatalf("never: %s", what)
}

// noneLeft wants every process of the job to be gone.
func (b *hostBench) noneLeft(req models.RunRanksRequest) {
	b.Helper()
	state, found := b.job(req)
	if !found {
		b.Fatal("there is no job")
	}
	for _, p := range state.Processes {
		if p.ID.Alive() {
			b.Errorf("%s still runs", p.Name)
		}
	}
}

func wantKind(t *testing.T, err error, kind models.ErrorKind, says ...string) {
	t.Helper()
	var rich *models.Error
	if !errors.As(err, &rich) || rich.Kind != kind {
		t.Fatalf("got %v, want %s", err, kind)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want it to say %q", err, text)
		}
	}
}

// metricBook remembers what is logged, and can be out of order.
type metricBook struct {
	mu     sync.Mutex
	broken int // calls that fail before one succeeds
	points map[mlflow.Metric]bool
}

func (m *metricBook) LogBatch(_ context.Context, batch mlflow.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken > 0 {
		m.broken--
		return errors.New("MLflow is down")
	}
	if m.points == nil {
		m.points = map[mlflow.Metric]bool{}
	}
	for _, point := range batch.Metrics {
		m.points[point] = true
	}
	return nil
}

func (m *metricBook) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.points)
}

func (m *metricBook) has(point mlflow.Metric) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.points[point]
}

// of are the points of one metric, by time.
func (m *metricBook) of(key string) (points []mlflow.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.points {
		if p.Key == key {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b mlflow.Metric) int { return a.Time.Compare(b.Time) })
	return points
}
