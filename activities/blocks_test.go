package activities_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

const endpoint = "delay"

// replay is a log of the tests' own: days of requests and their labels.
type replay struct {
	t     *testing.T
	store artifact.Store
}

func (r replay) put(key string, data []byte) {
	r.t.Helper()
	putObject(r.t, r.store, artifact.URI(r.store, key), data)
}

func (r replay) watermark(gateway string, mark models.Watermark) {
	data, err := json.Marshal(mark)
	if err != nil {
		r.t.Fatal(err)
	}
	r.put(models.WatermarkPrefix(endpoint)+gateway+".json", data)
}

// day logs n answered requests of a day; request i has the probability
// 1/(i+2), and its label, 1 for even i, is known after `delay`.
func (r replay) day(at time.Time, n int, delay time.Duration) {
	var log []models.InferenceRow
	var labels []models.LabelRow
	for i := range n {
		event := at.Add(time.Duration(i) * time.Minute)
		id := fmt.Sprintf("%s-%d", models.DayKey(at), i)
		log = append(log, models.InferenceRow{
			ID: id, EventTime: event.UnixMicro(), Time: int64(i), Endpoint: endpoint, Version: "3", Status: 200,
			Inputs: `{"carrier":["UA"]}`, Outputs: fmt.Sprintf(`{"label":[0],"name":["x"],"probability":[%g]}`, 1/float64(i+2)),
		})
		labels = append(labels, models.LabelRow{
			ID: id, Label: float64((i + 1) % 2), LabelTime: event.Add(delay).UnixMicro(), Time: int64(i),
		})
	}
	// What does not count: another version's answer, a shadow's, and a failed one.
	log = append(log,
		models.InferenceRow{ID: "other", EventTime: at.UnixMicro(), Version: "2", Status: 200, Outputs: `{}`},
		models.InferenceRow{ID: "copied", EventTime: at.UnixMicro(), Version: "3", Role: "shadow", Status: 200, Outputs: `{"probability":[0.5]}`},
		models.InferenceRow{ID: "failed", EventTime: at.UnixMicro(), Version: "3", Status: 503, Outputs: ``},
	)
	half := len(log) / 2
	r.put(models.InferenceHourPrefix(endpoint, at)+"gw-1.parquet", encode(r.t, log[:half]))
	r.put(models.InferencePrefix(endpoint, at)+"gw-2.parquet", encode(r.t, log[half:]))
	byDay := map[time.Time][]models.LabelRow{}
	for _, l := range labels {
		d := time.UnixMicro(l.LabelTime).UTC().Truncate(24 * time.Hour)
		byDay[d] = append(byDay[d], l)
	}
	for d, rows := range byDay {
		r.put(models.LabelPrefix(endpoint, d)+"of-"+models.DayKey(at)+".parquet", encode(r.t, rows))
	}
}

func newReplay(t *testing.T) (replay, *activities.Blocks) {
	r := replay{t: t, store: artifact.NewMemory("mainspring")}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.watermark("gw-1", models.Watermark{EventTime: march(6), Written: now})
	return r, &activities.Blocks{
		Store: r.store, Now: func() time.Time { return now },
	}
}

func blocksRequest() models.ScoreBlocksRequest {
	return models.ScoreBlocksRequest{
		Endpoint: endpoint, Version: "3", Prediction: "probability", Max: 10,
		Spec: models.MonitorSpec{Block: models.Day, Maturity: models.Day},
	}
}

// want is what day() logs, computed directly.
func wantBlock(at time.Time, n int) models.Block {
	b := models.Block{Start: at, End: at.Add(24 * time.Hour), Requests: int64(n), Labelled: int64(n)}
	for i := range n {
		p := 1 / float64(i+2)
		b.Predicted += p / float64(n)
		if i%2 == 0 {
			b.Rate += 1 / float64(n)
			b.Loss -= math.Log(p) / float64(n)
		} else {
			b.Loss -= math.Log(1-p) / float64(n)
		}
	}
	return b
}

func sameBlocks(t *testing.T, got, want []models.Block) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d blocks %+v, want %d", len(got), got, len(want))
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
	for i, g := range got {
		w := want[i]
		if near(g.Loss, w.Loss) && near(g.Rate, w.Rate) && near(g.Predicted, w.Predicted) {
			g.Loss, g.Rate, g.Predicted = w.Loss, w.Rate, w.Predicted
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("block %d is %+v\nwant %+v", i, g, w)
		}
	}
}

