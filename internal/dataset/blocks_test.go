package dataset_test

import (
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

func TestTimeBlocks(t *testing.T) {
	for until, want := range map[time.Time]int{
		day(2).Add(-time.Microsecond): 0, day(2): 1, day(3).Add(time.Hour): 2, day(30): 3,
	} {
		blocks := dataset.TimeBlocks(day(1), 24*time.Hour, until, 3)
		if len(blocks) != want {
			t.Errorf("until %v: %v, want %d", until, blocks, want)
		}
		for i, b := range blocks {
			if !b.Start.Equal(day(1+i)) || !b.End.Equal(day(2+i)) {
				t.Errorf("block %d: %+v", i, b)
			}
		}
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
