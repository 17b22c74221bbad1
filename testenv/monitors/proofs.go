package monitors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// Outcome is one trial held against the undisturbed one.
type Outcome struct {
	Name    string
	Account Account
	Took    time.Duration
	// Deaths is at which moment of each step the worker died; empty: it did not.
	Deaths namespace.Moment
	// Runs is how many the monitor had to go through at least.
	Runs int
	// Differences are those to the undisturbed account, the first few.
	Differences []string
}

// Check returns what breaks a promise.
func (o Outcome) Check() error {
	var broken []error
	for _, d := range o.Differences {
		broken = append(broken, errors.New("unlike the undisturbed: "+d))
	}
	if steps, deaths := o.Account.Steps[o.Deaths], len(o.Account.Deaths); deaths != steps {
		broken = append(broken, fmt.Errorf("the worker died %d times at %d steps", deaths, steps))
	}
	if o.Account.Runs < o.Runs {
		broken = append(broken, fmt.Errorf("the monitor went through %d runs, not %d: serve it in smaller pieces", o.Account.Runs, o.Runs))
	}
	return errors.Join(broken...)
}

// fourRuns have three continue-as-new between them.
const fourRuns = 4

// disturbance is what happens to a trial.
type disturbance struct {
	name   string
	days   func(ctx context.Context, t *Trial, from, until int) (to int, err error)
	deaths namespace.Moment // empty: none
	runs   int              // at least; 0: any number
	// pieces: the log is read in other pieces than the undisturbed monitor's.
	pieces bool
}

// Prove lives through the story undisturbed, then with every disturbance: the
// worker killed at each moment of every step, days that come one at a time, and
// at last the server down. The first outcome is the undisturbed one.
func (s *Stack) Prove(ctx context.Context, story Story) ([]Outcome, error) {
	champions, err := s.champions(ctx, story)
	if err != nil {
		return nil, err
	}
	undisturbed, wanted, err := s.try(ctx, story, champions, disturbance{name: "undisturbed", days: AtOnce})
	outcomes := []Outcome{undisturbed}
	if err != nil {
		return outcomes, err
	}
	disturbances := []disturbance{{name: "daily", days: Daily, runs: fourRuns, pieces: true}}
	for _, moment := range namespace.Moments() {
		disturbances = append(disturbances, disturbance{name: "killed-at-" + string(moment), days: AtOnce, deaths: moment})
	}
	held := func(d disturbance) (Outcome, error) {
		outcome, got, err := s.try(ctx, story, champions, d)
		// A new run carries less of explanations, and dying makes histories longer.
		without := d.pieces || outcome.Account.Runs > undisturbed.Account.Runs
		outcome.Differences = differences(wanted[without], got[without])
		return outcome, err
	}
	disturbed := make([]Outcome, len(disturbances))
	var all errgroup.Group // at once: they wait most of the time
	for i, d := range disturbances {
		all.Go(func() (err error) {
			disturbed[i], err = held(d)
			return err
		})
	}
	err = all.Wait()
	if outcomes = append(outcomes, disturbed...); err != nil {
		return outcomes, err
	}
	down, err := held(disturbance{name: "outage", days: s.outage(story, undisturbed.Account), pieces: true})
	return append(outcomes, down), err
}

// champions prepares what is said of the versions, once for all trials: the
// objects' names are part of what is compared.
func (s *Stack) champions(ctx context.Context, story Story) ([]models.WatchRequest, error) {
	slot, err := s.Slot(ctx, "champions", "")
	if err != nil {
		return nil, err
	}
	defer slot.close()
	return slot.champions(ctx, story)
}

// try lives through the story in a slot of its own.
func (s *Stack) try(ctx context.Context, story Story, champions []models.WatchRequest, d disturbance) (outcome Outcome, plain map[bool]any, err error) {
	began := time.Now()
	outcome.Name, outcome.Deaths, outcome.Runs = d.name, d.deaths, d.runs
	slot, err := s.Slot(ctx, d.name, d.deaths)
	if err != nil {
		return outcome, nil, err
	}
	defer slot.close()
	trial := &Trial{Slot: slot, Story: story, Champions: champions, Days: d.days}
	outcome.Account, err = trial.Live(ctx)
	outcome.Took = time.Since(began)
	if err != nil {
		return outcome, nil, fmt.Errorf("%s: %w", d.name, err)
	}
	plain = map[bool]any{} // by whether explanations are left out
	for _, without := range []bool{false, true} {
		if plain[without], err = outcome.Account.plain(slot, !without); err != nil {
			return outcome, nil, err
		}
	}
	return outcome, plain, nil
}
