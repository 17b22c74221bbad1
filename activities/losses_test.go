package activities_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
)

// arms is a log of two arms that a test fills row by row.
type arms struct {
	replay
	rows   []models.InferenceRow
	labels []models.LabelRow
}

func newArms(t *testing.T) (*arms, *activities.Losses) {
	r, b := newReplay(t)
	return &arms{replay: r}, &activities.Losses{Store: r.store, Now: b.Now}
}

// row logs an answer with one number; tweak changes what is unusual about it.
func (a *arms) row(id string, at time.Time, version string, answer float64, tweak func(*models.InferenceRow)) {
	row := models.InferenceRow{
		ID: id, EventTime: at.UnixMicro(), Time: int64(len(a.rows)), Endpoint: endpoint, Version: version, Drawn: version, Role: "champion",
		Generation: 7, LogShare: 1, Status: 200, Inputs: "{}", Outputs: fmt.Sprintf(`{"p":[%g,9]}`, answer),
	}
	if tweak != nil {
		tweak(&row)
	}
	a.rows = append(a.rows, row)
}

func (a *arms) label(id string, known time.Time, label float64) {
	a.labels = append(a.labels, models.LabelRow{ID: id, Label: label, LabelTime: known.UnixMicro(), Time: int64(len(a.labels))})
}

// write puts every row into its hour.
func (a *arms) write() {
	byHour := map[string][]models.InferenceRow{}
	for _, row := range a.rows {
		prefix := models.InferenceHourPrefix(endpoint, time.UnixMicro(row.EventTime))
		byHour[prefix] = append(byHour[prefix], row)
	}
	for prefix, rows := range byHour {
		a.put(prefix+"a.parquet", encode(a.t, rows[:len(rows)/2]))
		a.put(prefix+"b.parquet", encode(a.t, rows[len(rows)/2:]))
	}
	byDay := map[string][]models.LabelRow{}
	for _, l := range a.labels {
		prefix := models.LabelPrefix(endpoint, time.UnixMicro(l.LabelTime))
		byDay[prefix] = append(byDay[prefix], l)
	}
	for prefix, rows := range byDay {
		a.put(prefix+"a.parquet", encode(a.t, rows))
	}
}

func lossRequest() models.ReadLossesRequest {
	return models.ReadLossesRequest{
		Endpoint: endpoint, Champion: "3", Canary: "4", Generations: []int64{7, 8}, Task: models.TaskBinary, Prediction: "p",
		Quality: models.QualitySpec{Metric: models.LogLoss, Block: models.Duration(time.Hour), Maturity: models.Day},
	}
}

func moments(values ...float64) models.Moments {
	var m models.Moments
	for _, v := range values {
		m.N++
		m.Sum += v
		m.SumSquares += v * v
	}
	return m
}

func sameLosses(t *testing.T, got, want []models.LossBlock) {
	t.Helper()
	near := func(a, b models.Moments) bool {
		return a.N == b.N && math.Abs(a.Sum-b.Sum) < 1e-9 && math.Abs(a.SumSquares-b.SumSquares) < 1e-9
	}
	if len(got) != len(want) {
		t.Fatalf("%d blocks %+v\nwant %d %+v", len(got), got, len(want), want)
	}
	for i, g := range got {
		w := want[i]
		if !g.Start.Equal(w.Start) || g.Generation != w.Generation || !near(g.Champion, w.Champion) || !near(g.Canary, w.Canary) || !near(g.Pairs, w.Pairs) {
			t.Errorf("block %d is %+v\nwant %+v", i, g, w)
		}
	}
}

