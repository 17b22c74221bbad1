package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/hostload"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/internal/telemetry"
	"github.com/mainspring-ml/mainspring/models"
)

// RunAgent serves the host's queue until ctx ends. Training and servers go on
// without it, unless EndJobs is set.
func RunAgent(ctx context.Context, config AgentConfig) error {
	config, err := config.withDefaults()
	if err != nil {
		return err
	}
	// Before anything else: a host that can't name its devices has nothing to offer.
	inventory, err := config.Inventory()
	if err != nil {
		return err
	}
	devices, err := inventory.Devices(ctx)
	if err != nil {
		return fmt.Errorf("list the devices of this host: %w", err)
	}
	info, err := config.info()
	if err != nil {
		return err
	}
	policy, err := servingPolicy(os.Getenv)
	if err != nil {
		return err
	}
	faults, err := openFaults(ctx, config, inventory)
	if err != nil {
		return err
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
	c, err := Dial(ctx, outlets)
	if err != nil {
		return err
	}
	defer c.Close()
	hosts, closeHosts, err := config.hosts()
	if err != nil {
		return err
	}
	defer closeHosts()
	hosts.Pools, hosts.Policy, hosts.Facts = poolSignals{c}, policy, hostFacts(inventory)
	measurer, _ := inventory.(accel.Measurer)
	hosts.Meters = activities.NewHostMeters(hostload.Config{Disk: config.StateDir, Measurer: measurer})
	// Before the first job. That memory can't be limited here is in the log.
	_, _ = runner.MemoryLimits()
	w := worker.New(c, models.HostQueue(config.Node), agentOptions())
	w.RegisterActivity(hosts)
	if err := w.Start(); err != nil {
		return fmt.Errorf("worker on queue %s: %w", models.HostQueue(config.Node), err)
	}
	defer w.Stop()
	if err := joinPool(ctx, c, config.Pool); err != nil {
		return nil //nolint:nilerr // ctx has ended
	}
	return newAnnouncer(inventory, faults, info, temporalNode{c}.tell).run(ctx, devices)
}

// joinPool starts the pool's workflow unless it runs, for as long as it takes.
func joinPool(ctx context.Context, c client.Client, pool string) error {
	pause := 250 * time.Millisecond
	for {
		err := ensurePools(ctx, c, []string{pool})
		if err == nil {
			return nil
		}
		slog.Warn("pool not reached; trying again", "pool", pool, "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}

// poolSignals tells pools of saved work.
type poolSignals struct{ temporal client.Client }

// SignalPool implements activities.PoolSignaller.
func (p poolSignals) SignalPool(ctx context.Context, pool, signal string, message any) error {
	return p.temporal.SignalWorkflow(ctx, models.PoolID(pool), "", signal, message)
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
	store, err := stores.Open(os.Getenv)
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
		Predictor:    []string{self, "predict"},
		Environ:      os.Environ(),
		Orphan:       c.Orphan,
		EndsJobs:     c.EndJobs,
	}, closeInspector, nil
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