func TestScoreBlocks(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, 2*time.Hour)
	r.day(march(2), 50, 30*time.Hour)
	r.day(march(4), 60, time.Hour) // nobody called on the 3rd
	r.day(march(5), 70, time.Hour) // not mature: the watermark is at the 6th
	got, err := b.ScoreBlocks(t.Context(), blocksRequest())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Watermark.Equal(march(6)) {
		t.Errorf("watermark %v", got.Watermark)
	}
	all := []models.Block{wantBlock(march(1), 40), wantBlock(march(2), 50), {Start: march(3), End: march(4)}, wantBlock(march(4), 60)}
	sameBlocks(t, got.Blocks, all)

	request := blocksRequest()
	request.From, request.Max = march(2), 2
	got, err = b.ScoreBlocks(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	sameBlocks(t, got.Blocks, all[1:3])

	request.From = march(5)
	if got, err = b.ScoreBlocks(t.Context(), request); err != nil || len(got.Blocks) != 0 || got.Blocks == nil {
		t.Errorf("an immature block: %+v, %v", got, err)
	}
}

func TestHalfDaysAndWeeks(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, time.Hour)
	r.day(march(2), 50, time.Hour)
	request := blocksRequest()
	request.Spec.Block = models.Day / 2
	got, err := b.ScoreBlocks(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Blocks) != 8 || got.Blocks[0].Requests != 40 || got.Blocks[1].Requests != 0 || got.Blocks[2].Labelled != 50 {
		t.Errorf("half days %+v", got.Blocks)
	}
	request.Spec.Block = 2 * models.Day
	if got, err = b.ScoreBlocks(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if len(got.Blocks) != 2 || got.Blocks[0].Labelled != 90 {
		t.Errorf("two days %+v", got.Blocks)
	}
	request.Spec.Block = models.Duration(time.Second)
	_, err = b.ScoreBlocks(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, "set monitor.block to at least 1m")
}

func TestAnEmptyLogIsNoError(t *testing.T) {
	_, b := newReplay(t)
	got, err := b.ScoreBlocks(t.Context(), blocksRequest())
	if err != nil || len(got.Blocks) != 0 || !got.Watermark.Equal(march(6)) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestASlowGatewayHoldsBlocksBack(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, time.Hour)
	r.day(march(2), 40, time.Hour)
	r.watermark("gw-2", models.Watermark{EventTime: march(3), Written: b.Now()})
	got, err := b.ScoreBlocks(t.Context(), blocksRequest())
	if err != nil || len(got.Blocks) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	r.watermark("gw-2", models.Watermark{EventTime: march(3), Written: b.Now(), Closed: true})
	if got, err = b.ScoreBlocks(t.Context(), blocksRequest()); err != nil || len(got.Blocks) != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestALogWithoutThePredictionIsAnError(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, time.Hour)
	request := blocksRequest()
	request.Prediction = "chance"
	_, err := b.ScoreBlocks(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, `output "chance"`, "evaluate.prediction", `"probability":[0.`)

	// No answer at all of this version is no evidence, and no error.
	request.Version = "17"
	got, err := b.ScoreBlocks(t.Context(), request)
	if err != nil || got.Blocks[0].Requests != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// An answer that was streamed, or too large to log, may be the only one of a
// block. The others are judged all the same.
func TestABlockWithoutThePredictionHoldsUpNoOther(t *testing.T) {
	streamed := func(at time.Time) []models.InferenceRow {
		return []models.InferenceRow{{ID: "s", EventTime: at.UnixMicro(), Version: "3", Status: 200, Inputs: "{}", Outputs: "{}"}}
	}
	for name, bare := range map[string]time.Time{"that is mature": march(2), "whose labels are waited for": march(5)} {
		t.Run(name, func(t *testing.T) {
			r, b := newReplay(t)
			for day := 1; day <= 5; day++ {
				if at := march(day); at.Equal(bare) {
					r.put(models.InferenceHourPrefix(endpoint, at)+"gw.parquet", encode(t, streamed(at)))
				} else {
					r.day(at, 40, time.Hour)
				}
			}
			got, err := b.ScoreBlocks(t.Context(), blocksRequest())
			if err != nil {
				t.Fatal(err)
			}
			want := []models.Block{wantBlock(march(1), 40), wantBlock(march(2), 40), wantBlock(march(3), 40), wantBlock(march(4), 40)}
			if bare.Equal(march(2)) {
				want[1] = models.Block{Start: march(2), End: march(3), Requests: 1}
			}
			sameBlocks(t, got.Blocks, want)
		})
	}
}

func TestAnUnreadableLogIsAnErrorNotAnEmptyBlock(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, time.Hour)
	r.put(models.LabelPrefix(endpoint, march(1))+"zz.parquet", []byte("torn"))
	_, err := b.ScoreBlocks(t.Context(), blocksRequest())
	wantFailure(t, err, models.KindInvalidSpec, "zz.parquet")
}
