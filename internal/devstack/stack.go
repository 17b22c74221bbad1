package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// Stack is a running stack. Its methods may be called from any goroutine. It
// must be stopped; when its process is killed instead, the kernel ends its
// children (Linux) and the watchdog whatever left them.
type Stack struct {
	config Config
	ports  Ports
	access Access
	id     string

	lock     *fileLock
	keeper   *portKeeper
	watchdog *watchdog
	servers  *supervise.Supervisor
	programs *supervise.Supervisor

	stop sync.Once
}

// startNeedsMiB is what the servers need to start at all; a full disk in the
// middle of a run is worse than an error before it.
const startNeedsMiB = 300

// Start starts the servers and returns when they all answer. It takes the
// state directory for itself (ErrHeld if another stack has it) and first ends
// what a killed predecessor left. ctx bounds the start alone: the stack runs
// until Stop.
func Start(ctx context.Context, config Config) (*Stack, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := requireSpace("start the stack", config.StateDir, startNeedsMiB, "free some space, or use a state directory on a larger disk"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(config.StateDir, "logs"), 0o700); err != nil {
		return nil, describe("create the state directory", config.StateDir, err)
	}
	lock, err := hold(config.StateDir, config.Command)
	if err != nil {
		return nil, err
	}
	s := &Stack{config: config, lock: lock, id: rand.Text()}
	if err := s.start(ctx); err != nil {
		s.Stop(context.Background())
		return nil, err
	}
	return s, nil
}

// start does the rest of Start; Stop undoes whatever part of it was reached.
func (s *Stack) start(ctx context.Context) error {
	if err := s.clearLeftovers(ctx); err != nil {
		return err
	}
	if err := s.reserve(); err != nil {
		return err
	}
	if err := s.startWatchdog(); err != nil {
		return err
	}
	options := supervise.Options{Logger: s.config.Logger, OnChange: s.config.OnChange}
	s.servers, s.programs = supervise.New(options), supervise.New(options)
	if err := s.startServers(ctx); err != nil {
		return err
	}
	return describe("publish the stack's addresses", s.config.StateDir, s.access.write(s.config.StateDir))
}

