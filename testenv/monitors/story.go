package monitors

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Act is a stretch of a story: the days that are served, and what the steward
// then says about the alarm that waits for it.
type Act struct {
	Until  int                   // the first day that is not served
	Answer models.RetrainOutcome // empty: nothing
	// Orders are what a person orders at last.
	Orders []models.MonitorAction
}

// Story is what every trial lives through.
type Story struct {
	World World
	Spec  models.MonitorSpec
	Acts  []Act
	// Trainings are those of the versions 1 and 2.
	Trainings []Training
}

// The days of Decay at which something changes.
const (
	coinDay     = 24 // from here on the champion's answers mean nothing
	refusedDay  = 38 // the gate refuses what a retraining made of that
	contraryDay = 46 // from here on they mean the contrary
	promotedDay = 66 // a retraining has learnt it
	lastDay     = 72
)

// Decay is a world that becomes worse twice. No retraining helps the first time;
// the second time one does.
func Decay(endpoint string) Story {
	day := models.Duration(models.Day)
	corrections := day
	w := World{
		Endpoint: endpoint, Seed: 7, Start: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), RowsPerDay: 60,
		Maturity: day.Std(), Corrections: corrections.Std(),
		Phases: []Phase{
			{Day: 0, Version: "1", Answer: Rising, Truth: Rising},
			{Day: coinDay, Version: "1", Answer: Rising, Truth: Coin},
			{Day: contraryDay, Version: "1", Answer: Rising, Truth: Falling},
			{Day: promotedDay, Version: "2", Answer: Falling, Truth: Falling},
		},
	}
	spec := models.MonitorSpec{
		Maturity: day, Corrections: &corrections, ReferenceBlocks: 10, Poll: models.Duration(time.Hour),
		Slices: []models.SliceSpec{{Column: "kind"}},
	}.WithDefaults()
	return Story{World: w, Spec: spec, Acts: []Act{
		{Until: 13}, {Until: 20, Orders: []models.MonitorAction{models.MonitorPause, models.MonitorResume}}, {Until: refusedDay, Answer: models.RetrainNotHelping}, {Until: contraryDay},
		{Until: promotedDay, Answer: models.RetrainPromoted}, {Until: lastDay},
	}, Trainings: []Training{{AsOf: 0, Window: 41, Holdout: 14}, {AsOf: promotedDay, Window: 14, Holdout: 6}}}
}

// settled is what the steward says became of a retraining.
func (a Act) settled(requestID string) models.RetrainSettled {
	settled := models.RetrainSettled{RequestID: requestID, Outcome: a.Answer, Lifecycle: "lifecycle/of-the-story/" + requestID}
	switch a.Answer {
	case models.RetrainNotHelping:
		settled.Reason = "log_loss 0.693 is above the limit 0.6"
		settled.Gate = &models.GateVerdict{Verdict: models.VerdictFail, Reason: settled.Reason}
	case models.RetrainPromoted:
		settled.Reason = "version 2 took over"
	default:
		settled.Reason = fmt.Sprint(a.Answer)
	}
	return settled
}
