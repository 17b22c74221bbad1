package workflows

import (
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// The policy decides about requests for retrainings from what the steward knows:
// nothing here asks a clock or acts. All spans are of event time, so that a
// backlog that is worked off late is treated as it would have been in time.

// refusal is why no retraining starts.
type refusal struct {
	outcome models.RetrainOutcome
	reason  string
	// retryAt is the event time from which the answer may be another; zero: it
	// does not depend on time.
	retryAt   time.Time
	lifecycle string // that is in the way; empty: none is
}

// refusal is nil when the retraining may start. A person's decision overrides
// what protects against retraining too often, and nothing else.
func (s *steward) refusal(request models.RetrainRequest) *refusal {
	champion := s.version(s.state.Champion)
	switch {
	case champion == nil:
		return impossible("there is no champion to retrain")
	case request.Champion != "" && request.Champion != champion.Version:
		return impossible(fmt.Sprintf("version %s, whose loss rose, is no champion any more; version %s is", request.Champion, champion.Version))
	case champion.Spec.Monitor == nil:
		return impossible(fmt.Sprintf("the spec of version %s has no monitor section: it does not say how to retrain", champion.Version))
	}
	policy := champion.Spec.WithDefaults().Monitor.Retrain
	switch {
	case request.Trigger.Kind == models.TriggerSchedule && policy.Schedule == nil:
		return impossible(fmt.Sprintf("the spec of version %s has no schedule (any more)", champion.Version))
	case request.Trigger.Kind == models.TriggerAlarm && policy.Off && !request.Force:
		return impossible(fmt.Sprintf("by the spec of version %s, alarms start nothing", champion.Version))
	}
	if open := s.openRetrainings(); len(open) > 0 {
		return &refusal{outcome: models.RetrainInFlight, reason: "one is in flight already: " + open[0].LifecycleID, lifecycle: open[0].LifecycleID}
	}
	if request.Force {
		return nil
	}
	if failed := s.failedInARow(); failed >= policy.MaxFailures {
		return &refusal{outcome: models.RetrainAsksPerson, reason: fmt.Sprintf(
			"the last %d promoted nothing; a person must decide after looking at the data: %s", failed, s.waysOn())}
	}
	return longer(cooling(policy.Cooldown, s.state.Retrainings, request.AsOf), unpaid(policy.Budget, s.state.Retrainings, request.AsOf))
}

func impossible(why string) *refusal {
	return &refusal{outcome: models.RetrainImpossible, reason: why}
}

// longer is the refusal that holds for longer, so that who asks again in time is
// not refused for the other's sake.
func longer(a, b *refusal) *refusal {
	if a == nil || b != nil && b.retryAt.After(a.retryAt) {
		return b
	}
	return a
}

// cooling counts from the newest data that anything was retrained on.
func cooling(cooldown models.Duration, past []models.Retraining, asOf time.Time) *refusal {
	var last time.Time
	for _, r := range past {
		last = later(last, r.AsOf)
	}
	until := last.Add(cooldown.Std())
	if len(past) == 0 || !asOf.Before(until) {
		return nil
	}
	return &refusal{outcome: models.RetrainCooling, retryAt: until, reason: fmt.Sprintf(
		"the last was as of %s, and the cooldown is %s: from %s on", moment(last), cooldown, moment(until))}
}

// unpaid counts what the retrainings of the span (asOf − per, asOf] cost. The
// budget is free again when enough of the oldest have left the span.
func unpaid(budget *models.RetrainBudget, past []models.Retraining, asOf time.Time) *refusal {
	if budget == nil {
		return nil
	}
	var spent []models.Retraining
	seconds := 0.0
	for _, r := range past {
		if r.AsOf.After(asOf.Add(-budget.Per.Std())) {
			spent = append(spent, r)
			seconds += r.GPUSeconds
		}
	}
	slices.SortStableFunc(spent, func(a, b models.Retraining) int { return a.AsOf.Compare(b.AsOf) })
	runs, hours := len(spent), seconds/time.Hour.Seconds()
	var until time.Time
	for len(spent) > 0 && (budget.Runs > 0 && len(spent) >= budget.Runs || budget.GPUHours > 0 && seconds >= budget.GPUHours*time.Hour.Seconds()) {
		until = spent[0].AsOf.Add(budget.Per.Std())
		seconds -= spent[0].GPUSeconds
		spent = spent[1:]
	}
	if until.IsZero() {
		return nil
	}
	return &refusal{outcome: models.RetrainUnpaid, retryAt: until, reason: fmt.Sprintf(
		"the budget of %s is spent: %d retrainings, %.3g GPU-hours (limits: %s, %s); from %s on", budget.Per, runs, hours,
		orNoLimit(float64(budget.Runs)), orNoLimit(budget.GPUHours), moment(until))}
}

func orNoLimit(limit float64) string {
	if limit == 0 {
		return "none"
	}
	return number(limit)
}

// failedInARow counts back to the last that was promoted. It begins anew with
// another champion, which a person has released or gone back to, and with a
// retraining that a person insisted on.
func (s *steward) failedInARow() (n int) {
	for _, r := range slices.Backward(s.state.Retrainings) {
		if r.Promoted || r.Champion != s.state.Champion {
			break
		}
		n++
		if r.Forced {
			break
		}
	}
	return n
}

// waysOn are what a person can do once the steward does not retrain any more.
func (s *steward) waysOn() string {
	ways := "start a lifecycle by hand"
	if champion := s.version(s.state.Champion); champion != nil && endpointOf(champion.Spec) != "" {
		ways = fmt.Sprintf("`mainspring monitor %s retrain --by … --reason …`, or `accept` the level, or %s", endpointOf(champion.Spec), ways)
	}
	return ways
}

// retrainingSpec is the champion's spec on the newest window: the held-out part
// is the last one before the moment as of which the data is seen, so that the
// gate compares with the champion on the newest rows whose labels are known.
func retrainingSpec(champion models.ModelVersion, request models.RetrainRequest) models.LifecycleSpec {
	spec := champion.Spec.WithDefaults()
	policy := spec.Monitor.Retrain
	spec.Data.AsOf, spec.Data.Window, spec.Data.Holdout = request.AsOf, policy.Window, policy.Holdout
	if change := request.Trigger.Change; policy.From == models.RetrainFromChange && !change.IsZero() {
		since := (request.AsOf.Sub(change) + time.Second - 1).Truncate(time.Second) // never less
		spec.Data.Window = min(max(models.Duration(since), policy.MinWindow), policy.Window)
	}
	if spec.Data.Split.By == models.SplitByHash {
		spec.Data.Holdout = 0 // the same values are held out as before, of the newer rows
	}
	trigger := request.Trigger
	spec.Trigger = &trigger
	return spec
}

// How many retrainings a steward carries into its next run in full, and how
// many of those before with what the policy needs of them.
const retrainingsCounted = 300

// retrainingsNeeded are the newest. Of older ones only the sums count.
func (s *steward) retrainingsNeeded() []models.Retraining {
	kept := slices.Clone(lastOf(s.state.Retrainings, retrainingsCounted))
	for i := range kept[:max(0, len(kept)-retrainingsKept)] {
		kept[i].Reason, kept[i].Trigger.Reason = "", ""
	}
	return kept
}
