package reliability

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
)

// measure breaks one training. Whatever goes wrong is told in the figure.
func (m *matrix) measure(ctx context.Context, c breakage) Figure {
	figure := Figure{Case: c.name, Did: c.did, Damaged: c.damaged, Differs: c.differs}
	if err := m.play(ctx, c, &figure); err != nil {
		figure.Error = err.Error()
	}
	return figure
}

func (m *matrix) play(ctx context.Context, c breakage, figure *Figure) (err error) {
	s := &scene{m: m}
	defer func() {
		for _, h := range s.hosts {
			err = errors.Join(err, h.kill())
		}
	}()
	if c.prepare != nil {
		if err := c.prepare(ctx, s); err != nil {
			return err
		}
	}
	input, err := m.spec(c.name)
	if err != nil {
		return err
	}
	if c.change != nil {
		c.change(&input)
	}
	if s.id, err = m.submit(ctx, input); err != nil {
		return err
	}
	defer func() {
		if err != nil { // what failed must not be in the way of the next
			err = errors.Join(err, m.laptop.Temporal.TerminateWorkflow(context.WithoutCancel(ctx), s.id, "", "the case failed"))
		}
	}()
	return m.strike(ctx, c, s, figure)
}

func (m *matrix) strike(ctx context.Context, c breakage, s *scene, figure *Figure) error {
	if err := s.awaitMiddle(ctx); err != nil {
		return err
	}
	figure.StruckAt = s.step()
	began := time.Now()
	struck, err := c.strike(ctx, s)
	if err != nil {
		return err
	}
	if c.costs {
		err = s.recovers(ctx, struck, figure)
	} else {
		err = s.goesOn(ctx, struck, figure)
	}
	if err != nil {
		return err
	}
	digest, training, err := m.outcome(ctx, s.id)
	if err != nil {
		return err
	}
	figure.Total = seconds(time.Since(began))
	figure.Model, figure.Attempts = digest, max(training.Attempt, 1)
	if figure.Attempts > 1 {
		figure.Resumed = training.Resumed
		figure.Repeated = max(figure.StruckAt-figure.Resumed, 0)
	}
	figure.Skipped = training.Skipped
	if len(training.Failures) > 0 {
		figure.Failure = training.Failures[0]
	}
	return nil
}

// goesOn: the ranks never stop. Recovery is when the engine sees them again.
func (s *scene) goesOn(ctx context.Context, struck time.Time, figure *Figure) error {
	err := laptop.Eventually(laptop.Patience, func() (bool, any) {
		hosts, err := s.m.laptop.Ranks(ctx, s.id)
		seen := err == nil && len(hosts) == 2 && slices.ContainsFunc(hosts, func(h models.RankProgress) bool { return h.Step > figure.StruckAt })
		return seen || ctx.Err() != nil, []any{hosts, err}
	})
	figure.Recovery = seconds(time.Since(struck))
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	for _, r := range s.ranks() {
		if !slices.Contains(s.pids, r.pid) {
			return fmt.Errorf("rank %d is process %d, which was not there before", r.rank, r.pid)
		}
	}
	return nil
}

// recovers: the attempt ends, and another one passes the step that was reached.
func (s *scene) recovers(ctx context.Context, struck time.Time, figure *Figure) error {
	if s.notice == 0 {
		if err := s.awaitEndOf(ctx, s.pids, &s.notice, struck); err != nil {
			return err
		}
		struck = struck.Add(s.notice)
	}
	figure.Notice = seconds(s.notice)
	err := laptop.Eventually(laptop.Patience, func() (bool, any) {
		step := s.step()
		return step > figure.StruckAt || ctx.Err() != nil, step
	})
	figure.Recovery = seconds(time.Since(struck))
	return errors.Join(err, ctx.Err())
}

func seconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}
