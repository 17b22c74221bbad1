package demo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// TestTheClockStandsOnlyWhileARetrainingIsPrepared: an alarm that waits for event
// time would wait for ever if the clock stood for it.
func TestTheClockStandsOnlyWhileARetrainingIsPrepared(t *testing.T) {
	teller := &teller{lifecycles: map[string]*LifecycleStory{"l": {}}}
	require.Empty(t, teller.holdReason())
	teller.monitor.Pending = "alarm"
	for state, want := range map[models.AlarmState]string{
		models.AlarmAsked: "an alarm is being answered", models.AlarmWaiting: "", models.AlarmPerson: "", models.AlarmFailed: "",
		models.AlarmPromoted: "", models.AlarmRecorded: "",
	} {
		teller.monitor.Alarms = []models.Alarm{{RequestID: "before", State: models.AlarmAsked, Settled: true}, {RequestID: "alarm", State: state}}
		require.Equal(t, want, teller.holdReason(), state)
	}
	// The second request of an alarm has a suffix, a person's another name.
	teller.steward.Retrainings = []models.Retraining{{RequestID: "a", Ended: true}, {RequestID: "alarm/2", LifecycleID: "l"}}
	for stage, want := range map[models.Stage]string{models.StageTrain: "a retraining is in stage train", models.StageRollout: ""} {
		teller.lifecycles["l"].Status.Stage = stage
		teller.monitor.Alarms[1].State = models.AlarmAsked
		require.Equal(t, want, teller.holdReason(), stage)
	}
	delete(teller.lifecycles, "l")
	require.Equal(t, "a retraining starts", teller.holdReason())
}
