package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// says is a steward's answer after a minute.
func says(outcome models.RetrainOutcome, reason string) stewardNews {
	return stewardNews{after: time.Minute, settled: &models.RetrainSettled{Outcome: outcome, Reason: reason}}
}

func TestMonitorStartsAnewFromTheLevelThatRetrainingDidNotHelp(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(140, jump(40)))
	w.answer = func(models.RetrainRequest) []stewardNews {
		runs, no := says(models.RetrainStarted, ""), says(models.RetrainNotHelping, "gain below 0")
		runs.settled.Lifecycle = "lifecycle/m/2013-04-12"
		no.after = 8 * time.Hour
		no.settled.Gate = &models.GateVerdict{Verdict: models.VerdictFail, Reason: "not better than the champion"}
		return []stewardNews{runs, no}
	}
	s := w.watching(t, watch("w1", "1"), 30*time.Hour)
	require.Len(t, s.Blocks, 140)
	require.Len(t, s.Alarms, 1, "the new level raises no second alarm")
	a := s.Alarms[0]
	require.True(t, a.Settled)
	require.False(t, a.Promoted)
	require.Equal(t, models.AlarmNotHelping, a.State)
	require.Equal(t, "retraining does not help: gain below 0", a.Action)
	require.Equal(t, "lifecycle/m/2013-04-12", a.Lifecycle)
	require.Equal(t, "because; not better than the champion", a.Explanation.Words, "explained again with the verdict")
	require.Empty(t, s.Pending)
	require.Len(t, w.retrainRequests(), 1)
}

func TestMonitorFollowsANewChampion(t *testing.T) {
	reference := []float64{}
	for i := range 40 {
		reference = append(reference, 0.7+0.001*float64(i%10))
	}
	w := newTower(t, aDayEveryTenMinutes(120, jump(60)))
	next := watch("w2", "2", reference...)
	w.answer = func(models.RetrainRequest) []stewardNews {
		promoted := says(models.RetrainPromoted, "better")
		promoted.after = time.Hour
		return []stewardNews{says(models.RetrainStarted, ""), {after: 50 * time.Minute, watch: &next}, {after: 70 * time.Minute, watch: &next}, promoted}
	}
	s := w.watching(t, watch("w1", "1"), 30*time.Hour)
	require.Equal(t, "2", s.Watch.Version)
	require.Len(t, w.references, 2, "a request that repeats itself changes nothing")
	require.Empty(t, s.Pending)
	require.Len(t, s.Alarms, 1)
	require.Equal(t, models.AlarmPromoted, s.Alarms[0].State)
	require.True(t, s.Alarms[0].Promoted)
	versions := map[string]bool{}
	for d, b := range s.Blocks {
		require.Equal(t, march.AddDate(0, 0, d), b.Start, "no block is left out or judged twice")
		versions[b.Version] = true
	}
	require.Len(t, versions, 2)
}

// TestBlocksOfAnEarlierReignAreNotRecent: version 1 comes back; what it lost the
// first time is no reference for now.
func TestBlocksOfAnEarlierReignAreNotRecent(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(60, steady))
	w.at(4*time.Hour, models.SignalWatch, watch("w2", "2"))
	w.at(6*time.Hour, models.SignalWatch, watch("w3", "1"))
	w.answer = func(models.RetrainRequest) []stewardNews {
		return []stewardNews{says(models.RetrainNotHelping, "gain 0")}
	}
	w.log.first = losing(jump(50))
	s := w.watching(t, watch("w1", "1"), 12*time.Hour)
	require.NotEmpty(t, s.Alarms)
	first, last := s.Blocks[0], s.Blocks[len(s.Blocks)-1]
	require.Equal(t, first.Version, last.Version)
	require.True(t, s.Watched.After(march.AddDate(0, 0, 30)))
	require.Less(t, len(s.Reference.Blocks), 25, "those since it is champion again")
}