func TestLossesCountForTheDrawnVersion(t *testing.T) {
	a, l := newArms(t)
	at := march(1).Add(10 * time.Hour)
	known := at.Add(2 * time.Hour)
	a.row("a", at, "3", 0.5, nil)
	a.row("b", at.Add(time.Minute), "4", 0.25, nil)
	// The canary's servers were out: the champion answered for it.
	a.row("c", at, "3", 0.125, func(r *models.InferenceRow) { r.Drawn = "4" })
	a.row("a", at, "4", 0.9, nil) // asked again: the first answer counts
	a.row("no label", at, "4", 0.9, nil)
	a.row("too late", at, "4", 0.9, nil)
	a.row("failed", at, "4", 0.9, func(r *models.InferenceRow) { r.Status = 500 })
	a.row("named", at, "4", 0.9, func(r *models.InferenceRow) { r.Drawn = "" })
	a.row("before", at, "3", 0.9, func(r *models.InferenceRow) { r.Generation = 6 })
	a.row("other", at, "2", 0.9, nil)
	for _, id := range []string{"b", "c", "failed", "named", "before", "other"} {
		a.label(id, known, 1)
	}
	a.label("a", known, 0)
	a.label("a", known, 1) // corrected
	a.label("a", at.Add(48*time.Hour), 0)
	a.label("too late", at.Add(26*time.Hour), 1)
	// The next generation of the same hour has a block of its own.
	next := func(r *models.InferenceRow) { r.Generation = 8 }
	a.row("d", at.Add(2*time.Minute), "4", 0.5, next)
	a.label("d", known, 0)
	a.write()
	got, err := l.ReadLosses(t.Context(), lossRequest())
	if err != nil {
		t.Fatal(err)
	}
	sameLosses(t, got.Blocks, []models.LossBlock{
		{Start: at, Generation: 7, Champion: moments(math.Log(2)), Canary: moments(math.Log(4), math.Log(8))},
		{Start: at, Generation: 8, Canary: moments(math.Log(2))},
	})
	// The watermark is at the 6th, hence blocks are mature up to the 5th.
	if got.More || !got.Next.Equal(march(5)) || !strings.Contains(got.Waiting, "matures when the inference log has passed 2013-03-06T01:00:00Z") {
		t.Errorf("next %v, more %v, waiting %q", got.Next, got.More, got.Waiting)
	}
	request := lossRequest()
	request.After = got.Next
	again, err := l.ReadLosses(t.Context(), request)
	if err != nil || len(again.Blocks) != 0 || !again.Next.Equal(got.Next) || again.Waiting == "" {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestShadowAnswersMakePairs(t *testing.T) {
	a, l := newArms(t)
	at := march(1).Add(10 * time.Hour)
	shadow := func(r *models.InferenceRow) { r.Role = "shadow" }
	a.row("a", at, "4", 0.25, shadow) // the copy may be logged first
	a.row("a", at, "3", 0.5, nil)
	a.row("b", at, "3", 0.5, nil)
	a.row("c", at, "4", 0.5, shadow) // the champion's row was dropped
	for _, id := range []string{"a", "b", "c"} {
		a.label(id, at, 1)
	}
	a.write()
	got, err := l.ReadLosses(t.Context(), lossRequest())
	if err != nil {
		t.Fatal(err)
	}
	sameLosses(t, got.Blocks, []models.LossBlock{
		{Start: at, Generation: 7, Champion: moments(math.Log(2), math.Log(2)), Pairs: moments(math.Log(2))},
	})
}

func TestLossesOfEveryTask(t *testing.T) {
	at := march(1)
	for _, test := range []struct {
		task    models.Task
		metric  models.Metric
		classes []string
		outputs string
		label   float64
		want    models.Moments
	}{
		{models.TaskBinary, models.Brier, nil, `{"p":[0.25]}`, 1, moments(0.5625)},
		{models.TaskBinary, models.Brier, nil, `{"p":[1.25]}`, 1, moments()},
		{models.TaskBinary, models.LogLoss, nil, `{"p":[0]}`, 1, moments(52 * math.Log(2))},
		{models.TaskBinary, models.LogLoss, nil, `{"p":[0.5]}`, 2, moments()},
		{models.TaskMulticlass, models.LogLoss, []string{"x", "y"}, `{"p":[0.75,0.25,0.1,0.9]}`, 1, moments(math.Log(4))},
		{models.TaskMulticlass, models.LogLoss, nil, `{"p":[0.75,0.25]}`, 0, moments(-math.Log(0.75))},
		{models.TaskMulticlass, models.LogLoss, nil, `{"p":[0.75,0.25]}`, 2, moments()},
		{models.TaskRegression, models.MAE, nil, `{"p":[3]}`, 5.5, moments(2.5)},
		{models.TaskRegression, models.RMSE, nil, `{"p":[3]}`, 5.5, moments(6.25)},
	} {
		a, l := newArms(t)
		a.row("a", at, "4", 0, func(r *models.InferenceRow) { r.Outputs = test.outputs })
		a.label("a", at, test.label)
		a.write()
		request := lossRequest()
		request.Task, request.Classes, request.Quality.Metric = test.task, test.classes, test.metric
		got, err := l.ReadLosses(t.Context(), request)
		want := []models.LossBlock{{Start: at, Generation: 7, Canary: test.want}}
		if test.want.N == 0 {
			want = nil
		}
		if err != nil {
			t.Fatal(err)
		}
		sameLosses(t, got.Blocks, want)
	}
}

// TestLossesAgreeWithADumbReader reads a random log once in one go and once in
// steps, and compares both with sums over the rows.
func TestLossesAgreeWithADumbReader(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	a, l := newArms(t)
	want := map[string]models.LossBlock{}
	for i := range 3000 {
		at := march(1).Add(time.Duration(random.Int64N(int64(90 * time.Hour))))
		id, p, label := fmt.Sprint("r", i), 0.05+0.9*random.Float64(), float64(random.IntN(2))
		generation := int64(7 + at.Day()/3)
		version := []string{"3", "4"}[random.IntN(2)]
		a.row(id, at, version, p, func(r *models.InferenceRow) { r.Generation = generation })
		if random.IntN(4) == 0 {
			continue // its label never comes
		}
		a.label(id, at.Add(time.Duration(random.Int64N(int64(20*time.Hour)))), label)
		start := at.Truncate(time.Hour)
		key := fmt.Sprint(start, generation)
		block := want[key]
		block.Start, block.Generation = start, generation
		loss := moments(-math.Log(label*p + (1-label)*(1-p)))
		arm := map[string]*models.Moments{"3": &block.Champion, "4": &block.Canary}[version]
		arm.N, arm.Sum, arm.SumSquares = arm.N+1, arm.Sum+loss.Sum, arm.SumSquares+loss.SumSquares
		want[key] = block
	}
	a.write()
	var steps []models.LossBlock
	request := lossRequest()
	for day := 2; day <= 6; day++ {
		a.watermark("gw-1", models.Watermark{EventTime: march(day).Add(30 * time.Minute), Written: l.Now()})
		got, err := l.ReadLosses(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, got.Blocks...)
		if request.After = got.Next; got.More {
			t.Error("more")
		}
	}
	once, err := l.ReadLosses(t.Context(), lossRequest())
	if err != nil || !reflect.DeepEqual(once.Blocks, steps) {
		t.Fatalf("in steps %d blocks, at once %d, %v", len(steps), len(once.Blocks), err)
	}
	var expected []models.LossBlock
	for _, b := range steps {
		expected = append(expected, want[fmt.Sprint(b.Start, b.Generation)])
	}
	sameLosses(t, steps, expected)
	if len(steps) != len(want) || len(steps) < 85 {
		t.Errorf("%d blocks, want %d", len(steps), len(want))
	}
}

func TestLossesSayWhatTheyWaitFor(t *testing.T) {
	a, l := newArms(t)
	got, err := l.ReadLosses(t.Context(), lossRequest())
	if err != nil || !strings.Contains(got.Waiting, "no request of the rollout is in the inference log yet") || !got.Next.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	a.row("a", march(1), "4", 0.5, nil)
	a.write()
	if got, err = l.ReadLosses(t.Context(), lossRequest()); err != nil || !strings.Contains(got.Waiting, "has 1 answers and no label") {
		t.Errorf("%+v, %v", got, err)
	}
	request := lossRequest()
	request.Prediction = "chance"
	_, err = l.ReadLosses(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, `output "chance"`, `{"p":[0.5,9]}`, "sensitive")
}

// TestLossesOfSeveralLogShares: the log keeps a request by its ID, whichever arm
// was drawn, so a share that changes leaves both arms comparable.
func TestLossesOfSeveralLogShares(t *testing.T) {
	a, l := newArms(t)
	for i, version := range []string{"3", "4", "3", "4"} {
		id := fmt.Sprint(i)
		a.row(id, march(1), version, 0.5, func(r *models.InferenceRow) { r.LogShare = []float64{1, 1, 0.5, 0.5}[i] })
		a.label(id, march(1), 1)
	}
	a.write()
	got, err := l.ReadLosses(t.Context(), lossRequest())
	if err != nil {
		t.Fatal(err)
	}
	two := moments(math.Log(2), math.Log(2))
	sameLosses(t, got.Blocks, []models.LossBlock{{Start: march(1), Generation: 7, Champion: two, Canary: two}})
}
