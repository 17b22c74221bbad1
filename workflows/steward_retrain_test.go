package workflows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/models"
)

// day is a moment of event time.
func day(month time.Month, n int) time.Time { return time.Date(2013, month, n, 0, 0, 0, 0, time.UTC) }

func alarm(id string, asOf time.Time) models.RetrainRequest {
	return models.RetrainRequest{RequestID: id, AsOf: asOf, Endpoint: "flights", Trigger: models.Trigger{Kind: models.TriggerAlarm, Reason: "loss rose"}}
}

// lifecycles replaces the Lifecycle child by one that does nothing.
func (h *house) lifecycles() (specs *[]models.LifecycleSpec) {
	specs = &[]models.LifecycleSpec{}
	h.OnWorkflow(models.LifecycleWorkflow, mock.Anything, mock.Anything).Return(
		func(_ workflow.Context, spec models.LifecycleSpec) (models.LifecycleResult, error) {
			*specs = append(*specs, spec)
			return models.LifecycleResult{}, nil
		})
	return specs
}

// retrained is a steward with one champion and a policy for it.
func retrained(change func(*models.RetrainSpec), past ...models.Retraining) models.StewardState {
	v := version("1")
	if change != nil {
		change(&v.Spec.Monitor.Retrain)
	}
	return models.StewardState{Model: "m", Champion: "1", Versions: []models.ModelVersion{v}, Retrainings: past}
}

// past is a retraining of version 1 that has ended.
func past(asOf time.Time, outcome models.RetrainOutcome) models.Retraining {
	return models.Retraining{RequestID: "past " + models.DayKey(asOf), LifecycleID: models.LifecycleID("m", models.DayKey(asOf)), AsOf: asOf,
		Endpoint: "flights", Champion: "1", Ended: true, Promoted: outcome == models.RetrainPromoted, Outcome: outcome}
}

// endedAs is a lifecycle's last word.
func endedAs(day string, result models.LifecycleResult) models.LifecycleClosed {
	return models.LifecycleClosed{LifecycleID: models.LifecycleID("m", day), Result: result, GPUSeconds: 1800}
}

// heard are the outcomes that monitors were told, "request outcome".
func (h *house) heard() (all []string) {
	for _, m := range h.monitor {
		if m.Settled != nil {
			all = append(all, m.Settled.RequestID+" "+string(m.Settled.Outcome))
		}
	}
	return all
}

// settled is the last that a monitor was told about a request.
func (h *house) settled(t *testing.T, request string) models.RetrainSettled {
	t.Helper()
	for i := len(h.monitor) - 1; i >= 0; i-- {
		if s := h.monitor[i].Settled; s != nil && s.RequestID == request {
			return *s
		}
	}
	require.Fail(t, "nobody was told about "+request)
	return models.RetrainSettled{}
}