func TestARollbackClosesTheAlarmWithoutAPromotion(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	back := watch("w2", "0")
	w.at(time.Hour, models.SignalWatch, back)
	s := w.watching(t, watch("w1", "1"), 2*time.Hour)
	require.Equal(t, models.AlarmSuperseded, s.Alarms[0].State)
	require.True(t, s.Alarms[0].Settled)
	require.False(t, s.Alarms[0].Promoted)
	require.Equal(t, "version 0 took over", s.Alarms[0].Action)
}

// TestNobodyIsWatchedWhenTheSpecSaysSo: the new champion's has no monitor section.
func TestNobodyIsWatchedWhenTheSpecSaysSo(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(0, jump(20)))
	request := arriving(t, w)
	w.at(10*time.Hour, models.SignalWatch, models.WatchRequest{RequestID: "w2", Model: "m", Version: "2", Unwatched: true})
	w.at(12*time.Hour, models.SignalRetrainSettled, models.RetrainSettled{RequestID: "monitor/flights/arrival/1/1", Outcome: models.RetrainFailed})
	var judged int
	w.RegisterDelayedCallback(func() {
		s := status[models.MonitorStatus](t, w.house)
		judged = len(s.Blocks)
		require.Nil(t, s.Watch)
		require.Equal(t, models.AlarmSuperseded, s.Alarms[0].State)
		require.Equal(t, "a champion whose spec has a monitor section", s.Waiting)
	}, 13*time.Hour)
	w.at(14*time.Hour, models.SignalWatch, watch("w3", "3"))
	s := w.watching(t, request, 20*time.Hour)
	require.Len(t, s.Alarms, 2)
	require.Equal(t, "3", s.Watch.Version)
	require.Greater(t, len(s.Blocks), judged)
	for d, b := range s.Blocks {
		require.Equal(t, march.AddDate(0, 0, d), b.Start)
	}
}

func TestAnOlderWatchRequestIsHarmless(t *testing.T) {
	w := newTower(t, days(30, steady))
	first, second := watch("w1", "1"), watch("w2", "2")
	first.Decided, second.Decided = march, march.Add(time.Hour)
	w.at(time.Minute, models.SignalWatch, first)
	s := w.watching(t, second, time.Hour)
	require.Equal(t, "2", s.Watch.Version)
	require.Len(t, w.references, 1)
}

// TestMonitorAsksAgainWhenItMay: first another retraining is in the way, then
// the cooldown, then the retraining breaks.
func TestMonitorAsksAgainWhenItMay(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(0, jump(20)))
	var later time.Time
	w.answer = func(r models.RetrainRequest) []stewardNews {
		switch strings.Count(r.RequestID, "/") { // the fourth part is the attempt
		case 4:
			return []stewardNews{says(models.RetrainInFlight, "another one runs")}
		}
		switch r.RequestID[strings.LastIndex(r.RequestID, "/")+1:] {
		case "2":
			later = r.AsOf.AddDate(0, 0, 9)
			cooling := says(models.RetrainCooling, "too early")
			cooling.settled.RetryAt = later
			return []stewardNews{cooling}
		case "3":
			failed := says(models.RetrainFailed, "no disk left")
			failed.after = 30 * time.Minute
			failed.settled.RetryAt = r.AsOf.AddDate(0, 0, 14)
			return []stewardNews{says(models.RetrainStarted, ""), failed}
		default:
			return []stewardNews{says(models.RetrainAsksPerson, "three in a row")}
		}
	}
	s := w.watching(t, watch("w1", "1"), 20*time.Hour)
	requests := w.retrainRequests()
	require.Len(t, requests, 4)
	require.Len(t, s.Alarms, 1)
	base := s.Alarms[0].RequestID
	for i, suffix := range []string{"", "/2", "/3", "/4"} {
		require.Equal(t, base+suffix, requests[i].RequestID)
		require.False(t, requests[i].Force)
	}
	require.False(t, requests[2].AsOf.Before(later), "trained as of a moment that the cooldown allows")
	require.False(t, requests[3].AsOf.Before(requests[2].AsOf.AddDate(0, 0, 14)))
	require.Equal(t, models.AlarmPerson, s.Alarms[0].State)
	require.Contains(t, s.Waiting, "a person to decide")
	require.Greater(t, len(s.Blocks), 90, "meanwhile blocks are scored")
}