// clearLeftovers ends what a killed predecessor left running, removes its
// addresses, and puts its logs aside.
func (s *Stack) clearLeftovers(ctx context.Context) error {
	ended, err := endMarked(ctx, strayGrace, dirMark+s.config.StateDir)
	if err != nil {
		return describe("end what an earlier stack left running", s.config.StateDir, err)
	}
	if ended > 0 {
		s.config.Logger.Info("ended processes of an earlier stack", "count", ended)
	}
	if err := os.Remove(filepath.Join(s.config.StateDir, accessFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return describe("remove the addresses of an earlier stack", s.config.StateDir, err)
	}
	logs, err := filepath.Glob(filepath.Join(s.config.StateDir, "logs", "*.log"))
	if err != nil {
		return err
	}
	for _, log := range logs {
		if err := os.Rename(log, log+".old"); err != nil {
			return describe("put an earlier log aside", log, err)
		}
	}
	return nil
}

// reserve settles ports, credentials and so the addresses.
func (s *Stack) reserve() error {
	keeper, err := newPortKeeper()
	if err != nil {
		return err
	}
	s.keeper = keeper
	if s.ports, err = keeper.choose(s.config.Ports, s.config.OnlyFreePorts); err != nil {
		return err
	}
	trusted, err := drawSigningKey(s.config.StateDir)
	if err != nil {
		return err
	}
	s.access = Access{
		PID:               os.Getpid(),
		TemporalAddress:   loopback(s.ports.Temporal),
		TemporalNamespace: Namespace,
		TemporalUI:        "http://" + loopback(s.ports.TemporalUI),
		TemporalMetrics:   "http://" + loopback(s.ports.TemporalMetrics) + "/metrics",
		TemporalCLI:       s.config.Tools.Temporal,
		MLflow:            "http://" + loopback(s.ports.MLflow),
		Gateway:           "http://" + loopback(s.ports.Gateway),
		GatewayGRPC:       loopback(s.ports.GatewayGRPC),
		ONNXRuntime:       s.config.Tools.ONNXRuntime,
		UV:                s.config.Tools.UV,
		TrustedKeys:       trusted,
	}
	if s.config.ExternalS3 != nil {
		s.access.S3 = *s.config.ExternalS3
		return nil
	}
	keys, err := loadKeys(s.config.StateDir)
	if err != nil {
		return err
	}
	s.access.S3 = S3Access{
		Endpoint: "http://" + loopback(s.ports.S3), Bucket: Bucket, Region: region,
		AccessKey: keys.AccessKey, SecretKey: keys.SecretKey,
	}
	return nil
}

// startServers starts all servers at once and sets each up when it answers.
func (s *Stack) startServers(ctx context.Context) error {
	mlflow, err := s.mlflowServer()
	if err != nil {
		return err
	}
	launch := []supervise.Process{s.temporalServer()}
	if s.config.ExternalS3 == nil {
		s3, err := s.s3Server()
		if err != nil {
			return describe("start the S3 server", s.config.StateDir, err)
		}
		launch = append(launch, s3)
	}
	launch = append(launch, mlflow)
	for _, server := range launch {
		if err := s.servers.Launch(server); err != nil {
			return err
		}
	}
	settle := map[string]func(context.Context) error{ServerTemporal: s.settleTemporal, ServerS3: s.createBucket}
	group, ctx := errgroup.WithContext(ctx)
	for _, server := range launch {
		group.Go(func() error {
			if err := s.servers.AwaitReady(ctx, server.Name); err != nil {
				return describe("start "+server.Name, "", err)
			}
			if settle[server.Name] == nil {
				return nil
			}
			return settle[server.Name](ctx)
		})
	}
	if s.config.ExternalS3 != nil {
		group.Go(func() error { return s.createBucket(ctx) })
	}
	return group.Wait()
}

func (s *Stack) markedEnv() []string {
	return append(inheritedEnv(), dirMark+s.config.StateDir, idMark+s.id)
}

func (s *Stack) programEnv() []string {
	return append(append(s.markedEnv(), partMark), s.access.Env()...)
}

func (s *Stack) logFile(name string) string {
	return filepath.Join(s.config.StateDir, "logs", name+".log")
}

// Access is how clients reach the stack.
func (s *Stack) Access() Access { return s.access }

// Env is the environment of a client of the stack that is a child process:
// the user's, with the stack's variables.
func (s *Stack) Env() []string { return append(inheritedEnv(), s.access.Env()...) }

// StateDir is the absolute path of the state directory.
func (s *Stack) StateDir() string { return s.config.StateDir }

// Status is a snapshot of all processes, the servers first.
func (s *Stack) Status() []supervise.Status {
	return append(s.servers.Status(), s.programs.Status()...)
}

// Kill kills a process as a crash would; it is then started again.
func (s *Stack) Kill(ctx context.Context, name string) error {
	return s.owner(name).Kill(ctx, name)
}

// Restart stops a process in order and returns when it is ready again.
func (s *Stack) Restart(ctx context.Context, name string) error {
	return s.owner(name).Restart(ctx, name)
}

// AwaitReady returns when a process is ready.
func (s *Stack) AwaitReady(ctx context.Context, name string) error {
	return s.owner(name).AwaitReady(ctx, name)
}

func (s *Stack) owner(name string) *supervise.Supervisor {
	for _, status := range s.programs.Status() {
		if status.Name == name {
			return s.programs
		}
	}
	return s.servers
}

// Wait returns an error when a process can't be kept running, or nil when ctx
// ends first.
func (s *Stack) Wait(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.servers.Wait(ctx) })
	group.Go(func() error { return s.programs.Wait(ctx) })
	return group.Wait()
}

// Stop ends the stack and returns when no process is left. The order matters:
// programs first, then what left their groups (training shims, which may
// still save a checkpoint), and the servers that all of them use last. Ending
// ctx cuts the grace periods short.
func (s *Stack) Stop(ctx context.Context) {
	s.stop.Do(func() {
		if s.programs != nil {
			s.programs.Stop(ctx)
		}
		if s.config.BeforeServersStop != nil {
			s.config.BeforeServersStop()
		}
		s.endStrays(idMark+s.id, partMark)
		if s.servers != nil {
			s.servers.Stop(ctx)
		}
		if s.watchdog != nil {
			s.watchdog.dismiss()
		}
		s.endStrays(idMark + s.id)
		_ = os.Remove(filepath.Join(s.config.StateDir, accessFile))
		if s.keeper != nil {
			s.keeper.release()
		}
		s.lock.release()
	})
}

// endStrays has a time limit of its own: it must also be tried when the
// context of Stop has ended.
func (s *Stack) endStrays(marks ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*strayGrace)
	defer cancel()
	if _, err := endMarked(ctx, strayGrace, marks...); err != nil {
		s.config.Logger.Warn("processes of the stack may be left", "error", err)
	}
}
