package dataset_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestTheLabelThatArrivesLastCounts(t *testing.T) {
	hearing := dataset.NewHearing(time.UnixMicro(7), time.UnixMicro(10))
	outcomes := []dataset.Outcome{
		{Label: 0, LabelTime: -1, Time: 9}, // known on the day before
		{Label: 0, LabelTime: 3, Time: 5},
		{Label: 1, LabelTime: 2, Time: 7}, // corrected
		{Label: 0, LabelTime: 10, Time: 6},
		{Label: 0, LabelTime: 11, Time: 9}, // known too late
		{Label: 0, LabelTime: 4, Time: 7},  // two at once: the larger one, whatever the order
	}
	for range outcomes {
		outcomes = append(outcomes[1:], outcomes[0])
		var k dataset.Known
		for _, o := range outcomes {
			k.Hear(o, hearing)
		}
		if !k.Found() || k.Label != 1 {
			t.Errorf("%v: %+v", outcomes, k)
		}
	}
	var k dataset.Known
	if k.Hear(dataset.Outcome{LabelTime: 11}, hearing); k.Found() {
		t.Error("a label that was known too late counts")
	}
}

func TestKnowsLabel(t *testing.T) {
	for _, c := range []struct {
		task    models.Task
		classes int
		known   []float64
		foreign []float64
	}{
		{models.TaskBinary, 0, []float64{0, 1}, []float64{-1, 0.5, 2, math.NaN(), math.Inf(1)}},
		{models.TaskMulticlass, 3, []float64{0, 2}, []float64{-1, 0.5, 3, math.NaN()}},
		{models.TaskMulticlass, 0, []float64{0, 17}, []float64{-1, 0.5, 1e12, math.NaN()}},
		{models.TaskRegression, 0, []float64{0, -1.5}, []float64{math.NaN(), math.Inf(-1)}},
	} {
		for _, v := range c.known {
			if !dataset.KnowsLabel(c.task, c.classes, v) {
				t.Errorf("%s does not know %v", c.task, v)
			}
		}
		for _, v := range c.foreign {
			if dataset.KnowsLabel(c.task, c.classes, v) {
				t.Errorf("%s knows %v", c.task, v)
			}
		}
	}
}

// TestJoinAgainstMaps joins many IDs, with every one twice in one block and once
// in another.
func TestJoinAgainstMaps(t *testing.T) {
	var parts [][]dataset.Answer
	id := func(i int) dataset.ID { return dataset.NewID(fmt.Append(nil, "request-", i)) }
	for part := range 7 {
		var answers []dataset.Answer
		for i := range 1000 {
			n := (i*7 + part*500) % 3000
			answers = append(answers, dataset.Answer{ID: id(n), Block: int32(n % 3 * (part % 2)), Time: int64((i * 31) % 17), EventTime: int64(part)})
		}
		parts = append(parts, answers)
	}
	type key struct {
		id    dataset.ID
		block int32
	}
	first := map[key]dataset.Answer{}
	for _, part := range parts {
		for _, a := range part {
			k := key{a.ID, a.Block}
			if other, ok := first[k]; !ok || a.Time < other.Time || a.Time == other.Time && a.EventTime < other.EventTime {
				first[k] = a
			}
		}
	}
	join := dataset.NewJoin(parts)
	counted := 0
	for _, part := range parts {
		for _, a := range part {
			if !a.Twice {
				counted++
				if want := first[key{a.ID, a.Block}]; a != want {
					t.Fatalf("%+v counts, want %+v", a, want)
				}
			}
		}
	}
	if counted != len(first) {
		t.Errorf("%d answers count, want %d", counted, len(first))
	}
	for i := range 3100 {
		var blocks, want []int32
		join.Each(id(i), func(part, row int) {
			if a := parts[part][row]; a.ID != id(i) || a.Twice {
				t.Fatalf("%+v for request %d", a, i)
			} else {
				blocks = append(blocks, a.Block)
			}
		})
		for k := range first {
			if k.id == id(i) {
				want = append(want, k.block)
			}
		}
		slices.Sort(blocks)
		slices.Sort(want)
		if !slices.Equal(blocks, want) {
			t.Errorf("request %d: blocks %v, want %v", i, blocks, want)
		}
	}
	dataset.NewJoin(nil).Each(id(1), func(int, int) { t.Error("found in nothing") })
}
