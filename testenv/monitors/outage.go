package monitors

import (
	"context"
	"errors"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// outageDays is how long the server is down, in event time.
const outageDays = 2

// outage serves day by day, but for those on which the blocks of the first
// alarms come due: those are served while Temporal is down.
func (s *Stack) outage(story Story, undisturbed Account) func(ctx context.Context, t *Trial, from, until int) (to int, err error) {
	down := map[int]bool{}
	for _, alarm := range undisturbed.Scenes[len(undisturbed.Scenes)-1].State.Alarms {
		due := story.World.DayOf(alarm.Block.Add(story.Spec.Block.Std() + story.Spec.Maturity.Std()))
		down[due-1] = true // served before that day, the block is not due yet
	}
	return func(ctx context.Context, t *Trial, from, until int) (to int, err error) {
		if !down[from] || from+outageDays > until {
			return Daily(ctx, t, from, until)
		}
		return from + outageDays, WithoutTemporal(ctx, s.Stack, func() error {
			for day := from + 1; day <= from+outageDays; day++ {
				if err := t.serve(ctx, day); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// WithoutTemporal kills the server, which starts again on the same database at
// once, and returns when it is there again. What is done meanwhile must be done
// before that.
func WithoutTemporal(ctx context.Context, s *devstack.Stack, do func() error) error {
	before := temporalOf(s)
	if err := s.Kill(ctx, devstack.ServerTemporal); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if now := temporalOf(s); now.State == supervise.Ready {
		return errors.New("the server was back before the days had passed: they were not served without it")
	}
	if err := namespace.Eventually(ctx, settleWithin, func() error { // the old incarnation may look ready for a moment
		if temporalOf(s).Starts == before.Starts {
			return errors.New("the server has not started again")
		}
		return nil
	}); err != nil {
		return err
	}
	return s.AwaitReady(ctx, devstack.ServerTemporal)
}

func temporalOf(s *devstack.Stack) supervise.Status {
	all := s.Status()
	i := slices.IndexFunc(all, func(status supervise.Status) bool { return status.Name == devstack.ServerTemporal })
	return all[i]
}
