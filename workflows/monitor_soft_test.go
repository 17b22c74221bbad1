package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// TestSignalsAreTakenWhileTheReferenceIsBuilt: the first can't be built for an
// hour, and the next champion does not wait for that.
func TestSignalsAreTakenWhileTheReferenceIsBuilt(t *testing.T) {
	w := newTower(t, days(30, steady))
	w.reference = func(r models.ReferenceRequest) (models.MonitorReference, error) {
		if r.Watch.Version == "1" {
			return models.MonitorReference{}, activity.ErrResultPending
		}
		return referenceFor(r.Watch), nil
	}
	w.RegisterDelayedCallback(func() {
		s := status[models.MonitorStatus](t, w.house)
		require.Contains(t, s.Waiting, "the reference of version 1")
		require.Empty(t, s.Blocks)
	}, 50*time.Minute)
	w.at(time.Hour, models.SignalWatch, watch("w2", "2"))
	s := w.watching(t, watch("w1", "1"), 2*time.Hour)
	require.Equal(t, "2", s.Watch.Version)
	require.Len(t, s.Blocks, 30)
	require.EqualValues(t, 30, s.Detector.Observed)
}

// TestASilentStoreIsNoSilentMonitor: what is asked for ever is said aloud.
func TestASilentStoreIsNoSilentMonitor(t *testing.T) {
	w := newTower(t, days(30, steady))
	w.scoreErr = func(call int) error {
		if call > 1 {
			return activity.ErrResultPending
		}
		return nil
	}
	s := w.watching(t, watch("w1", "1"), time.Hour)
	require.Contains(t, s.Trouble, "no answer from ScoreBlocks for 15m0s; the pending activity of monitor/flights")
	require.Contains(t, s.Waiting, s.Trouble)
	require.Equal(t, s.Trouble, s.Actions[len(s.Actions)-1].Failed)
}

// TestAPollLeavesNoTimerBehind: one that stayed would wake the workflow later,
// for each poll and each call.
func TestAPollLeavesNoTimerBehind(t *testing.T) {
	w := newTower(t, days(30, steady))
	begun, ended := 0, 0
	w.SetOnTimerScheduledListener(func(string, time.Duration) { begun++ })
	w.SetOnTimerCanceledListener(func(string) { ended++ })
	w.SetOnTimerFiredListener(func(string) { ended++ })
	w.RegisterDelayedCallback(func() { require.LessOrEqual(t, begun-ended, 1, "the poll's own") }, 10*time.Hour-time.Second)
	w.watching(t, watch("w1", "1"), 10*time.Hour)
	require.Greater(t, begun, 200)
}

func TestLossesOfTheEvaluationStandInForALostReference(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.reference = func(models.ReferenceRequest) (models.MonitorReference, error) {
		return models.MonitorReference{}, fail(models.KindNotFound, "the snapshot is gone")
	}
	s := w.watching(t, watch("w1", "1"), time.Hour)
	require.Contains(t, s.Reference.Note, "the snapshot is gone")
	require.InDelta(t, 0.509, s.Alarms[0].Reference, 1e-9)
	require.Empty(t, w.explained, "there is nothing to hold the inputs against")
	require.Empty(t, w.compared)
}

// TestAMonitorOutlivesWhatItCantScore: it says so, and goes on when it can.
func TestAMonitorOutlivesWhatItCantScore(t *testing.T) {
	w := newTower(t, days(30, steady))
	w.scoreErr = func(call int) error {
		if call <= 10 {
			return fail(models.KindInvalidSpec, `there is no output "probability"`)
		}
		return nil
	}
	w.RegisterDelayedCallback(func() {
		s := status[models.MonitorStatus](t, w.house)
		require.Equal(t, `there is no output "probability"`, s.Trouble)
		require.Contains(t, s.Waiting, `tries again every 5m0s: there is no output`)
		failures := 0
		for _, e := range s.Actions {
			if e.Failed != "" {
				failures++
			}
		}
		require.Equal(t, 1, failures, "said once, not every five minutes")
	}, 30*time.Minute)
	s := w.watching(t, watch("w1", "1"), 2*time.Hour)
	require.Empty(t, s.Trouble)
	require.Len(t, s.Blocks, 30)
}

// TestExplainingNeverStopsJudging: neither a failure for good nor a store that
// never answers.
func TestExplainingNeverStopsJudging(t *testing.T) {
	for name, err := range map[string]error{"for good": fail(models.KindInvalidSpec, "no bins"), "for ever": errStore} {
		t.Run(name, func(t *testing.T) {
			w := newTower(t, aDayEveryTenMinutes(90, jump(60)))
			w.compareErr, w.explainErr = err, err
			s := w.watching(t, watch("w1", "1"), 30*time.Hour)
			require.Len(t, s.Blocks, 90)
			require.Len(t, w.retrainRequests(), 1)
			require.Nil(t, s.Inputs)
			require.Empty(t, s.Errands, "given up after an hour")
			failed := map[string]bool{}
			for _, e := range s.Actions {
				failed[e.Text] = failed[e.Text] || e.Failed != ""
			}
			require.True(t, failed["the inputs can't be compared"])
		})
	}
}

// TestInputsAreComparedWhenThereIsSomethingNew, not at every look.
func TestInputsAreComparedWhenThereIsSomethingNew(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(20, steady))
	s := w.watching(t, watch("w1", "1"), 10*time.Hour)
	require.Greater(t, w.scoreCalls, 100)
	require.GreaterOrEqual(t, len(w.compared), 20)
	require.LessOrEqual(t, len(w.compared), 40, "first and last looks")
	require.Equal(t, 20, s.Inputs.Blocks, "all blocks since the champion is watched")
}

