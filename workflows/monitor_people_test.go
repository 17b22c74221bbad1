package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/mainspring-ml/mainspring/models"
)

// orders sends an order and notes what became of it.
func (w *tower) orders(after time.Duration, order models.MonitorOrder, said *error) {
	w.RegisterDelayedCallback(func() {
		w.UpdateWorkflow(models.UpdateMonitor, after.String(), &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(err error) { *said = err },
			OnComplete: func(_ any, err error) {
				if err != nil {
					*said = err
				}
			},
		}, order)
	}, after)
}

func by(action models.MonitorAction) models.MonitorOrder {
	return models.MonitorOrder{Action: action, By: "ada", Reason: "I know why"}
}

func TestWhatNobodyMayOrder(t *testing.T) {
	log := days(60, jump(40))
	none := days(10, steady)
	for name, c := range map[string]struct {
		log   *dailyLog
		order models.MonitorOrder
		first []models.MonitorOrder
		want  string
	}{
		"nobody's":            {log, models.MonitorOrder{Action: models.MonitorAccept}, nil, "does not say whose"},
		"a long reason":       {log, models.MonitorOrder{Action: models.MonitorAccept, By: "ada", Reason: strings.Repeat("x", 301)}, nil, "link to the rest"},
		"no action":           {log, models.MonitorOrder{Action: "explode", By: "ada"}, nil, "use retrain, accept, pause or resume"},
		"accept no alarm":     {none, by(models.MonitorAccept), nil, "nothing to accept"},
		"resume what goes on": {none, by(models.MonitorResume), nil, "not paused"},
		"pause twice":         {none, by(models.MonitorPause), []models.MonitorOrder{by(models.MonitorPause)}, "paused already by ada"},
		"retrain twice":       {none, by(models.MonitorRetrain), []models.MonitorOrder{by(models.MonitorRetrain)}, "asked for a retraining already: monitor/flights/order/1/1"},
		"retrain while asked": {log, by(models.MonitorRetrain), nil, "asked for a retraining already: monitor/flights/alarm"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTower(t, c.log)
			var refused error
			for i, first := range c.first {
				w.orders(time.Duration(i+1)*time.Minute, first, &refused)
			}
			w.orders(30*time.Minute, c.order, &refused)
			w.watching(t, watch("w1", "1"), time.Hour)
			require.ErrorContains(t, refused, c.want)
		})
	}
	t.Run("retrain without a champion", func(t *testing.T) {
		w := newTower(t, log)
		var refused error
		w.orders(time.Minute, by(models.MonitorRetrain), &refused)
		w.runMonitor(models.MonitorState{Endpoint: "flights"}, time.Hour)
		require.ErrorContains(t, refused, "no champion yet")
	})
}

// Once all gateways have been gone for a while nobody says how far the log is
// complete. It is complete as far as it was.
func TestAnOutageOfTheGatewaysTakesNothingBack(t *testing.T) {
	log := days(60, steady)
	begin := time.Time{}
	log.watermark = func(wall time.Time) time.Time {
		if begin.IsZero() {
			begin = wall
		}
		if wall.Sub(begin) > time.Hour {
			return time.Time{}
		}
		return march.AddDate(0, 0, 64)
	}
	w := newTower(t, log)
	var refused error
	w.orders(2*time.Hour, by(models.MonitorRetrain), &refused)
	s := w.watching(t, watch("w1", "1"), 3*time.Hour)
	require.NoError(t, refused)
	require.Len(t, w.retrainRequests(), 1)
	require.Equal(t, march.AddDate(0, 0, 61), w.retrainRequests()[0].AsOf, "when the last block's labels were known")
	require.Equal(t, march.AddDate(0, 0, 64), s.Watermark)
}

func TestAPersonAcceptsTheLevel(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(140, jump(40)))
	w.answer = func(models.RetrainRequest) []stewardNews {
		return []stewardNews{says(models.RetrainAsksPerson, "three in a row")}
	}
	var refused error
	w.orders(15*time.Hour, by(models.MonitorAccept), &refused)
	s := w.watching(t, watch("w1", "1"), 30*time.Hour)
	require.NoError(t, refused)
	require.Len(t, s.Alarms, 1, "the accepted level raises no alarm")
	require.Equal(t, models.AlarmAccepted, s.Alarms[0].State)
	require.True(t, s.Alarms[0].Settled)
	require.Contains(t, s.Alarms[0].Action, "ada, who says: I know why")
	require.Empty(t, s.Pending)
	require.True(t, s.Detector.Observed > 30, "they judge again")
	last := s.Actions[len(s.Actions)-1]
	require.Equal(t, "ada", last.By)
	require.Contains(t, last.Text, "accepted")
}

