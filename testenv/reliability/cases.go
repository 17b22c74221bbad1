package reliability

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
)

// breakage is one way to break a training.
type breakage struct {
	name    string
	did     string
	change  func(*models.LifecycleSpec)
	prepare func(context.Context, *scene) error
	// strike does it. What it returns is when the engine could notice: for
	// nearly all the moment of the strike.
	strike func(context.Context, *scene) (time.Time, error)
	// costs is whether the attempt has to end; otherwise the ranks must be the
	// same processes all the time.
	costs bool
	// damaged is whether the newest checkpoint is: then the one before it is
	// resumed from, and the damage is told.
	damaged bool
	// differs is why the model may be another one than the reference.
	differs string
}

// hangAfter is the hang_timeout of the case with a hung rank.
const hangAfter = 6 * time.Second

func cases() []breakage {
	server := func(name string) func(context.Context, *scene) (time.Time, error) {
		return func(ctx context.Context, s *scene) (time.Time, error) { return time.Now(), s.m.laptop.Kill(ctx, name) }
	}
	return []breakage{
		{name: "worker", did: "SIGKILL of the worker", strike: server("worker")},
		{
			name: "agent", did: "SIGKILL of one host's agent", strike: server("agent-laptop-a"),
			// The attempt's heartbeats have to be missed for ten seconds before
			// Temporal hands it to the next agent: the training must last longer.
			change: func(s *models.LifecycleSpec) { s.Train.Params["step_delay_ms"] = 900 },
		},
		{name: "temporal", did: "SIGKILL of the Temporal server", strike: server(devstack.ServerTemporal)},
		{name: "rank", did: "SIGKILL of one rank", costs: true, strike: signal(syscall.SIGKILL, rankOne)},
		{name: "shim", did: "SIGKILL of the shim above one rank", costs: true, strike: signal(syscall.SIGKILL, shimOfRankOne)},
		{
			name: "hang", did: "SIGSTOP of one rank, with `hang_timeout: 6s`", costs: true, strike: signal(syscall.SIGSTOP, rankOne),
			change: func(s *models.LifecycleSpec) { s.Train.HangTimeout = models.Duration(hangAfter) },
		},
		{
			name: "checkpoint", did: "the newest checkpoint is damaged in the store, then SIGKILL of one rank", costs: true, damaged: true,
			strike: func(ctx context.Context, s *scene) (time.Time, error) {
				if err := s.damage(ctx); err != nil {
					return time.Time{}, err
				}
				return signal(syscall.SIGKILL, rankOne)(ctx, s)
			},
		},
		{
			name: "node", did: "SIGKILL of everything on one host, which stays away; a third host is free", costs: true,
			change: func(s *models.LifecycleSpec) { s.Train.Resources.Pool = sparePool }, prepare: startSpareHosts, strike: loseHost,
		},
		{
			name: "preemption", did: "a gang of higher priority takes all devices for three seconds", costs: true,
			change: func(s *models.LifecycleSpec) {
				s.Train.Resources.Preemptible, s.Train.Resources.MinRuntime = true, models.Duration(time.Second)
			},
			strike: preempt,
		},
	}
}

func signal(number syscall.Signal, whom func(rankProcess) (int, error)) func(context.Context, *scene) (time.Time, error) {
	return func(_ context.Context, s *scene) (time.Time, error) {
		for _, r := range s.ranks() {
			if r.rank == 1 {
				pid, err := whom(r)
				if err != nil {
					return time.Time{}, err
				}
				return time.Now(), syscall.Kill(pid, number)
			}
		}
		return time.Time{}, errors.New("there is no rank 1")
	}
}

func rankOne(r rankProcess) (int, error) { return r.pid, nil }

// shimOfRankOne is the rank's parent.
func shimOfRankOne(r rankProcess) (int, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(r.pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The program's name stands in parentheses and may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return strconv.Atoi(fields[1])
}

// preempt has a more important training take everything, and waits for its end:
// before that there is nothing to go on with.
func preempt(ctx context.Context, s *scene) (time.Time, error) {
	other, err := s.m.spec("preemption-other")
	if err != nil {
		return time.Time{}, err
	}
	other.Train.Command = []string{"sleep", "3"} // it leaves no model, and fails for that
	other.Train.Environment, other.Train.Code, other.Train.Params = models.Environment{}, models.Source{}, nil
	other.Train.Resources = models.Resources{Nodes: 2, GPUsPerNode: 2, Priority: 10}
	began := time.Now()
	id, err := s.m.submit(ctx, other)
	if err != nil {
		return time.Time{}, err
	}
	if err := s.awaitEndOf(ctx, s.pids, &s.notice, began); err != nil {
		return time.Time{}, err
	}
	err = s.m.laptop.Temporal.GetWorkflow(ctx, id, "").Get(ctx, nil)
	if err == nil || ctx.Err() != nil {
		return time.Time{}, errors.Join(errors.New("the other training should have failed for want of a model"), ctx.Err())
	}
	return time.Now(), nil
}
