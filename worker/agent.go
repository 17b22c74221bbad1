package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/internal/telemetry"
	"github.com/mainspring-ml/mainspring/models"
)

// AgentConfig is what an agent is told on its command line; where Temporal, S3
// and MLflow are it reads from the environment.
type AgentConfig struct {
	Node    string
	Pool    string // default: models.DefaultPool
	Address string // other hosts reach this one here. Default: 127.0.0.1
	// StateDir holds the jobs and fences of this host: the next agent finds what
	// this one has started by using the same directory. Default: a directory
	// named after the node in the user's state directory.
	StateDir string
	// CacheDir holds snapshots, models and Python environments; all agents of a
	// user may share it. Default: MAINSPRING_CACHE, or mainspring in the user's
	// cache directory.
	CacheDir string

	// VirtualDevices stand for accelerators where there are none.
	VirtualDevices int
	VirtualModel   string
	VirtualMemory  models.Bytes

	// Orphan is how long a job goes on without an agent. Default: 15 min.
	Orphan time.Duration
	// EndJobs ends every job when the agent stops. Default: they go on, and the
	// next agent attaches to them.
	EndJobs     bool
	MetricsAddr string // host:port for /metrics; empty: none
}

var nodePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (c AgentConfig) withDefaults() (AgentConfig, error) {
	c.Pool = cmp.Or(c.Pool, models.DefaultPool)
	c.Address = cmp.Or(c.Address, "127.0.0.1")
	c.CacheDir = cmp.Or(c.CacheDir, os.Getenv("MAINSPRING_CACHE"))
	switch {
	case !nodePattern.MatchString(c.Node):
		return c, fmt.Errorf("node name %q: write letters, digits, '.', '_' and '-', at most 63", c.Node)
	case c.VirtualDevices < 0:
		return c, fmt.Errorf("%d virtual devices: there can't be less than none", c.VirtualDevices)
	}
	var err error
	if c.CacheDir == "" {
		if c.CacheDir, err = os.UserCacheDir(); err != nil {
			return c, fmt.Errorf("no cache directory: %w; set MAINSPRING_CACHE", err)
		}
		c.CacheDir = filepath.Join(c.CacheDir, "mainspring")
	}
	if c.StateDir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return c, fmt.Errorf("no state directory: %w; name one with --state-dir", err)
		}
		c.StateDir = filepath.Join(cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state")), "mainspring", "agents", c.Node)
	}
	if c.StateDir, err = filepath.Abs(c.StateDir); err == nil {
		c.CacheDir, err = filepath.Abs(c.CacheDir)
	}
	return c, err
}

// Inventory lists the devices an agent offers: virtual ones where they are
// declared, otherwise what the host has.
func (c AgentConfig) Inventory() accel.Inventory {
	if c.VirtualDevices > 0 {
		return accel.Virtual{Node: c.Node, Count: c.VirtualDevices, Model: c.VirtualModel, MemoryMiB: int64(c.VirtualMemory) >> 20}
	}
	return accel.NVIDIA()
}

// RunAgent serves the host's queue until ctx ends. Training and servers go on
// without it, unless EndJobs is set.
func RunAgent(ctx context.Context, config AgentConfig) error {
	config, err := config.withDefaults()
	if err != nil {
		return err
	}
	// Before anything else: a host that can't name its devices has nothing to offer.
	inventory := config.Inventory()
	devices, err := inventory.Devices(ctx)
	if err != nil {
		return fmt.Errorf("list the devices of this host: %w", err)
	}
	outlets, err := telemetry.New(ctx, "agent")
	if err != nil {
		return err
	}
	defer outlets.Close(context.WithoutCancel(ctx))
	if err := outlets.Serve(ctx, config.MetricsAddr); err != nil {
		return err
	}
	if config.EndJobs {
		defer endJobs(config.StateDir)
	}
	hosts, closeHosts, err := config.hosts()
	if err != nil {
		return err
	}
	defer closeHosts()
	c, err := Dial(ctx, outlets)
	if err != nil {
		return err
	}
	defer c.Close()
	w := worker.New(c, models.HostQueue(config.Node), agentOptions())
	w.RegisterActivity(hosts)
	if err := w.Start(); err != nil {
		return fmt.Errorf("worker on queue %s: %w", models.HostQueue(config.Node), err)
	}
	defer w.Stop()
	announcer := announcer{
		temporal: c, inventory: inventory,
		info: models.NodeInfo{Node: config.Node, Pool: config.Pool, Address: config.Address, Devices: devices, Boot: rand.Text()},
	}
	return announcer.run(ctx)
}

