package activities_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
)

// newLog is a log of version 3 that a test fills row by row; its prediction is
// the output p.
func newLog(t *testing.T) (*arms, *activities.Blocks) {
	r, b := newReplay(t)
	return &arms{replay: r}, b
}

// logRequest asks for days that wait a day for labels and two for corrections.
func logRequest() models.ScoreBlocksRequest {
	request := blocksRequest()
	request.Prediction = "p"
	corrections := 2 * models.Day
	request.Spec.Corrections = &corrections
	request.From = march(1)
	return request
}

func scored(t *testing.T, b *activities.Blocks, request models.ScoreBlocksRequest) models.ScoredBlocks {
	t.Helper()
	got, err := b.ScoreBlocks(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// oneDay scores the 1st for the first and the last time.
func oneDay(t *testing.T, b *activities.Blocks) (first, last models.Block) {
	t.Helper()
	got := scored(t, b, logRequest())
	if len(got.Blocks) == 0 || len(got.Final) == 0 || !got.Final[0].Start.Equal(march(1)) {
		t.Fatalf("%+v", got)
	}
	return got.Blocks[0], got.Final[0]
}

func ln(v float64) float64 { return math.Log(v) }

func TestMissingLabelsLeaveRequestsUncounted(t *testing.T) {
	a, b := newLog(t)
	a.row("known", march(1), "3", 0.5, nil)
	a.row("unknown", march(1), "3", 0.25, nil)
	a.label("known", march(1), 1)
	a.label("somebody else's", march(1), 1)
	a.write()
	first, last := oneDay(t, b)
	want := models.Block{Start: march(1), End: march(2), Requests: 2, Labelled: 1, Loss: ln(2), Rate: 1, Predicted: 0.5}
	sameBlocks(t, []models.Block{first, last}, []models.Block{want, want})
}

// TestLateLabels: by the maturity a label counts for the first score, by the
// corrections for the last one, and after that for none.
func TestLateLabels(t *testing.T) {
	a, b := newLog(t)
	for i, known := range []time.Time{
		march(3), march(3).Add(time.Microsecond), march(5), march(5).Add(time.Microsecond),
	} {
		id := string(rune('a' + i))
		a.row(id, march(1), "3", 0.5, nil)
		a.label(id, known, 1)
	}
	a.write()
	first, last := oneDay(t, b)
	if first.Labelled != 1 || last.Labelled != 3 {
		t.Errorf("%d labels by the maturity and %d by the corrections, want 1 and 3", first.Labelled, last.Labelled)
	}
}

// TestCorrectedLabels: of several labels the last to arrive counts, of those
// known by the deadline.
func TestCorrectedLabels(t *testing.T) {
	a, b := newLog(t)
	a.row("a", march(1), "3", 0.25, nil)
	a.label("a", march(1), 0)
	a.label("a", march(2), 1) // in time for the first score
	a.label("a", march(4), 0) // for the last one
	a.label("a", march(6), 1) // for none
	a.row("b", march(1), "3", 0.25, nil)
	a.label("b", march(1), 1)
	a.label("b", march(1), 7)          // no label: takes nothing's place
	a.label("b", march(1), math.NaN()) // neither
	a.write()
	first, last := oneDay(t, b)
	if first.Labelled != 2 || math.Abs(first.Loss-ln(4)) > 1e-12 || first.Rate != 1 {
		t.Errorf("first %+v", first)
	}
	if last.Labelled != 2 || math.Abs(last.Loss-(ln(4)+ln(4.0/3))/2) > 1e-12 || last.Rate != 0.5 {
		t.Errorf("last %+v", last)
	}
}

// TestLabelsOfAnEarlierDayCountNowhere: what was known on a day before the block
// is none of its outcomes, in whatever pieces the log is read.
func TestLabelsOfAnEarlierDayCountNowhere(t *testing.T) {
	a, b := newLog(t)
	a.row("a", march(1), "3", 0.5, nil)
	a.label("a", march(1), 1)
	for _, id := range []string{"early", "same day"} {
		a.row(id, march(2).Add(12*time.Hour), "3", 0.5, nil)
	}
	a.label("early", march(2).Add(-time.Microsecond), 1)
	a.label("same day", march(2), 1) // only the date may be known
	a.write()
	together := scored(t, b, logRequest())
	request := logRequest()
	request.From = march(2)
	alone := scored(t, b, request)
	if alone.Blocks[0].Labelled != 1 || !reflect.DeepEqual(alone.Blocks[0], together.Blocks[1]) {
		t.Errorf("alone %+v, together %+v", alone.Blocks[0], together.Blocks[1])
	}
}

// TestDuplicatesCountOnce: as first answered, wherever the copies are.
func TestDuplicatesCountOnce(t *testing.T) {
	a, b := newLog(t)
	a.row("a", march(1), "3", 0.5, nil)
	a.row("a", march(1).Add(time.Hour), "3", 0.25, nil) // answered again, in another file
	a.row("a", march(1), "3", 0.75, func(r *models.InferenceRow) { r.Time = -1 })
	a.row("b", march(1), "3", 0.5, nil)
	a.label("a", march(1), 1)
	a.label("a", march(1), 1)
	a.write()
	first, _ := oneDay(t, b)
	if first.Requests != 2 || first.Labelled != 1 || first.Predicted != 0.75 {
		t.Errorf("%+v", first)
	}
}

// TestPredictionsThatAreNone count as requests without a label.
func TestPredictionsThatAreNone(t *testing.T) {
	a, b := newLog(t)
	for i, outputs := range []string{`{"p":[0.5]}`, `{"p":[1.5]}`, `{"p":[null]}`, `{"p":["x"]}`, `{"p":[]}`, `{}`, `no JSON`, ``} {
		id := string(rune('a' + i))
		a.row(id, march(1), "3", 0, func(r *models.InferenceRow) { r.Outputs = outputs })
		a.label(id, march(1), 1)
	}
	a.write()
	first, _ := oneDay(t, b)
	if first.Requests != 8 || first.Labelled != 1 || first.Predicted != 0.5 {
		t.Errorf("%+v", first)
	}
}

func TestTasks(t *testing.T) {
	for name, c := range map[string]struct {
		data    models.DataSpec
		outputs []string
		labels  []float64
		want    models.Block // of labelled rows
	}{
		"multiclass": {
			models.DataSpec{Task: models.TaskMulticlass, Classes: []string{"cat", "dog", "owl"}},
			[]string{`{"p":[0.5,0.25,0.25]}`, `{"p":[0.1,0.8,0.1]}`, `{"p":[0.5,0.5]}`, `{"p":[0.2,0.2,0.6]}`, `{"p":[2,0,0]}`},
			[]float64{0, 2, 0, 3, 0}, // of the third the answer is short, of the fourth the label foreign, of the fifth the answer none
			models.Block{Labelled: 2, Loss: (ln(2) + ln(10)) / 2},
		},
		"multiclass without names": {
			models.DataSpec{Task: models.TaskMulticlass},
			[]string{`{"p":[0.5,0.25,0.25]}`, `{"p":[0.1,0.9]}`, `{"p":[0.1,0.9]}`},
			[]float64{0, 1, 2},
			models.Block{Labelled: 2, Loss: (ln(2) + ln(10.0/9)) / 2},
		},
		"regression": {
			models.DataSpec{Task: models.TaskRegression},
			[]string{`{"p":[10]}`, `{"p":[-1.5,99]}`, `{"p":[1e300]}`, `{"p":[7]}`},
			[]float64{12, -1, 0, math.Inf(1)},
			models.Block{Labelled: 2, Loss: (4 + 0.25) / 2, Rate: 5.5, Predicted: 4.25},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newLog(t)
			for i, outputs := range c.outputs {
				id := string(rune('a' + i))
				a.row(id, march(1), "3", 0, func(r *models.InferenceRow) { r.Outputs = outputs })
				a.label(id, march(1), c.labels[i])
			}
			a.write()
			request := logRequest()
			request.Data, request.Max = c.data, 1
			got := scored(t, b, request)
			c.want.Start, c.want.End, c.want.Requests = march(1), march(2), int64(len(c.outputs))
			sameBlocks(t, got.Blocks, []models.Block{c.want})
		})
	}
}

// TestSharesWeigh: all requests of one kind are logged, and a quarter of the
// other. Means are those of the traffic, counts those of the log.
func TestSharesWeigh(t *testing.T) {
	a, b := newLog(t)
	add := func(n int, kind string, p, label, share float64) {
		for i := range n {
			id := kind + strings.Repeat("x", i)
			a.row(id, march(1), "3", p, func(r *models.InferenceRow) { r.LogShare = share })
			a.label(id, march(1), label)
		}
	}
	add(100, "a", 0.2, 0, 1)
	add(25, "b", 0.6, 1, 0.25)
	a.write()
	got, _ := oneDay(t, b)
	want := models.Block{Start: march(1), End: march(2), Requests: 125, Labelled: 125, Loss: (-ln(0.8) - ln(0.6)) / 2, Rate: 0.5, Predicted: 0.4}
	sameBlocks(t, []models.Block{got}, []models.Block{want})
}

// TestTheSameLogGivesTheSameAnswer: all at once, or one block at a time as a
// monitor would have asked day by day; also when labels came in meanwhile.
func TestTheSameLogGivesTheSameAnswer(t *testing.T) {
	a, b := newLog(t)
	for i := range 400 {
		id := string(rune('a'+i%26)) + strings.Repeat("y", i/26)
		at := march(1).Add(time.Duration(i) * 20 * time.Minute)
		a.row(id, at, "3", float64(i%9+1)/10, nil)
		a.label(id, at.Add(time.Duration(i%90)*time.Hour), float64(i%2))
		a.label(id, at.Add(time.Duration(i%110)*time.Hour), float64(i/2%2))
	}
	a.write()
	mark := march(20)
	a.watermark("gw-1", models.Watermark{EventTime: mark, Written: b.Now(), Closed: true})
	request := logRequest()
	whole := scored(t, b, request)
	if len(whole.Blocks) != 10 || !whole.More {
		t.Fatalf("%d blocks, more %v", len(whole.Blocks), whole.More)
	}
	b.ReadBytes = 1000 // less than one file
	pieces := scored(t, b, request)
	if len(pieces.Blocks) == 0 || len(pieces.Blocks) > 8 || !pieces.More || !reflect.DeepEqual(pieces.Blocks, whole.Blocks[:len(pieces.Blocks)]) {
		t.Errorf("%d blocks in small pieces, more %v: %+v", len(pieces.Blocks), pieces.More, pieces.Blocks)
	}
	var blocks, final []models.Block
	request.Max = 1
	for d := 3; d <= 20; d++ {
		a.watermark("gw-1", models.Watermark{EventTime: march(d), Written: b.Now(), Closed: true})
		got := scored(t, b, request)
		for _, block := range got.Blocks {
			request.From = block.End
			request.Open = append(request.Open, models.OpenBlock{Start: block.Start, End: block.End})
		}
		for _, block := range got.Final {
			request.Open = slices.DeleteFunc(request.Open, func(o models.OpenBlock) bool { return o.Start.Equal(block.Start) })
		}
		blocks, final = append(blocks, got.Blocks...), append(final, got.Final...)
	}
	if !reflect.DeepEqual(blocks[:10], whole.Blocks) {
		t.Errorf("day by day %+v\nwant %+v", blocks[:10], whole.Blocks)
	}
	if !reflect.DeepEqual(final[:len(whole.Final)], whole.Final) || len(whole.Final) != 8 {
		t.Errorf("day by day %+v\nwant %+v", final, whole.Final)
	}
	if whole.Final[0].Labelled <= whole.Blocks[0].Labelled {
		t.Error("no label came in between")
	}
}

// TestWithoutCorrectionsAFirstScoreIsTheLast.
func TestWithoutCorrectionsAFirstScoreIsTheLast(t *testing.T) {
	a, b := newLog(t)
	a.row("a", march(1), "3", 0.5, nil)
	a.label("a", march(1), 1)
	a.write()
	request := logRequest()
	none := models.Duration(0)
	request.Spec.Corrections = &none
	got := scored(t, b, request)
	if len(got.Blocks) != 4 || !reflect.DeepEqual(got.Blocks, got.Final) {
		t.Errorf("%+v", got)
	}
}
