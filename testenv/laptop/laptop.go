// Package laptop runs the whole of Mainspring on this machine, every process as
// a user has it, for programs that break it on purpose: the end-to-end test and
// the reliability benchmark.
//
// A laptop is Temporal, S3 and MLflow, a worker, two agents with virtual
// devices and a gateway, in a directory of their own on free ports. A training
// is seen through what Temporal shows anybody: its heartbeats.
package laptop

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// DevicesPerAgent is how many virtual devices each of the two hosts offers.
const DevicesPerAgent = 2

// Config says where a laptop lives.
type Config struct {
	Root string // of the repository
	Dir  string // an empty directory for programs and state
	// Command is named to whoever asks what holds the stack.
	Command string
	// Devices is how many virtual devices each of the two hosts offers; 0:
	// DevicesPerAgent.
	Devices int
	// Gateways is how many there are; 0: one.
	Gateways int
	// Programs are further packages to build, such as ./testenv/faulty/faulty-model.
	Programs []string
	// Log hears how long the steps took. nil: nobody does.
	Log func(format string, arguments ...any)
}

// Laptop is a running stack. End it.
type Laptop struct {
	*devstack.Stack
	Bin      string // directory of the programs that were built
	Temporal client.Client
	MLflow   *mlflow.Client
	// Gateways are the URLs of all of them.
	Gateways []string
	config   Config
}

// Start builds the programs and returns when everything is up. What it started
// has ended when it returns an error.
func Start(ctx context.Context, config Config) (*Laptop, error) {
	if config.Log == nil {
		config.Log = func(string, ...any) {}
	}
	l := &Laptop{Bin: filepath.Join(config.Dir, "bin"), config: config}
	began := time.Now()
	if err := l.build(ctx); err != nil {
		return nil, err
	}
	config.Log("built in %s", Took(began))
	began = time.Now()
	tools, err := devstack.Setup(ctx, devstack.ReporterFunc(func(devstack.Progress) {}))
	if err != nil {
		return nil, err
	}
	program := filepath.Join(l.Bin, "mainspring")
	l.Stack, err = devstack.Start(ctx, devstack.Config{
		StateDir: filepath.Join(config.Dir, "stack"), Tools: tools, OnlyFreePorts: true,
		Program: program, Watchdog: []string{program, "watchdog"}, Command: config.Command,
	})
	if err != nil {
		return nil, err
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.End())
	}
	config.Log("stack up in %s", Took(began))
	return l, nil
}

func (l *Laptop) build(ctx context.Context) error {
	if err := os.MkdirAll(l.Bin, 0o755); err != nil {
		return err
	}
	packages := append([]string{"./cmd/mainspring", "./examples/start-from-go"}, l.config.Programs...)
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false", "-o", l.Bin + "/"}, packages...)...)
	build.Dir = l.config.Root
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", build, err, output)
	}
	return nil
}

// open launches our own programs and connects to the servers.
func (l *Laptop) open(ctx context.Context) (err error) {
	access := l.Access()
	programs := devstack.LaptopPrograms(l.StateDir(), access, cmp.Or(l.config.Devices, DevicesPerAgent))
	l.Gateways = []string{access.Gateway}
	for n := 2; n <= l.config.Gateways; n++ {
		another, url, err := anotherGateway(programs, n)
		if err != nil {
			return err
		}
		programs, l.Gateways = append(programs, another), append(l.Gateways, url)
	}
	if err := l.Launch(ctx, programs...); err != nil {
		return err
	}
	payloads, err := claimcheck.FromEnv(namespace.Variables(l.Env()))
	if err != nil {
		return err
	}
	l.Temporal, err = client.DialContext(ctx, client.Options{
		HostPort: access.TemporalAddress, Namespace: access.TemporalNamespace, Logger: namespace.Quiet(), DataConverter: payloads,
	})
	if err != nil {
		return err
	}
	l.MLflow, err = mlflow.New(mlflow.Config{BaseURL: access.MLflow})
	return err
}

// End stops everything, and complains about processes that are left.
func (l *Laptop) End() error {
	if l.Temporal != nil {
		l.Temporal.Close()
	}
	l.Stop(context.Background())
	if left := l.Processes(); len(left) > 0 {
		return fmt.Errorf("processes outlived the stack: %v", left)
	}
	return nil
}

// Exec prepares a program to run as a user of this stack would, who stands in
// the repository's root.
func (l *Laptop) Exec(ctx context.Context, name string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(name) {
		name = filepath.Join(l.Bin, name)
	}
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = l.config.Root, l.Env()
	return command
}

// Output is what a program prints on its standard output; it must succeed.
func (l *Laptop) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	command := l.Exec(ctx, name, args...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", command, err, out, complaint.Bytes())
	}
	return out, nil
}

// Query fills the status of a workflow.
func (l *Laptop) Query(ctx context.Context, workflowID string, status any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := l.Temporal.QueryWorkflow(ctx, workflowID, "", models.StatusQuery)
	if err != nil {
		return err
	}
	return answer.Get(status)
}

// Leases are the holders of the pool's leases.
func (l *Laptop) Leases(ctx context.Context) (holders []string, err error) {
	var pool models.PoolStatus
	err = l.Query(ctx, models.PoolID(models.DefaultPool), &pool)
	for _, lease := range pool.Leases {
		holders = append(holders, lease.Holder)
	}
	return holders, err
}