func TestStewardRetrainsOneAtATime(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	h.at(1*time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	h.at(2*time.Second, models.SignalRetrain, alarm("a", day(8, 5))) // repeats itself
	h.at(3*time.Second, models.SignalRetrain, alarm("b", day(8, 6)))
	h.at(4*time.Second, models.SignalLifecycleClosed, endedAs("2013-08-05", models.LifecycleResult{
		Reason: "gain below 0", RefusedBy: models.RefusedByGate, Gate: models.GateVerdict{Verdict: models.VerdictFail, Reason: "gain below 0"}}))
	h.at(5*time.Second, models.SignalRetrain, alarm("c", day(8, 8)))
	h.at(6*time.Second, models.SignalRetrain, alarm("d", day(8, 25)))
	h.runSteward(h.holding(retrained(nil)), 30*time.Second)

	require.Len(t, *specs, 2)
	require.Equal(t, day(8, 5), (*specs)[0].Data.AsOf)
	require.Equal(t, models.TriggerAlarm, (*specs)[0].Trigger.Kind)
	// The end of a brings news for b, which was in its way.
	require.Equal(t, []string{"a started", "a started", "b in_flight", "a not_helping", "b cooling", "c cooling", "d started"}, h.heard())
	require.Equal(t, models.LifecycleID("m", "2013-08-05"), h.monitor[0].Settled.Lifecycle)
	require.Equal(t, models.LifecycleID("m", "2013-08-05"), h.monitor[2].Settled.Lifecycle, "who is in the way")
	a := h.settled(t, "a")
	require.Equal(t, "the gate said no: gain below 0", a.Reason)
	require.Equal(t, models.VerdictFail, a.Gate.Verdict)
	for _, request := range []string{"b", "c"} {
		require.Equal(t, day(8, 19), h.settled(t, request).RetryAt, request)
	}
	state := status[models.StewardStatus](t, h)
	require.Equal(t, 1800.0, state.Retrainings[0].GPUSeconds)
	require.Equal(t, models.RetrainNotHelping, state.Retrainings[0].Outcome)
	require.Empty(t, state.Refused)
}

func TestWhatARetrainingThatPromotedNothingCameTo(t *testing.T) {
	for name, test := range map[string]struct {
		closed models.LifecycleClosed
		want   models.RetrainOutcome
		reason string
	}{
		"the gate":         {endedAs("2013-08-05", models.LifecycleResult{RefusedBy: models.RefusedByGate, Reason: "worse"}), models.RetrainNotHelping, "the gate said no: worse"},
		"the canary":       {endedAs("2013-08-05", models.LifecycleResult{RefusedBy: models.RefusedByCanary, Reason: "errors"}), models.RetrainNotHelping, "the canary said no: errors"},
		"a person":         {endedAs("2013-08-05", models.LifecycleResult{RefusedBy: models.RefusedByPerson, Reason: "rejected by ada: not now"}), models.RetrainFailed, "rejected by ada: not now"},
		"a broken release": {endedAs("2013-08-05", models.LifecycleResult{Reason: "its servers do not start"}), models.RetrainFailed, "its servers do not start"},
		"a failed check": {models.LifecycleClosed{LifecycleID: models.LifecycleID("m", "2013-08-05"), Error: "nulls: 40 % of carrier"},
			models.RetrainFailed, "nulls: 40 % of carrier"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.lifecycles()
			h.at(time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
			h.at(2*time.Second, models.SignalLifecycleClosed, test.closed)
			h.runSteward(h.holding(retrained(nil)), time.Minute)
			told := h.settled(t, "a")
			require.Equal(t, test.want, told.Outcome)
			require.Equal(t, test.reason, told.Reason)
			retry := time.Time{}
			if test.want == models.RetrainFailed {
				retry = day(8, 19) // it may be tried again after the cooldown
			}
			require.Equal(t, retry, told.RetryAt)
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		state   models.StewardState
		request models.RetrainRequest
		want    models.RetrainOutcome
		retryAt time.Time
		reason  string
	}{
		"no champion": {models.StewardState{Model: "m"}, alarm("r", day(8, 1)), models.RetrainImpossible, time.Time{}, "no champion"},
		"about a version that has gone": {retrained(nil), models.RetrainRequest{RequestID: "r", AsOf: day(8, 1), Endpoint: "flights", Champion: "0",
			Trigger: models.Trigger{Kind: models.TriggerAlarm}}, models.RetrainImpossible, time.Time{}, "version 1 is"},
		"in flight": {retrained(nil, models.Retraining{RequestID: "x", LifecycleID: "lifecycle/m/x", AsOf: day(7, 1), Champion: "1"}),
			alarm("r", day(8, 1)), models.RetrainInFlight, time.Time{}, "lifecycle/m/x"},
		"cooldown":                 {retrained(nil, past(day(7, 25), models.RetrainNotHelping)), alarm("r", day(8, 1)), models.RetrainCooling, day(8, 8), "the cooldown is 14d"},
		"older data than the last": {retrained(nil, past(day(7, 25), models.RetrainPromoted)), alarm("r", day(7, 1)), models.RetrainCooling, day(8, 8), "cooldown"},
		"the last one saw older data": {retrained(nil, past(day(7, 25), models.RetrainPromoted), past(day(7, 1), models.RetrainPromoted)),
			alarm("r", day(8, 1)), models.RetrainCooling, day(8, 8), "2013-07-25"},
		"runs": {retrained(func(r *models.RetrainSpec) {
			r.Cooldown, r.Budget = models.Day, &models.RetrainBudget{Per: 30 * models.Day, Runs: 2}
		}, past(day(7, 10), models.RetrainPromoted), past(day(7, 20), models.RetrainPromoted)),
			alarm("r", day(8, 1)), models.RetrainUnpaid, day(8, 9), "2 retrainings"},
		"the cooldown lasts longer than the budget": {retrained(func(r *models.RetrainSpec) {
			r.Cooldown, r.Budget = 60*models.Day, &models.RetrainBudget{Per: 30 * models.Day, Runs: 1}
		}, past(day(7, 20), models.RetrainPromoted)), alarm("r", day(8, 1)), models.RetrainCooling, day(9, 18), "cooldown"},
		"three in a row": {retrained(nil, past(day(1, 1), models.RetrainFailed), past(day(2, 1), models.RetrainNotHelping), past(day(3, 1), models.RetrainFailed)),
			alarm("r", day(8, 1)), models.RetrainAsksPerson, time.Time{}, "`mainspring monitor flights retrain"},
		"alarms are off": {retrained(func(r *models.RetrainSpec) { r.Off = true }), alarm("r", day(8, 1)), models.RetrainImpossible, time.Time{}, "alarms start nothing"},
		"a schedule that the spec does not have": {retrained(nil), models.RetrainRequest{RequestID: "r", AsOf: day(8, 1), Endpoint: "flights",
			Trigger: models.Trigger{Kind: models.TriggerSchedule}}, models.RetrainImpossible, time.Time{}, "no schedule"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			specs := h.lifecycles()
			h.at(time.Second, models.SignalRetrain, test.request)
			h.runSteward(h.holding(test.state), time.Minute)
			told := h.settled(t, "r")
			require.Empty(t, *specs)
			require.Equal(t, test.want, told.Outcome)
			require.Equal(t, test.retryAt, told.RetryAt)
			require.Contains(t, told.Reason, test.reason)
			records := status[models.StewardStatus](t, h).Records
			require.Equal(t, models.ActionRetrainRefused, records[len(records)-1].Action)
			require.Contains(t, records[len(records)-1].Reason, string(test.want)+": ")
		})
	}
}

// The first moment at which a refused request succeeds is the one it was told.
func TestARequestSucceedsWhenItWasTold(t *testing.T) {
	paid := func(seconds float64, asOf time.Time) models.Retraining {
		r := past(asOf, models.RetrainPromoted)
		r.GPUSeconds = seconds
		return r
	}
	for name, test := range map[string]struct {
		state   models.StewardState
		retryAt time.Time
	}{
		"cooldown": {retrained(nil, past(day(7, 25), models.RetrainNotHelping)), day(8, 8)},
		"runs": {retrained(func(r *models.RetrainSpec) {
			r.Cooldown, r.Budget = models.Day, &models.RetrainBudget{Runs: 2} // per defaults to 30d
		}, past(day(7, 20), models.RetrainPromoted), past(day(7, 5), models.RetrainPromoted), past(day(7, 10), models.RetrainPromoted)), day(8, 9)},
		// 2 + 1 + 1.5 hours: without the first, 2.5 are below 3.
		"GPU-hours": {retrained(func(r *models.RetrainSpec) {
			r.Cooldown, r.Budget = models.Day, &models.RetrainBudget{GPUHours: 3}
		}, paid(7200, day(7, 4)), paid(3600, day(7, 10)), paid(5400, day(7, 20))), day(8, 3)},
		// Only what is left of 3 hours exactly is still spent: two must leave.
		"GPU-hours to the second": {retrained(func(r *models.RetrainSpec) {
			r.Cooldown, r.Budget = models.Day, &models.RetrainBudget{GPUHours: 3}
		}, paid(60, day(7, 3)), paid(7200, day(7, 4)), paid(10800, day(7, 5))), day(8, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			specs := h.lifecycles()
			h.at(1*time.Second, models.SignalRetrain, alarm("now", day(8, 1)))
			h.at(2*time.Second, models.SignalRetrain, alarm("too early", test.retryAt.Add(-time.Microsecond)))
			h.at(3*time.Second, models.SignalRetrain, alarm("in time", test.retryAt))
			h.runSteward(h.holding(test.state), time.Minute)
			require.Equal(t, test.retryAt, h.settled(t, "now").RetryAt)
			require.Equal(t, test.retryAt, h.settled(t, "too early").RetryAt)
			require.Equal(t, models.RetrainStarted, h.settled(t, "in time").Outcome)
			require.Len(t, *specs, 1)
		})
	}
}

func TestAPersonInsists(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	force := func(id string, n int) models.RetrainRequest {
		r := alarm(id, day(8, n))
		r.Force, r.Trigger = true, models.Trigger{Kind: models.TriggerManual, Reason: "the data is mended", By: "ada"}
		return r
	}
	state := retrained(func(r *models.RetrainSpec) { r.Off, r.Budget = true, &models.RetrainBudget{Runs: 1} },
		past(day(5, 1), models.RetrainFailed), past(day(6, 1), models.RetrainFailed), past(day(7, 30), models.RetrainFailed))
	h.at(1*time.Second, models.SignalRetrain, force("first", 1))
	h.at(2*time.Second, models.SignalRetrain, force("second", 1)) // one is in flight: not even now
	h.at(3*time.Second, models.SignalLifecycleClosed, endedAs("2013-08-01", models.LifecycleResult{RefusedBy: models.RefusedByGate}))
	h.at(4*time.Second, models.SignalRetrain, force("third", 1))
	h.runSteward(h.holding(state), time.Minute)

	require.Equal(t, []string{"first started", "second in_flight", "first not_helping", "second cooling", "third started"}, h.heard())
	require.Equal(t, day(8, 1), h.settled(t, "second").RetryAt, "it may ask again at once")
	require.Len(t, *specs, 2)
	require.Equal(t, "ada", (*specs)[0].Trigger.By)
	s := status[models.StewardStatus](t, h)
	require.Contains(t, s.Records[0].Reason, "ada insists")
	require.Empty(t, s.Waiting, "failures count anew from what a person insisted on")
	// The same day again has its own lifecycle.
	require.Equal(t, models.LifecycleID("m", "2013-08-01"), s.Retrainings[3].LifecycleID)
	require.Equal(t, models.LifecycleID("m", "2013-08-01-2"), s.Retrainings[4].LifecycleID)
}

func TestFailuresCountAnewAfterAPersonInsisted(t *testing.T) {
	forced := past(day(4, 1), models.RetrainFailed)
	forced.Forced = true
	three := []models.Retraining{past(day(1, 1), models.RetrainFailed), past(day(2, 1), models.RetrainFailed), past(day(3, 1), models.RetrainFailed)}
	for failures, want := range map[int]models.RetrainOutcome{1: models.RetrainStarted, 2: models.RetrainAsksPerson} {
		all := append(three[:3:3], forced)
		for i := range failures {
			all = append(all, past(day(time.Month(5+i), 1), models.RetrainFailed))
		}
		h := newHouse(t)
		h.lifecycles()
		h.at(time.Second, models.SignalRetrain, alarm("r", day(8, 1)))
		h.runSteward(h.holding(retrained(nil, all...)), time.Minute)
		require.Equal(t, want, h.settled(t, "r").Outcome, "the forced one and %d more failed", failures)
		if want == models.RetrainAsksPerson {
			require.Contains(t, status[models.StewardStatus](t, h).Waiting, "the last 3 retrainings promoted nothing")
		}
	}
}

// A lifecycle that a person started, or that was forgotten here, has its ID.
func TestARetrainingTakesNobodysLifecycleID(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	state := retrained(nil)
	state.Versions[0].Candidate.Lifecycle = models.LifecycleID("m", "2013-08-05")
	h.at(time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	h.runSteward(h.holding(state), time.Minute)
	require.Len(t, *specs, 1)
	require.Equal(t, models.LifecycleID("m", "2013-08-05-2"), h.settled(t, "a").Lifecycle)
}

func TestTheWindowOfARetraining(t *testing.T) {
	for name, test := range map[string]struct {
		from   models.RetrainFrom
		change time.Time
		want   models.Duration
	}{
		"all of it":                       {models.RetrainFromWindow, day(7, 1), 59 * models.Day},
		"since the change":                {models.RetrainFromChange, day(7, 5), 31 * models.Day},
		"not shorter than min_window":     {models.RetrainFromChange, day(8, 1), 20 * models.Day},
		"not longer than window":          {models.RetrainFromChange, day(1, 1), 59 * models.Day},
		"the change is not known":         {models.RetrainFromChange, time.Time{}, 59 * models.Day},
		"no part of a second is left out": {models.RetrainFromChange, day(7, 5).Add(-time.Millisecond), 31*models.Day + models.Duration(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			specs := h.lifecycles()
			request := alarm("a", day(8, 5))
			request.Trigger.Change, request.Trigger.At = test.change, day(8, 3)
			h.at(time.Second, models.SignalRetrain, request)
			h.runSteward(h.holding(retrained(func(r *models.RetrainSpec) {
				r.From, r.Window, r.Holdout, r.MinWindow = test.from, 59*models.Day, 7*models.Day, 20*models.Day
			})), time.Minute)
			data := (*specs)[0].Data
			require.Equal(t, test.want, data.Window)
			require.Equal(t, request.Trigger, *(*specs)[0].Trigger)
			// The gate compares on the newest: the held-out part ends as of the alarm.
			train, heldOut := dataset.Spans(data)
			require.Equal(t, day(8, 5), heldOut.To)
			require.Equal(t, day(7, 29), heldOut.From)
			require.Equal(t, heldOut.From, train.To)
		})
	}
}

// Where a hash splits, a retraining holds the same values out as the champion's
// training did: none of them has been learnt from.
func TestARetrainingKeepsAHashSplit(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	h.at(time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	state := retrained(nil)
	split := models.SplitSpec{By: models.SplitByHash, Column: "id", Fraction: 0.2, Salt: "s"}
	state.Versions[0].Spec.Data.Holdout, state.Versions[0].Spec.Data.Split = 0, split
	h.runSteward(h.holding(state), time.Minute)
	data := (*specs)[0].Data
	require.Equal(t, split, data.Split)
	require.Zero(t, data.Holdout)
	train, heldOut := dataset.Spans(data)
	require.Equal(t, train, heldOut)
	require.Equal(t, day(8, 5), heldOut.To)
}

// A row counts only when its label was known as of the request: the newest rows
// that were not matured then are in neither part.
func TestARetrainingSeesMaturedLabelsOnly(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	h.at(time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	state := retrained(nil)
	state.Versions[0].Spec.Data.LabelTime = "known"
	h.runSteward(h.holding(state), time.Minute)

	spec := (*specs)[0].Data
	micros := func(moments ...time.Time) (all []int64) {
		for _, at := range moments {
			all = append(all, at.UnixMicro())
		}
		return all
	}
	hour := func(n int) time.Time { return day(8, 5).Add(time.Duration(n) * time.Hour) }
	table := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: dataset.TypeString, Strings: []string{"trained", "first of the holdout", "newest", "not matured", "after"}},
		{Name: "sched_dep", Type: dataset.TypeTimestamp, Ints: micros(hour(-15*24), hour(-14*24), hour(-5), hour(-5), hour(1))},
		{Name: "known", Type: dataset.TypeTimestamp, Ints: micros(hour(-14*24), hour(-13*24), hour(0), hour(0).Add(time.Microsecond), hour(2))},
		{Name: "late", Type: dataset.TypeInt64, Ints: []int64{0, 1, 1, 0, 1}},
		{Name: "x", Type: dataset.TypeInt64, Ints: []int64{1, 2, 3, 4, 5}},
	}}
	source := dataset.Source{}
	for _, series := range table.Series {
		source.Fields = append(source.Fields, dataset.Field{Name: series.Name, Type: series.Type})
	}
	columns, err := dataset.Resolve(spec, source)
	require.NoError(t, err)
	dividing, err := division.New(division.Plan{Spec: spec, Columns: columns})
	require.NoError(t, err)
	chunk := dataset.Chunk{First: 1}
	for _, c := range columns {
		chunk.Table.Series = append(chunk.Table.Series, *table.Column(c.Name))
	}
	require.NoError(t, dividing.Add(chunk))
	share := dividing.Finish()
	require.Equal(t, []string{"trained"}, share.Train.Column("id").Strings)
	require.Equal(t, []string{"first of the holdout", "newest"}, share.Test.Column("id").Strings)
}

func TestAChampionReleasedByHandIsRetrainedAgain(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	state := retrained(nil, past(day(1, 1), models.RetrainFailed), past(day(2, 1), models.RetrainFailed), past(day(3, 1), models.RetrainFailed))
	state.Champion, state.Versions = "2", append(state.Versions, version("2"))
	h.at(time.Second, models.SignalRetrain, alarm("a", day(8, 1)))
	h.runSteward(h.holding(state), time.Minute)
	require.Len(t, *specs, 1)
	require.Equal(t, "2", status[models.StewardStatus](t, h).Retrainings[3].Champion)
}

func TestAChampionWithoutMonitorIsNotRetrained(t *testing.T) {
	h := newHouse(t)
	specs := h.lifecycles()
	state := retrained(nil)
	state.Versions[0].Spec.Monitor = nil
	h.at(time.Second, models.SignalRetrain, alarm("a", day(8, 1))) // the monitor of a champion before
	h.runSteward(h.holding(state), time.Minute)
	require.Empty(t, *specs)
	require.Equal(t, models.RetrainImpossible, h.settled(t, "a").Outcome)
	require.Contains(t, h.settled(t, "a").Reason, "no monitor section")
}

func TestStewardSettlesATerminatedRetraining(t *testing.T) {
	h := newHouse(t)
	h.closed = []string{"lifecycle/m/gone"}
	state := retrained(nil, models.Retraining{RequestID: "a", LifecycleID: "lifecycle/m/gone", Endpoint: "flights", ReplyTo: "retrain/m-1"})
	h.runSteward(h.holding(state), 9*time.Minute)
	require.Equal(t, []string{"a failed"}, h.heard())
	require.Contains(t, h.settled(t, "a").Reason, "terminated")
	require.Equal(t, models.RetrainFailed, replies[models.RetrainSettled](h, models.SignalRetrainSettled)[0].Outcome)
}

// Who was refused for one in flight hears of its end; after a promotion there is
// a new champion, and nothing to ask again for.
func TestThoseWhoWaitAreToldOfTheEnd(t *testing.T) {
	h := newHouse(t)
	h.lifecycles()
	h.at(1*time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	h.at(2*time.Second, models.SignalRetrain, alarm("b", day(8, 6)))
	h.at(3*time.Second, models.SignalLifecycleClosed, endedAs("2013-08-05", models.LifecycleResult{Promoted: true, Version: "2"}))
	h.runSteward(h.holding(retrained(nil)), time.Minute)
	require.Equal(t, []string{"a started", "b in_flight", "a promoted"}, h.heard())

	again := newHouse(t)
	again.lifecycles()
	again.at(1*time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	again.at(2*time.Second, models.SignalRetrain, alarm("b", day(8, 20))) // after the cooldown
	again.at(3*time.Second, models.SignalLifecycleClosed, models.LifecycleClosed{LifecycleID: models.LifecycleID("m", "2013-08-05"), Error: "no rows"})
	again.at(4*time.Second, models.SignalRetrain, alarm("b/2", day(8, 20)))
	again.runSteward(again.holding(retrained(nil)), time.Minute)
	require.Equal(t, []string{"a started", "b in_flight", "a failed", "b cooling", "b/2 started"}, again.heard())
	require.Equal(t, day(8, 20), again.settled(t, "b").RetryAt)
}

func TestAnotherWorkflowIsToldToo(t *testing.T) {
	h := newHouse(t)
	h.lifecycles()
	request := alarm("retrain/m-1", day(8, 5))
	request.ReplyTo, request.Trigger.Kind = "retrain/m-1", models.TriggerSchedule
	second := request
	second.RequestID, second.ReplyTo = "retrain/m-2", "retrain/m-2"
	h.at(1*time.Second, models.SignalRetrain, request)
	h.at(2*time.Second, models.SignalRetrain, request) // missed the answer
	h.at(3*time.Second, models.SignalRetrain, second)
	h.at(4*time.Second, models.SignalLifecycleClosed, endedAs("2013-08-05", models.LifecycleResult{Promoted: true}))
	h.at(5*time.Second, models.SignalRetrain, request)
	h.runSteward(h.holding(retrained(func(r *models.RetrainSpec) { r.Schedule = &models.ScheduleSpec{Every: 7 * models.Day} })), time.Minute)

	var got []string
	for _, s := range h.sent(models.SignalRetrainSettled) {
		var m models.RetrainSettled
		decode(s.Arg, &m)
		got = append(got, fmt.Sprintf("%s %s", strings.TrimPrefix(s.To, "retrain/"), m.Outcome))
	}
	require.Equal(t, []string{"m-1 started", "m-1 started", "m-2 in_flight", "m-1 promoted", "m-1 promoted"}, got)
	require.Equal(t, []string{"retrain/m-1 started", "retrain/m-2 in_flight", "retrain/m-1 promoted"}, h.heard())
}

func TestStewardKeepsTheScheduleOfItsChampion(t *testing.T) {
	h := newHouse(t)
	h.route = models.Route{Generation: 3}
	h.judging(models.RolloutResult{Verdict: models.VerdictPass, Reason: "safe", Generation: 3})
	state := retrained(nil)
	next := version("2")
	next.Spec.Monitor.Retrain.Schedule = &models.ScheduleSpec{Cron: "0 4 * * 1"}
	state.Versions = append(state.Versions, next)
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "2"})
	// A schedule of before fires once more, for a champion that has none.
	h.runSteward(h.holding(state), time.Minute)
	require.Equal(t, []models.ScheduleRequest{{Model: "m", Endpoint: "flights",
		Schedule: &models.ScheduleSpec{Cron: "0 4 * * 1", CatchUp: models.Duration(time.Hour)}}}, h.schedules)

	without := newHouse(t)
	request := alarm("retrain/m-1", day(8, 5))
	request.Trigger.Kind = models.TriggerSchedule
	without.at(time.Second, models.SignalRetrain, request)
	without.runSteward(without.holding(retrained(nil)), time.Minute)
	require.Equal(t, []models.ScheduleRequest{{Model: "m", Endpoint: "flights"}}, without.schedules, "it is deleted")
}

// What the policy counts, and who waits, is there in the next run.
func TestStewardCarriesWhatThePolicyCounts(t *testing.T) {
	h := newHouse(t)
	h.lifecycles()
	var all []models.Retraining
	for i := range 60 {
		r := past(day(1, 1).Add(time.Duration(i)*48*time.Hour), models.RetrainNotHelping)
		r.Reason, r.GPUSeconds = "gain below 0", 600
		all = append(all, r)
	}
	state := retrained(func(r *models.RetrainSpec) {
		r.MaxFailures, r.Budget = 100, &models.RetrainBudget{Per: 365 * models.Day, Runs: 62}
	}, all...)
	h.at(1*time.Second, models.SignalRetrain, alarm("a", day(8, 5)))
	h.at(2*time.Second, models.SignalRetrain, alarm("b", day(8, 30)))
	h.suggestNewRun(time.Minute)
	h.ExecuteWorkflow(models.ModelStewardWorkflow, h.holding(state))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.StewardState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Retrainings, 61)
	require.Empty(t, carried.Retrainings[0].Reason, "of old ones only the sums count")
	require.NotEmpty(t, carried.Retrainings[59].Reason)
	require.Len(t, carried.Refused, 1)

	second := newHouse(t)
	second.lifecycles()
	second.at(1*time.Second, models.SignalLifecycleClosed, endedAs("2013-08-05", models.LifecycleResult{RefusedBy: models.RefusedByGate}))
	second.at(2*time.Second, models.SignalRetrain, alarm("b/2", day(8, 30)))
	second.at(3*time.Second, models.SignalLifecycleClosed, endedAs("2013-08-30", models.LifecycleResult{RefusedBy: models.RefusedByGate}))
	second.at(4*time.Second, models.SignalRetrain, alarm("c", day(9, 30)))
	second.runSteward(second.holding(carried), time.Minute)
	require.Equal(t, []string{"a not_helping", "b cooling", "b/2 started", "b/2 not_helping", "c unpaid"}, second.heard())
	require.Equal(t, day(1, 1).AddDate(0, 0, 365), second.settled(t, "c").RetryAt)
}
