package workflows

import (
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// enqueue takes a task, unless it waits or is being carried out already: then
// the answer to come answers this one too.
func (s *steward) enqueue(task models.StewardTask) {
	same := func(other models.StewardTask) bool { return taskKey(other) == taskKey(task) }
	if s.current != nil && same(*s.current) || slices.ContainsFunc(s.state.Queue, same) {
		return
	}
	s.state.Queue = append(s.state.Queue, task)
}

// taskKey is the same for the same request. A promotion keeps the key of the
// rollout that it completes.
func taskKey(task models.StewardTask) string {
	switch {
	case task.Register != nil:
		return "register " + task.Register.RequestID + " " + task.Register.Candidate.RunID
	case task.RollOut != nil:
		return "roll out " + task.RollOut.RequestID + " " + task.RollOut.Version
	case task.Promote != nil:
		return "roll out " + task.Promote.Request.RequestID + " " + task.Promote.Request.Version
	default:
		return "retire " + task.Retire
	}
}

// versionOf is the version that a task needs; empty: none yet.
func versionOf(task models.StewardTask) string {
	switch {
	case task.RollOut != nil:
		return task.RollOut.Version
	case task.Promote != nil:
		return task.Promote.Request.Version
	default:
		return task.Retire
	}
}

// pending reports whether anything can be carried out now.
func (s *steward) pending() bool { return len(s.orders) > 0 || s.next() >= 0 }

// next is the oldest task that need not wait for a person; -1: none. Only a
// promotion may have to: registrations pass it, rollouts stay behind it, for
// its candidate still has its share of the traffic.
func (s *steward) next() int {
	waits := false
	for i, task := range s.state.Queue {
		switch {
		case task.Promote != nil && task.Promote.Verdict == models.VerdictPass && s.championMoved() != nil:
			waits = true
		case task.RollOut != nil && waits:
		default:
			return i
		}
	}
	return -1
}

// carryOut does one thing: an operator's order before everything else.
func (s *steward) carryOut(ctx workflow.Context) {
	defer func() { s.doing = "" }()
	if len(s.orders) > 0 {
		order := s.orders[0]
		s.orders = s.orders[1:]
		order(ctx)
		return
	}
	i := s.next()
	task := s.state.Queue[i]
	s.state.Queue = slices.Delete(slices.Clone(s.state.Queue), i, i+1)
	s.current, s.left = &task, nil
	switch {
	case task.Register != nil:
		s.register(ctx, *task.Register)
	case task.RollOut != nil:
		s.rollOut(ctx, *task.RollOut)
	case task.Promote != nil:
		s.complete(ctx, *task.Promote)
	default:
		s.retire(ctx, task.Retire)
	}
	s.current = nil
	if s.left != nil {
		s.part(ctx, s.left.LifecycleID, s.left.Reason) // from what the task has made as well
	}
}

// inTurn carries out an operator's order between two tasks, before those that
// wait. A running rollout would compare with a champion that is about to go: it
// ends, and its traffic goes back first.
func (s *steward) inTurn(ctx workflow.Context, why string, order func(workflow.Context) error) error {
	var result error
	done := false
	s.orders = append(s.orders, func(ctx workflow.Context) {
		result = order(ctx)
		done = true
	})
	for _, lifecycle := range workflow.DeterministicKeys(s.releases) {
		s.releases[lifecycle](why)
	}
	if err := workflow.Await(ctx, func() bool { return done }); err != nil {
		return err
	}
	return result
}

// withdraw drops what the lifecycle asked for and ends its rollout. A promotion
// that waits becomes a rollback.
func (s *steward) withdraw(ctx workflow.Context, w models.Withdrawal) {
	kept := []models.StewardTask{}
	for _, task := range s.state.Queue {
		switch {
		case !asksFor(w.LifecycleID, task):
			kept = append(kept, task)
		case task.Promote != nil:
			kept = append(kept, takenBack(*task.Promote, w.Reason))
		}
	}
	s.state.Queue = kept
	if end, ok := s.releases[w.LifecycleID]; ok {
		end(w.Reason)
	}
	s.part(ctx, w.LifecycleID, w.Reason)
}

// takenBack makes a promotion that waits a rollback.
func takenBack(p models.Promotion, why string) models.StewardTask {
	p.Verdict, p.Reason, p.RefusedBy = models.VerdictFail, why, models.RefusedByPerson
	return models.StewardTask{Promote: &p}
}

// part lets go of a lifecycle that will ask for nothing more: its questions are
// dropped, and its version is no challenger unless a task is still about it.
// What is being carried out for it goes on, and is parted from at its end.
func (s *steward) part(ctx workflow.Context, lifecycle, why string) {
	working := func(task models.StewardTask) bool { return asksFor(lifecycle, task) }
	current := s.current != nil && working(*s.current)
	if current {
		s.left = &models.Withdrawal{LifecycleID: lifecycle, Reason: why}
	}
	s.forget(ctx, lifecycle, why)
	if v := s.version(s.state.Challenger); v != nil && v.Candidate.Lifecycle == lifecycle &&
		!current && !slices.ContainsFunc(s.state.Queue, working) {
		s.enqueue(models.StewardTask{Retire: v.Version})
	}
	s.close(lifecycle)
}

// asksFor: request IDs start with the ID of the lifecycle that asks.
func asksFor(lifecycle string, task models.StewardTask) bool {
	switch {
	case task.Register != nil:
		return task.Register.Candidate.Lifecycle == lifecycle
	case task.RollOut != nil:
		return strings.HasPrefix(task.RollOut.RequestID, lifecycle+"/")
	case task.Promote != nil:
		return strings.HasPrefix(task.Promote.Request.RequestID, lifecycle+"/")
	default:
		return false
	}
}

// close marks the versions of a lifecycle that will ask for nothing more.
func (s *steward) close(lifecycle string) {
	for i := range s.state.Versions {
		if s.state.Versions[i].Candidate.Lifecycle == lifecycle {
			s.state.Versions[i].Closed = true
		}
	}
}
