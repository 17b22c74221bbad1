package drift

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestLossOf(t *testing.T) {
	slice := models.DetectorSpec{Kind: models.DetectorConformal, Column: "origin", Slice: "EWR"}
	estimated := models.DetectorSpec{Kind: models.DetectorEstimated}
	hourly := models.DetectorSpec{Kind: models.DetectorConformal, Season: models.SeasonHourOfWeek}
	in := func(labelled int64, loss float64) models.BlockLoss {
		return models.BlockLoss{Start: monday, Loss: 1, Slices: []models.SliceLoss{
			{Column: "origin", Slice: "JFK", Labelled: 50, Loss: 3}, {Column: "dest", Slice: "EWR", Labelled: 50, Loss: 4},
			{Column: "origin", Slice: "EWR", Labelled: labelled, Loss: loss},
		}}
	}
	for _, test := range []struct {
		name     string
		detector models.DetectorSpec
		block    models.BlockLoss
		want     float64
		ok       bool
	}{
		{"loss", conformal, in(50, 2), 1, true},
		{"no number", conformal, models.BlockLoss{Loss: math.NaN()}, 0, false},
		{"infinite", conformal, models.BlockLoss{Loss: math.Inf(1)}, most, true},
		{"slice", slice, in(10, 2), 2, true},
		{"slice with few labels", slice, in(9, 2), 0, false},
		{"no slice", slice, models.BlockLoss{Start: monday, Loss: 1}, 0, false},
		{"slice without a number", slice, in(50, math.NaN()), 0, false},
		{"estimated", estimated, models.BlockLoss{Loss: 1, Estimated: 0.5}, 0.5, true},
		{"not estimated", estimated, models.BlockLoss{Loss: 1}, 0, false},
		{"estimated, not measured", estimated, models.BlockLoss{Loss: math.NaN(), Estimated: 0.5}, 0.5, true},
		{"season", daily, models.BlockLoss{Start: monday, Loss: 1}, 1, true},
		{"season unknown", daily, models.BlockLoss{Loss: 1}, 0, false},
		{"hour unknown", hourly, models.BlockLoss{Loss: 1}, 0, false},
	} {
		got, ok := lossOf(test.detector, test.block)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%s: %v, %v", test.name, got, ok)
		}
	}
}

// TestNoEvidence: a block without the slice leaves its detector as it was.
func TestNoEvidence(t *testing.T) {
	slice := models.DetectorSpec{Kind: models.DetectorConformal, Share: 1, Column: "origin", Slice: "EWR"}
	state := New(spec(0.1, conformal, slice), blocksOf(1, 2, 3), models.Estimate{}, 1)
	got, looks := fold(state, blocksOf(5, 6, 7))
	if one := got.Detectors[1]; one.Observed != 0 || one.Value != 1 || one.Injected != 0 || len(one.Strata) != 0 {
		t.Errorf("%+v", one)
	}
	if got.Detectors[0].Observed != 3 || looks[2][1] != (models.DetectorLook{P: 1, Value: 1}) || got.Observed != 3 {
		t.Errorf("%+v, %+v", got.Detectors[0], looks[2])
	}
}

// TestSlice: a rise in one slice is found by its detector long before that of
// all traffic sees it.
func TestSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 51))
	blocks := blocksOf(gauss(r, 160, 10)...)
	for i := range blocks {
		loss := 10 + r.NormFloat64()
		if i >= 100 {
			loss += 2
		}
		blocks[i].Slices = []models.SliceLoss{{Column: "origin", Slice: "EWR", Labelled: 40, Loss: loss}}
	}
	slice := models.DetectorSpec{Kind: models.DetectorConformal, Share: 1, Column: "origin", Slice: "EWR"}
	_, looks := fold(New(spec(0.1, conformal, slice), blocks[:60], models.Estimate{}, 1), blocks[60:])
	at := alarmIn(looks)
	if at < 40 || at > 55 || looks[at][0].Alarm || !looks[at][1].Alarm {
		t.Errorf("alarm at %d: %+v", at, looks[max(at, 0)])
	}
}

func TestSeasons(t *testing.T) {
	sunday := time.Date(2024, 1, 7, 0, 30, 0, 0, time.FixedZone("", 3600)) // Saturday in UTC
	for _, test := range []struct {
		season models.Season
		at     time.Time
		want   int
	}{
		{models.SeasonNone, sunday, 0},
		{models.SeasonDayOfWeek, monday, 1},
		{models.SeasonDayOfWeek, sunday, 6},
		{models.SeasonHourOfWeek, monday.Add(13 * time.Hour), 37},
		{models.SeasonHourOfWeek, sunday, 167},
	} {
		if got := seasonOf(test.season, models.BlockLoss{Start: test.at}); got != test.want {
			t.Errorf("%s at %s: %d, want %d", test.season, test.at, got, test.want)
		}
	}
	// The first block of a season is no evidence, however bad it is.
	state := New(spec(0.1, daily), blocksOf(1, 2, 3), models.Estimate{}, 1)
	got, _ := Update(state, models.BlockLoss{Start: monday.AddDate(0, 0, 4), Loss: 1e6})
	if d := got.Detectors[0]; len(d.Strata) != 4 || !near(d.Value, 1, 1e-4) {
		t.Errorf("%d strata, value %v", len(d.Strata), d.Value)
	}
	// Within its season it is compared with nothing else.
	got, looks := Update(state, models.BlockLoss{Start: monday.AddDate(0, 0, 7), Loss: 1.5})
	if u := uniform(1, 0); looks[0].P != u/2 || len(got.Detectors[0].Strata[0].Losses) != 2 {
		t.Errorf("p %v, want %v", looks[0].P, u/2)
	}
}