// agentOptions: one long activity runs for each lease and one for the node
// itself, so the bound must be far from any host's number of devices.
func agentOptions() worker.Options {
	o := Options()
	o.MaxConcurrentActivityExecutionSize = 1000
	o.DisableWorkflowWorker = true
	return o
}

// hosts puts the activities together. The returned function closes what they
// hold.
func (c AgentConfig) hosts() (*activities.Hosts, func(), error) {
	store, err := artifact.NewS3(artifact.ConfigFromEnv(os.Getenv))
	if err != nil {
		return nil, nil, err
	}
	tracking, err := mlflow.New(mlflow.ConfigFromEnv(os.Getenv))
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program's own file, from which it starts shims and servers: %w", err)
	}
	inspector, closeInspector, err := newInspector()
	if err != nil {
		return nil, nil, err
	}
	return &activities.Hosts{
		Node: c.Node, Address: c.Address,
		Runner:       runner.Runner{Root: c.StateDir, Shim: []string{self, "shim"}},
		Store:        store,
		Metrics:      tracking,
		Environments: pyenv.Builder{Cache: c.CacheDir, UV: os.Getenv("MAINSPRING_UV")},
		Inspector:    inspector,
		Cache:        c.CacheDir,
		Server:       []string{self, "serve"},
		Environ:      os.Environ(),
		Orphan:       c.Orphan,
		EndsJobs:     c.EndJobs,
	}, closeInspector, nil
}

// newInspector loads models with ONNX Runtime where it is named; without it
// the agent believes a model's own signature, and the first to load the model
// is the evaluation.
func newInspector() (activities.ModelInspector, func(), error) {
	if os.Getenv(serving.LibraryVariable) == "" {
		return activities.SignatureInspector{}, func() {}, nil
	}
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{})
	if err != nil {
		return nil, nil, err
	}
	return loadingInspector{runtime}, func() { runtime.Close() }, nil
}

// loadingInspector asks the model itself.
type loadingInspector struct{ runtime *serving.Runtime }

// Inspect implements activities.ModelInspector.
func (i loadingInspector) Inspect(_ context.Context, dir string) (inputs, outputs []models.ModelPort, err error) {
	model, err := i.runtime.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	inputs, outputs = model.Inputs, model.Outputs
	return inputs, outputs, model.Close()
}

// endJobs runs after the worker has stopped, so nothing starts a job any more.
func endJobs(stateDir string) {
	const limit = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := runner.StopAll(ctx, stateDir); err != nil {
		slog.Error("jobs are left running", "state", stateDir, "error", err)
	}
}

// announcer tells the node's workflow what this host has.
type announcer struct {
	temporal  client.Client
	inventory accel.Inventory
	info      models.NodeInfo
}

// inventoryEvery is how often the devices are listed again.
const inventoryEvery = 30 * time.Second

// run announces the inventory now and whenever it changes. A probe that fails
// changes nothing: the devices are still there as far as anyone knows.
func (a *announcer) run(ctx context.Context) error {
	if a.announce(ctx) != nil {
		return nil // ctx has ended
	}
	slog.Info("agent is ready", "node", a.info.Node, "pool", a.info.Pool, "devices", len(a.info.Devices))
	ticker := time.NewTicker(inventoryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		devices, err := a.inventory.Devices(ctx)
		if err != nil {
			slog.Warn("devices not listed; the last inventory stands", "error", err)
			continue
		}
		if reflect.DeepEqual(devices, a.info.Devices) {
			continue
		}
		a.info.Devices = devices
		if a.announce(ctx) != nil {
			return nil
		}
	}
}

// announce signals until Temporal takes it or ctx ends.
func (a *announcer) announce(ctx context.Context) error {
	id := models.NodeID(a.info.Node)
	pause := 250 * time.Millisecond
	for {
		_, err := a.temporal.SignalWithStartWorkflow(ctx, id, models.SignalInventory, a.info, client.StartWorkflowOptions{
			ID: id, TaskQueue: models.TaskQueue, StaticSummary: "Host " + a.info.Node,
			WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		}, models.NodeWorkflow, a.info)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		slog.Warn("node not announced; trying again", "node", a.info.Node, "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}
