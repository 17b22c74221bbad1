package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// arriving watches a source; after two hours two partitions are new, until a
// retraining has been asked for.
func arriving(t *testing.T, w *tower) models.WatchRequest {
	t.Helper()
	start := w.Now()
	w.arrivals = func(r models.ArrivalRequest) (models.ArrivalState, error) {
		switch {
		case r.State == nil || w.Now().Sub(start) < 2*time.Hour:
			return models.ArrivalState{Count: 10}, nil
		case r.State.Count == 12 && r.State.New == 0:
			return *r.State, nil // they are known
		default:
			return models.ArrivalState{Count: 12, New: 2, Newest: march.AddDate(0, 0, 25), Changed: start.Add(2 * time.Hour), Example: "s3://b/12.parquet"}, nil
		}
	}
	request := watch("w1", "1")
	request.Spec.Retrain.Arrival = &models.ArrivalSpec{Partitions: 2}
	request.Spec = request.Spec.WithDefaults()
	return request
}

func TestArrivalsAskForOneRetraining(t *testing.T) {
	w := newTower(t, days(30, steady))
	w.answer = func(models.RetrainRequest) []stewardNews {
		return []stewardNews{says(models.RetrainStarted, ""), {after: time.Hour, settled: &models.RetrainSettled{Outcome: models.RetrainNotHelping, Reason: "gain 0"}}}
	}
	s := w.watching(t, arriving(t, w), 8*time.Hour)
	requests := w.retrainRequests()
	require.Len(t, requests, 1)
	require.Equal(t, models.TriggerArrival, requests[0].Trigger.Kind)
	require.Equal(t, march.AddDate(0, 0, 25), requests[0].AsOf)
	require.Contains(t, requests[0].Trigger.Reason, "s3://b/12.parquet")
	require.Nil(t, s.Request)
	require.Zero(t, s.Arrival.New)
}

func TestArrivalsThatWereRefusedWait(t *testing.T) {
	w := newTower(t, days(30, steady))
	w.answer = func(models.RetrainRequest) []stewardNews {
		cooling := says(models.RetrainCooling, "too early")
		cooling.settled.RetryAt = march.AddDate(0, 0, 40)
		return []stewardNews{cooling}
	}
	s := w.watching(t, arriving(t, w), 8*time.Hour)
	require.Len(t, w.retrainRequests(), 1, "not at every look")
	require.Equal(t, 2, s.Arrival.New, "they count when newer ones come")
	require.Nil(t, s.Request)
}

// TestAnAlarmWaitsForTheRetrainingOfAnArrival: one request of the monitor at a
// time.
func TestAnAlarmWaitsForTheRetrainingOfAnArrival(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(90, jump(13))) // the alarm comes within 48 days
	w.answer = func(r models.RetrainRequest) []stewardNews {
		if r.Trigger.Kind == models.TriggerArrival {
			return []stewardNews{says(models.RetrainStarted, ""), {after: 9 * time.Hour, settled: &models.RetrainSettled{Outcome: models.RetrainFailed, Reason: "no disk"}}}
		}
		return nil
	}
	w.RegisterDelayedCallback(func() {
		s := status[models.MonitorStatus](t, w.house)
		require.Len(t, s.Alarms, 1)
		require.Equal(t, models.AlarmWaiting, s.Alarms[0].State)
		require.Len(t, w.retrainRequests(), 1)
	}, 8*time.Hour)
	s := w.watching(t, arriving(t, w), 12*time.Hour)
	requests := w.retrainRequests()
	require.Len(t, requests, 2)
	require.Equal(t, models.TriggerAlarm, requests[1].Trigger.Kind)
	require.Equal(t, models.AlarmAsked, s.Alarms[0].State)
}

// TestANewChampionKnowsWhatHadArrivedWhenItWasTrained: the labels of what arrived
// are all older than the moment that its data is seen as of.
func TestANewChampionKnowsWhatHadArrivedWhenItWasTrained(t *testing.T) {
	for name, c := range map[string]struct {
		trained time.Duration // after the start; what arrived was found after two hours
		asks    int
	}{
		"trained before": {time.Hour, 2},
		"trained since":  {150 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTower(t, days(30, steady))
			start := w.Now()
			w.answer = func(models.RetrainRequest) []stewardNews {
				return []stewardNews{says(models.RetrainInFlight, "one runs")}
			}
			first := arriving(t, w)
			next := first
			next.RequestID, next.Version, next.Data.AsOf, next.Trained = "w2", "2", march.AddDate(0, 0, 26), start.Add(c.trained)
			w.at(4*time.Hour, models.SignalWatch, next)
			s := w.watching(t, first, 8*time.Hour)
			require.Len(t, w.retrainRequests(), c.asks)
			require.Equal(t, c.asks == 2, s.Arrival.New > 0)
		})
	}
}

func TestASourceThatCantBeListedHoldsUpNothing(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(30, steady))
	request := arriving(t, w)
	w.arrivals = func(models.ArrivalRequest) (models.ArrivalState, error) { return models.ArrivalState{}, errStore }
	s := w.watching(t, request, 8*time.Hour)
	require.Len(t, s.Blocks, 30)
	require.Greater(t, len(w.listed), 10)
}