func TestAPersonInsistsOnARetraining(t *testing.T) {
	w := newTower(t, days(60, jump(40)))
	w.answer = func(r models.RetrainRequest) []stewardNews {
		if r.Force {
			return []stewardNews{says(models.RetrainStarted, "")}
		}
		return []stewardNews{says(models.RetrainAsksPerson, "three in a row")}
	}
	var refused error
	w.orders(30*time.Minute, by(models.MonitorRetrain), &refused)
	s := w.watching(t, watch("w1", "1"), time.Hour)
	require.NoError(t, refused)
	requests := w.retrainRequests()
	require.Len(t, requests, 2)
	require.True(t, requests[1].Force)
	require.Equal(t, s.Alarms[0].RequestID+"/2", requests[1].RequestID)
	require.Equal(t, models.TriggerManual, requests[1].Trigger.Kind)
	require.Equal(t, "ada", requests[1].Trigger.By)
	require.Equal(t, models.AlarmAsked, s.Alarms[0].State)
}

// Whoever insists does not wait for the time that the steward named: data as of
// then is not there yet.
func TestAPersonInsistsWhileAnAlarmWaits(t *testing.T) {
	w := newTower(t, days(60, jump(40)))
	w.answer = func(r models.RetrainRequest) []stewardNews {
		if r.Force {
			return []stewardNews{says(models.RetrainStarted, "")}
		}
		news := says(models.RetrainCooling, "too soon")
		news.settled.RetryAt = r.AsOf.AddDate(1, 0, 0)
		return []stewardNews{news}
	}
	var refused error
	w.orders(30*time.Minute, by(models.MonitorRetrain), &refused)
	s := w.watching(t, watch("w1", "1"), time.Hour)
	require.NoError(t, refused)
	requests := w.retrainRequests()
	require.Len(t, requests, 2)
	require.False(t, requests[1].AsOf.Before(requests[0].AsOf), "all that has matured by now")
	require.False(t, requests[1].AsOf.After(s.Watermark), "%s is later than what the log has", requests[1].AsOf)
}

func TestAPersonRetrainsWithoutAnAlarm(t *testing.T) {
	w := newTower(t, days(20, steady))
	w.answer = func(models.RetrainRequest) []stewardNews {
		return []stewardNews{says(models.RetrainStarted, ""), {after: time.Hour, settled: &models.RetrainSettled{Outcome: models.RetrainNotHelping, Reason: "gain 0"}}}
	}
	var refused error
	w.orders(30*time.Minute, by(models.MonitorRetrain), &refused)
	s := w.watching(t, watch("w1", "1"), 3*time.Hour)
	require.NoError(t, refused)
	require.Len(t, w.retrainRequests(), 1)
	require.Equal(t, march.AddDate(0, 0, 21), w.retrainRequests()[0].AsOf)
	require.Nil(t, s.Request)
	require.Empty(t, s.Alarms)
	require.EqualValues(t, 20, s.Detector.Observed, "the detectors go on")
}

// TestWhilePausedNothingIsAskedForAgain: a steward that lost the request would
// start the retraining.
func TestWhilePausedNothingIsAskedForAgain(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	var refused error
	w.orders(time.Hour, by(models.MonitorPause), &refused)
	w.RegisterDelayedCallback(func() { require.Len(t, w.steward, 1) }, 29*time.Hour)
	w.orders(30*time.Hour, by(models.MonitorResume), &refused)
	w.watching(t, watch("w1", "1"), 31*time.Hour)
	require.NoError(t, refused)
	require.Len(t, w.steward, 2)
}

func TestWhilePausedAlarmsStartNothing(t *testing.T) {
	w := newTower(t, aDayEveryTenMinutes(90, jump(60)))
	var refused error
	w.orders(time.Minute, by(models.MonitorPause), &refused)
	w.RegisterDelayedCallback(func() {
		s := status[models.MonitorStatus](t, w.house)
		require.Len(t, s.Alarms, 1, "they are raised all the same")
		require.Equal(t, models.AlarmWaiting, s.Alarms[0].State)
		require.Contains(t, s.Alarms[0].Action, "paused by ada, who says: I know why")
		require.Empty(t, w.retrainRequests())
	}, 20*time.Hour)
	w.orders(21*time.Hour, by(models.MonitorResume), &refused)
	s := w.watching(t, watch("w1", "1"), 22*time.Hour)
	require.NoError(t, refused)
	require.Empty(t, s.Paused)
	requests := w.retrainRequests()
	require.Len(t, requests, 1)
	require.Equal(t, march.AddDate(0, 0, 91), requests[0].AsOf, "trained on what is known by now")
}
