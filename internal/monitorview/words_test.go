package monitorview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func TestMoments(t *testing.T) {
	at := time.Date(2013, 6, 14, 0, 0, 0, 0, time.UTC)
	require.Equal(t, "2013-06-14", Moment(at.In(time.FixedZone("", 7200))))
	require.Equal(t, "2013-06-14 18:05", Moment(at.Add(18*time.Hour+5*time.Minute)))
	require.Equal(t, "–", Moment(time.Time{}))
}

func TestBlocksInWords(t *testing.T) {
	before := 0.51
	b := models.Block{Requests: 310, Labelled: 300, Loss: 0.553, Version: "2", Conclusive: true, Martingale: 2.1, Looks: make([]models.DetectorLook, 1)}
	require.Equal(t, "loss 0.553 on 300 of 310 labelled, version 2, evidence 2.1, labels may still change it", BlockWords(b))
	b.Final, b.Before = true, &before
	require.Equal(t, "loss 0.553 on 300 of 310 labelled, version 2, evidence 2.1, final, was 0.51 at first", BlockWords(b))
	b.Conclusive = false
	require.Equal(t, "too few labels", BlockWords(b))
	b.Final = false
	require.Equal(t, "too few labels so far", BlockWords(b))
	require.Equal(t, "no requests", BlockWords(models.Block{}))
}

// TestEveryStateHasWords: no code word of ours reaches a reader.
func TestEveryStateHasWords(t *testing.T) {
	for _, state := range []models.AlarmState{
		models.AlarmAsked, models.AlarmWaiting, models.AlarmPerson, models.AlarmPromoted, models.AlarmNotHelping,
		models.AlarmFailed, models.AlarmAccepted, models.AlarmRecorded, models.AlarmSuperseded,
	} {
		require.Contains(t, StateWords(state), " ", state)
	}
}

func TestWhatMovedInWords(t *testing.T) {
	r := &models.InputReport{
		Features: []models.FeatureShift{
			{Feature: "hour", PSI: 0.31, JS: 0.18, Wasserstein: 0.42, Moved: true},
			{Feature: "wind", PSI: 9},
			{Feature: "carrier", PSI: 0.12, JS: 0.11, Nulls: 0.002, Unseen: 0.031, Moved: true},
		},
		Slices: []models.SliceShift{{Column: "origin", Slice: "EWR", Share: 0.41, ShareBefore: 0.36, Loss: 0.668, LossBefore: 0.57, Moved: true}},
	}
	require.Equal(t, []string{
		"hour: PSI 0.31, Jensen-Shannon 0.18, moved by 0.42 standard deviations",
		"carrier: PSI 0.12, Jensen-Shannon 0.11, nulls 0.2 %, were 0 %, 3.1 % in new categories",
		"origin = EWR: loss 0.668, was 0.57; 41 % of the traffic, was 36 %",
	}, Moved(r, 5))
	require.Equal(t, "and 1 more features", Moved(r, 1)[1])
}

func TestWhatIsExpected(t *testing.T) {
	var reference []models.BlockLoss
	for i := range 20 {
		reference = append(reference, models.BlockLoss{Loss: float64(19 - i)})
	}
	span, ok := Expected(reference)
	require.True(t, ok)
	require.Equal(t, [2]float64{2, 17}, span)
	require.InDelta(t, 19.0, reference[0].Loss, 0, "the caller's stay in their order")
	_, ok = Expected(reference[:9])
	require.False(t, ok)
}

func TestWhatIsPromised(t *testing.T) {
	promised := &models.WatchRequest{Promised: models.Estimate{Value: 0.55, Low: 0.54, High: 0.58}}
	own := 0.6
	part := models.Detector{Spec: models.DetectorSpec{Kind: models.DetectorLevel, Column: "origin", Slice: "EWR", Level: &own}}
	whole := models.Detector{Spec: models.DetectorSpec{Kind: models.DetectorLevel}}
	_, ok := Level(promised, []models.Detector{{Spec: models.DetectorSpec{Kind: models.DetectorConformal}}, part})
	require.False(t, ok)
	level, ok := Level(promised, []models.Detector{part, whole})
	require.True(t, ok)
	require.InDelta(t, 0.58, level, 0)
	whole.Spec.Level = &own
	level, _ = Level(promised, []models.Detector{whole})
	require.InDelta(t, 0.6, level, 0)
	whole.Level = 0.57 // what the detector works with
	level, _ = Level(promised, []models.Detector{whole})
	require.InDelta(t, 0.57, level, 0)
}
