package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// How much a steward carries into its next run.
const (
	versionsKept    = 4
	openKept        = 40 // versions whose lifecycle has not ended
	retrainingsKept = 20
	answersKept     = 64 // to requests that may be repeated
)

// lookEvery is how often a steward compares its record with MLflow's aliases,
// and looks for retrainings that ended without a word.
const lookEvery = 5 * time.Minute

// ModelSteward is the only writer of a model's aliases. Registrations, releases
// and what operators order come one after the other; questions to people and
// retrainings are answered as they come. What it did and why is its record.
func ModelSteward(ctx workflow.Context, state models.StewardState) error {
	s := newSteward(ctx, state)
	if err := answer(ctx, s.status); err != nil {
		return err
	}
	if err := s.takeOrders(ctx); err != nil {
		return err
	}
	publish(ctx, attributeModel.ValueSet(state.Model))
	return s.run(ctx)
}

// steward has three kinds of work. Tasks (register, roll out, promote) and
// operators' orders (roll back, adopt) change the model and are carried out by
// run, one at a time. Quick requests (retrain, approvals, closed) have a
// coroutine of their own, so that a day-long rollout never makes an alarm wait.
// What may take its time and changes nothing else runs behind.
type steward struct {
	state    models.StewardState
	doing    string
	current  *models.StewardTask // in progress; nil: none
	left     *models.Withdrawal  // the lifecycle that asked for current is gone; nil: it waits
	orders   []func(workflow.Context)
	releases map[string]func(why string) // ends the rollout of a lifecycle, by lifecycle ID
	served   map[string]servedNews       // what Serve workflows said, by version
	aliases  workflow.Mutex              // held while the record or MLflow's aliases move
	moving   map[string]string           // aliases that are being moved now → version
	busy     int                         // quick requests, and what runs behind
	// scheduling is held while the schedule of retrainings is being kept.
	scheduling workflow.Mutex
}

func newSteward(ctx workflow.Context, state models.StewardState) *steward {
	s := &steward{
		state: state, releases: map[string]func(string){}, served: map[string]servedNews{}, aliases: workflow.NewMutex(ctx),
		scheduling: workflow.NewMutex(ctx),
	}
	listen(ctx, models.SignalRegister, func(r models.RegisterRequest) { s.enqueue(models.StewardTask{Register: &r}) })
	listen(ctx, models.SignalRollOut, func(r models.RollOutRequest) { s.enqueue(models.StewardTask{RollOut: &r}) })
	listen(ctx, models.SignalWithdraw, func(w models.Withdrawal) { s.withdraw(ctx, w) })
	listen(ctx, models.SignalServeReady, func(m models.ServeReady) { s.served[m.Version] = servedNews{ready: true} })
	listen(ctx, models.SignalServeFailed, func(m models.ServeFailed) { s.served[m.Version] = servedNews{failed: m.Reason} })
	s.attend(ctx)
	workflow.Go(ctx, s.patrol)
	workflow.Go(ctx, s.keepDeadlines)
	workflow.Go(ctx, s.archive)
	return s
}

// takeOrders registers the updates by which people tell the steward something.
func (s *steward) takeOrders(ctx workflow.Context) error {
	decide := workflow.UpdateHandlerOptions{Validator: s.mayDecide, Description: "A person approves or rejects a version"}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateDecide, s.decide, decide); err != nil {
		return err
	}
	back := workflow.UpdateHandlerOptions{Validator: s.mayRollBack, Description: "An operator makes an earlier version the champion again"}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateRollBack, s.orderRollBack, back); err != nil {
		return err
	}
	aliases := workflow.UpdateHandlerOptions{Validator: s.mayOrderAliases, Description: "An operator looks at the aliases, restores or adopts them, or takes the model over"}
	return workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateAliases, s.orderAliases, aliases)
}

// attend answers the quick requests in a coroutine of their own, in order.
func (s *steward) attend(ctx workflow.Context) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx)
		attendTo(ctx, s, selector, models.SignalRetrain, s.retrain)
		attendTo(ctx, s, selector, models.SignalRequestApproval, s.askApproval)
		attendTo(ctx, s, selector, models.SignalLifecycleClosed, s.settle)
		for {
			selector.Select(ctx)
		}
	})
}

func attendTo[T any](ctx workflow.Context, s *steward, selector workflow.Selector, signal string, handle func(workflow.Context, T)) {
	selector.AddReceive(workflow.GetSignalChannel(ctx, signal), func(c workflow.ReceiveChannel, _ bool) {
		var message T
		c.Receive(ctx, &message)
		s.busy++
		handle(ctx, message)
		s.busy--
		s.show(ctx)
	})
}

// behind does what nobody waits for. The run does not end before it has.
func (s *steward) behind(ctx workflow.Context, work func(workflow.Context)) {
	s.busy++
	workflow.Go(ctx, func(ctx workflow.Context) {
		work(ctx)
		s.busy--
	})
}

func (s *steward) run(ctx workflow.Context) error {
	s.show(ctx)
	for {
		due := func() bool { return workflow.GetInfo(ctx).GetContinueAsNewSuggested() && s.atRest(ctx) }
		if err := workflow.Await(ctx, func() bool { return s.pending() || due() }); err != nil {
			return err
		}
		if due() {
			return workflow.NewContinueAsNewError(ctx, models.ModelStewardWorkflow, s.carried())
		}
		s.carryOut(ctx)
		s.show(ctx)
	}
}

// atRest: nothing is half done and no signal is waiting to be read. Tasks that
// wait for their turn are carried along.
func (s *steward) atRest(ctx workflow.Context) bool {
	if len(s.orders) > 0 || s.busy > 0 || s.current != nil || !workflow.AllHandlersFinished(ctx) {
		return false
	}
	for _, signal := range []string{
		models.SignalRegister, models.SignalRollOut, models.SignalWithdraw, models.SignalRetrain, models.SignalRequestApproval,
		models.SignalLifecycleClosed, models.SignalServeReady, models.SignalServeFailed,
	} {
		if workflow.GetSignalChannel(ctx, signal).Len() > 0 {
			return false
		}
	}
	return true
}

// carried is the state for the next run, cut to size.
func (s *steward) carried() models.StewardState {
	next := s.state
	next.Versions = s.versionsNeeded()
	next.Retrainings = s.retrainingsNeeded()
	next.RolledOut = lastOf(next.RolledOut, answersKept)
	next.RolledBack = lastOf(next.RolledBack, retrainingsKept)
	return next
}

// versionsNeeded are the newest, those that something depends on, and those
// whose lifecycle may still ask for something.
func (s *steward) versionsNeeded() (kept []models.ModelVersion) {
	named := s.named()
	for i, v := range s.state.Versions {
		age := len(s.state.Versions) - i
		if named[v.Version] || age <= versionsKept || age <= openKept && !v.Closed {
			kept = append(kept, v)
		}
	}
	return kept
}

func lastOf[T any](items []T, n int) []T { return items[max(0, len(items)-n):] }

func (s *steward) version(version string) *models.ModelVersion {
	for i := range s.state.Versions {
		if s.state.Versions[i].Version == version {
			return &s.state.Versions[i]
		}
	}
	return nil
}

// reply answers whoever asked. One who is gone needs no answer.
func (s *steward) reply(ctx workflow.Context, to, signal string, message any) {
	err := workflow.SignalExternalWorkflow(ctx, to, "", signal, message).Get(ctx, nil)
	if err != nil && !temporal.IsCanceledError(err) {
		workflow.GetLogger(ctx).Warn("reply not delivered", "to", to, "signal", signal, "error", err)
	}
}