func notified(on ...models.NoticeKind) models.WatchRequest {
	request := watch("w1", "1")
	request.Spec.Notify = []models.NotifySpec{{URL: "env:HOOK", Format: models.NotifySlack, On: on}}
	return request
}

func TestPeopleAreToldOfWhatTheyWantToKnow(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.answer = func(models.RetrainRequest) []stewardNews {
		return []stewardNews{says(models.RetrainStarted, ""), {after: time.Hour, settled: &models.RetrainSettled{Outcome: models.RetrainNotHelping, Reason: "gain 0"}}}
	}
	w.watching(t, notified(models.NoticeAlarm, models.NoticeNotHelping), 2*time.Hour)
	require.Len(t, w.notices, 2)
	require.Equal(t, models.NoticeAlarm, w.notices[0].Notice.Kind)
	require.Equal(t, "flights: version 1 got worse", w.notices[0].Notice.Title)
	require.Contains(t, w.notices[0].Notice.Text, "reference 0.509")
	require.Equal(t, models.NoticeNotHelping, w.notices[1].Notice.Kind)
	require.NotEqual(t, w.notices[0].Notice.ID, w.notices[1].Notice.ID)
}

func TestANoticeThatDoesNotArriveIsOnRecord(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(90, jump(60)))
	w.noticeErr = func(int) error { return errStore }
	s := w.watching(t, notified(models.NoticeAlarm), 30*time.Hour)
	require.Len(t, s.Blocks, 90)
	require.Empty(t, s.Errands, "given up after an hour")
	ids := map[string]bool{}
	for _, n := range w.notices {
		ids[n.Notice.ID] = true
	}
	require.Len(t, ids, 1, "all attempts have the same ID")
	last := s.Actions[len(s.Actions)-1]
	require.Contains(t, last.Text, "did not arrive")
	require.NotContains(t, last.Text+last.Failed, "HOOK", "the address may be a secret")
}

// TestANewRunBeginsErrandsAgain that the last one could not finish.
func TestANewRunBeginsErrandsAgain(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.noticeErr = func(int) error { return activity.ErrResultPending }
	w.RegisterDelayedCallback(func() { w.SetContinueAsNewSuggested(true) }, time.Minute)
	w.at(time.Second, models.SignalWatch, notified(models.NoticeAlarm))
	w.ExecuteWorkflow(models.MonitorWorkflow, models.MonitorState{Endpoint: "flights"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, w.GetWorkflowError(), &next)
	var carried models.MonitorState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Errands, 1)

	second := newTower(t, days(90, jump(60)))
	second.SetStartTime(w.Now())
	second.runMonitor(carried, time.Hour)
	require.Len(t, second.notices, 1)
	require.Equal(t, w.notices[0].Notice, second.notices[0].Notice)
	require.Empty(t, status[models.MonitorStatus](t, second.house).Errands)
}

// TestTheExplanationWithTheVerdictIsTheLast, even if the first one takes longer
// than the retraining.
func TestTheExplanationWithTheVerdictIsTheLast(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.explainFails = 3
	w.answer = func(models.RetrainRequest) []stewardNews {
		no := says(models.RetrainNotHelping, "gain 0")
		no.after = 10 * time.Millisecond
		no.settled.Gate = &models.GateVerdict{Verdict: models.VerdictFail, Reason: "not better"}
		return []stewardNews{no}
	}
	s := w.watching(t, watch("w1", "1"), 2*time.Hour)
	require.Equal(t, "because; not better", s.Alarms[0].Explanation.Words)
}

// TestANewRunWaitsForWhatTheStewardIsAsked: nobody else would ask it.
func TestANewRunWaitsForWhatTheStewardIsAsked(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.deaf = 6 // for some 15 seconds
	w.RegisterDelayedCallback(func() { w.SetContinueAsNewSuggested(true); w.SignalWorkflow(models.SignalCheck, struct{}{}) }, 3*time.Second)
	w.at(time.Second, models.SignalWatch, watch("w1", "1"))
	w.ExecuteWorkflow(models.MonitorWorkflow, models.MonitorState{Endpoint: "flights"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, w.GetWorkflowError(), &next)
	require.Len(t, w.steward, 7, "until it has arrived")
}

// TestAnErrandThatOutlivedItsReferenceIsDropped: a version that is champion
// again may have a reference of losses only.
func TestAnErrandThatOutlivedItsReferenceIsDropped(t *testing.T) {
	w := newTower(t, days(10, steady))
	request := watch("w1", "1")
	begin := models.MonitorState{Endpoint: "flights", Watch: &request, Reference: &models.MonitorReference{},
		Alarms:   []models.Alarm{{RequestID: "monitor/flights/alarm/1/2013-03-05", Version: "1", Settled: true}},
		Evidence: []models.BlockRun{{Start: march, Length: models.Day, Count: 3}},
		Errands: []models.MonitorErrand{{ID: "compare/1", Since: w.Now(), Compare: true},
			{ID: "explain/2", Since: w.Now(), Explain: &models.ExplainErrand{Alarm: "monitor/flights/alarm/1/2013-03-05"}}}}
	w.runMonitor(begin, time.Hour)
	s := status[models.MonitorStatus](t, w.house)
	require.Empty(t, s.Errands)
	require.Empty(t, w.compared)
	require.Empty(t, w.explained)
	require.Len(t, s.Blocks, 10)
}