func TestMonitorAsksAgainWhenTheOtherRetrainingHasEnded(t *testing.T) {
	w := newTower(t, days(60, jump(40))) // time stands still
	w.answer = func(r models.RetrainRequest) []stewardNews {
		if strings.HasSuffix(r.RequestID, "/2") {
			return []stewardNews{says(models.RetrainStarted, "")}
		}
		return []stewardNews{says(models.RetrainInFlight, "another one runs")}
	}
	w.at(time.Hour, models.SignalRetrainSettled, models.RetrainSettled{RequestID: "retrain/m/1", Outcome: models.RetrainFailed, Reason: "no disk"})
	w.RegisterDelayedCallback(func() { require.Len(t, w.retrainRequests(), 1, "not before") }, 50*time.Minute)
	s := w.watching(t, watch("w1", "1"), 2*time.Hour)
	require.Len(t, w.retrainRequests(), 2)
	require.Equal(t, models.AlarmAsked, s.Alarms[0].State)
}

func TestWithRetrainOffAlarmsAreRecorded(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	request := watch("w1", "1")
	request.Spec.Retrain.Off = true
	s := w.watching(t, request, time.Hour)
	require.Len(t, s.Alarms, 1, "one, not one a day")
	require.Equal(t, models.AlarmRecorded, s.Alarms[0].State)
	require.NotNil(t, s.Alarms[0].Explanation)
	require.Empty(t, w.retrainRequests())
	require.Contains(t, s.Waiting, "`mainspring monitor flights retrain` or `accept`")
}

// TestAnAnswerThatWasLostIsAskedForAgain: with the same request, until there is
// one.
func TestAnAnswerThatWasLostIsAskedForAgain(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.answer = func(models.RetrainRequest) []stewardNews {
		if len(w.steward) < 3 {
			return nil
		}
		return []stewardNews{says(models.RetrainStarted, ""), says(models.RetrainAsksPerson, "three in a row")}
	}
	s := w.watching(t, watch("w1", "1"), 30*time.Hour)
	require.Len(t, w.steward, 3)
	require.Len(t, w.retrainRequests(), 1)
	require.Equal(t, models.AlarmPerson, s.Alarms[0].State)
	require.Nil(t, s.Asking)
}

// TestTheEndOfARequestWithoutAnAlarmIsAskedForAgain: alarms wait for it.
func TestTheEndOfARequestWithoutAnAlarmIsAskedForAgain(t *testing.T) {
	w := newTower(t, days(20, steady))
	w.answer = func(models.RetrainRequest) []stewardNews {
		if len(w.steward) == 1 {
			return []stewardNews{says(models.RetrainStarted, "")}
		}
		return []stewardNews{says(models.RetrainFailed, "it was terminated")}
	}
	var refused error
	w.orders(time.Minute, by(models.MonitorRetrain), &refused)
	s := w.watching(t, watch("w1", "1"), 30*time.Hour)
	require.NoError(t, refused)
	require.Len(t, w.steward, 2)
	require.Len(t, w.retrainRequests(), 1)
	require.Nil(t, s.Request)
}

// TestAnAskThatArrivedTwiceIsOneRequest: the steward dedupes by ID.
func TestAnAskThatArrivedTwiceIsOneRequest(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	w.deaf = 3
	w.watching(t, watch("w1", "1"), time.Hour)
	require.Len(t, w.steward, 4)
	require.Len(t, w.retrainRequests(), 1)
}
