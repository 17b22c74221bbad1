package dataset_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestWatermark(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	mark := func(d int, age time.Duration, closed bool) models.Watermark {
		return models.Watermark{EventTime: day(d), Written: now.Add(-age), Closed: closed}
	}
	for name, c := range map[string]struct {
		marks []models.Watermark
		want  time.Time
	}{
		"nobody":                     {nil, time.Time{}},
		"the slowest holds back":     {[]models.Watermark{mark(9, 0, false), mark(5, time.Minute, false)}, day(5)},
		"closed holds nobody back":   {[]models.Watermark{mark(9, 0, false), mark(5, 0, true)}, day(9)},
		"closed is not ahead either": {[]models.Watermark{mark(9, 0, true), mark(5, 0, false)}, day(5)},
		"gone holds nobody back":     {[]models.Watermark{mark(9, 0, false), mark(5, 11*time.Minute, false)}, day(9)},
		"all closed, however long":   {[]models.Watermark{mark(9, time.Hour, true), mark(5, time.Hour, true)}, day(9)},
		"all gone vouch for nothing": {[]models.Watermark{mark(9, time.Hour, false)}, time.Time{}},
		"closed and gone":            {[]models.Watermark{mark(9, time.Hour, false), mark(5, time.Hour, true)}, day(5)},
	} {
		if got := dataset.Watermark(c.marks, now); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func joiner() dataset.Joiner {
	return dataset.Joiner{
		Block: 24 * time.Hour, Maturity: 24 * time.Hour,
		Loss: func(p, label float64) float64 { return math.Abs(p - label) },
	}
}

func TestPlanWaitsForMaturity(t *testing.T) {
	j := joiner()
	for watermark, want := range map[time.Time][]time.Time{
		day(3).Add(-time.Microsecond): nil,
		day(3):                        {day(1)},
		day(4).Add(time.Hour):         {day(1), day(2)},
		day(30):                       {day(1), day(2), day(3)},
	} {
		if got := j.Plan(day(1), watermark, 3); !slices.Equal(got, want) {
			t.Errorf("at %v: %v, want %v", watermark, got, want)
		}
	}
}

func TestScore(t *testing.T) {
	at := func(d int, h time.Duration) int64 { return day(d).Add(h * time.Hour).UnixMicro() }
	answers := []dataset.Answer{
		{ID: "a", EventTime: at(1, 0), Time: 1, Probability: 0.25},
		{ID: "a", EventTime: at(1, 0), Time: 2, Probability: 0.99}, // answered again: counts once, as first answered
		{ID: "b", EventTime: at(1, 23), Time: 1, Probability: 0.75},
		{ID: "unlabelled", EventTime: at(1, 5), Probability: 0.5},
		{ID: "late", EventTime: at(1, 5), Probability: 0.5},
		{ID: "no number", EventTime: at(1, 5), Probability: math.NaN()},
		{ID: "next day", EventTime: at(2, 0), Probability: 0.5},
	}
	outcomes := []dataset.Outcome{
		{ID: "a", Label: 0, LabelTime: at(1, 3), Time: 5},
		{ID: "a", Label: 1, LabelTime: at(1, 2), Time: 7}, // corrected: the last to arrive counts
		{ID: "a", Label: 0, LabelTime: at(1, 9), Time: 6},
		{ID: "b", Label: 0, LabelTime: at(3, 0), Time: 1}, // at the last moment
		{ID: "late", Label: 0, LabelTime: at(3, 0) + 1, Time: 1},
		{ID: "no number", Label: 1, LabelTime: at(1, 9)},
		{ID: "nobody", Label: 1, LabelTime: at(1, 9)},
	}
	want := models.Block{Start: day(1), Requests: 5, Labelled: 2, Loss: (0.75 + 0.75) / 2, Rate: 0.5, Predicted: 0.5}
	if got := joiner().Score(day(1), answers, outcomes); !reflect.DeepEqual(got, want) {
		t.Errorf("block %+v\nwant  %+v", got, want)
	}
	slices.Reverse(answers)
	slices.Reverse(outcomes)
	if got := joiner().Score(day(1), answers, outcomes); !reflect.DeepEqual(got, want) {
		t.Errorf("reversed: block %+v\nwant %+v", got, want)
	}
	if got := joiner().Score(day(5), answers, outcomes); !reflect.DeepEqual(got, models.Block{Start: day(5)}) {
		t.Errorf("a day without requests: %+v", got)
	}
}

func TestBlockMeans(t *testing.T) {
	times := []int64{day(2).UnixMicro(), day(1).UnixMicro(), day(2).Add(time.Hour).UnixMicro(), day(1).UnixMicro()}
	got := dataset.BlockMeans(times, []float64{1, 5, 2, math.NaN()}, 24*time.Hour)
	want := []dataset.BlockMean{{Start: day(1), Rows: 1, Mean: 5}, {Start: day(2), Rows: 2, Mean: 1.5}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDays(t *testing.T) {
	if got := dataset.Days(day(1).Add(time.Hour), day(3)); !slices.Equal(got, []time.Time{day(1), day(2)}) {
		t.Errorf("days %v", got)
	}
	before := time.Date(1969, 12, 31, 5, 0, 0, 0, time.UTC)
	if got := dataset.BlockStart(before.UnixMicro(), 24*time.Hour); got.Day() != 31 || got.Hour() != 0 {
		t.Errorf("before the epoch: %v", got)
	}
}

// TestMeansAreOfTheTraffic logs all requests of one kind and a quarter of the
// other: the means must be those of the traffic, counts those of the log.
func TestMeansAreOfTheTraffic(t *testing.T) {
	j := dataset.Joiner{Block: time.Hour, Maturity: time.Hour, Loss: func(p, _ float64) float64 { return p }}
	var answers []dataset.Answer
	var outcomes []dataset.Outcome
	add := func(n int, p, label, share float64) {
		for range n {
			id := fmt.Sprint(len(answers))
			answers = append(answers, dataset.Answer{ID: id, Probability: p, Share: share})
			outcomes = append(outcomes, dataset.Outcome{ID: id, Label: label})
		}
	}
	add(100, 0.2, 0, 1)
	add(25, 0.6, 1, 0.25)
	got := j.Score(time.UnixMicro(0), answers, outcomes)
	if got.Requests != 125 || got.Labelled != 125 || math.Abs(got.Loss-0.4) > 1e-12 || math.Abs(got.Rate-0.5) > 1e-12 || math.Abs(got.Predicted-0.4) > 1e-12 {
		t.Errorf("%+v", got)
	}
}
