package activities_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// flight is one row of a small world: the model knows how odds depend on origin
// and hour, not on anything else.
type flight struct {
	id     string
	at     time.Time
	late   float64
	origin string
	hour   int64
	wind   float64 // NaN: not known
	p      float64
}

func (f flight) loss() float64 {
	if f.late == 1 {
		return -math.Log(f.p)
	}
	return -math.Log(1 - f.p)
}

// world makes flights. A day has its own weather: all of its rows share it.
type world struct {
	random *rand.Rand
	ewr    float64 // share of the origin that is hard to predict
	storm  float64 // added to the wind
	harder float64 // added to the odds of being late; the model does not know
}

func (w *world) day(day time.Time, n int) []flight {
	weather := 0.4 * w.random.NormFloat64()
	flights := make([]flight, n)
	for i := range flights {
		f := flight{
			id: fmt.Sprintf("%s-%d", models.DayKey(day), i), at: day.Add(time.Duration(i) * 24 * time.Hour / time.Duration(n)),
			origin: []string{"JFK", "LGA"}[w.random.IntN(2)], hour: int64(5 + w.random.IntN(18)), wind: 10 + 4*(weather+w.storm+w.random.NormFloat64()),
		}
		odds := -2.5 + 0.1*float64(f.hour-5)
		if w.random.Float64() < w.ewr {
			f.origin, odds = "EWR", odds+1.2
		}
		if w.random.IntN(50) == 0 {
			f.wind = math.NaN()
		}
		f.p = 1 / (1 + math.Exp(-odds))
		if w.random.Float64() < 1/(1+math.Exp(-odds-w.harder-0.2*weather)) {
			f.late = 1
		}
		flights[i] = f
	}
	return flights
}

var worldStart = time.Date(2013, 2, 1, 0, 0, 0, 0, time.UTC)

const (
	perDay   = 150
	trained  = 46 // days with out-of-fold predictions
	heldOut  = 14
	quiet    = 20 // live days before the change
	changed  = 25 // and since
	champion = "3"
)

// champion is a model with everything that is stored of it.
type championWorld struct {
	t     *testing.T
	store *artifact.Memory
	watch models.WatchRequest
	drift *activities.Drift
	world *world
	// masked says that the wind is sensitive, and never logged.
	masked bool
}

func newChampion(t *testing.T) *championWorld {
	t.Helper()
	store := artifact.NewMemory("mainspring")
	c := &championWorld{t: t, store: store, drift: &activities.Drift{Store: store}, world: &world{random: rand.New(rand.NewPCG(3, 9)), ewr: 0.3}}
	c.watch = models.WatchRequest{
		Model: "delay", Version: champion, Prediction: "probability", Reference: []float64{0.5, 0.6},
		Data: models.DataSpec{Key: "id", Time: "at", Label: "late", Features: []string{"origin", "hour", "wind"}},
		Spec: models.MonitorSpec{
			Slices:    []models.SliceSpec{{Column: "origin"}, {Column: "hour", Quantiles: 3}},
			Detectors: []models.DetectorSpec{{Kind: models.DetectorConformal}, {Kind: models.DetectorConformal, Column: "origin", Slice: "EWR"}},
		}.WithDefaults(),
	}
	var train, test []flight
	for day := range trained + heldOut {
		rows := c.world.day(worldStart.AddDate(0, 0, day), perDay)
		if day < trained {
			train = append(train, rows...)
		} else {
			test = append(test, rows...)
		}
	}
	c.watch.Snapshot = c.snapshot(train, test)
	folds := dataset.Table{Series: []dataset.Series{{Name: "id", Type: dataset.TypeString}, {Name: "prediction", Type: dataset.TypeFloat64}}}
	for _, f := range train {
		folds.Series[0].Strings, folds.Series[1].Floats = append(folds.Series[0].Strings, f.id), append(folds.Series[1].Floats, f.p)
	}
	outOfFold := c.table(folds)
	c.watch.OutOfFold = &outOfFold
	judged := dataset.Table{Series: []dataset.Series{
		{Name: "key", Type: dataset.TypeString}, {Name: "label", Type: dataset.TypeFloat64}, {Name: "candidate", Type: dataset.TypeFloat64}, {Name: "champion", Type: dataset.TypeFloat64},
	}}
	for _, f := range test {
		judged.Series[0].Strings, judged.Series[1].Floats = append(judged.Series[0].Strings, f.id), append(judged.Series[1].Floats, f.late)
		judged.Series[2].Floats, judged.Series[3].Floats = append(judged.Series[2].Floats, f.p), append(judged.Series[3].Floats, 0.5)
	}
	c.watch.HeldOut = c.table(judged)
	return c
}

func (c *championWorld) table(table dataset.Table) models.Ref {
	c.t.Helper()
	var b bytes.Buffer
	if err := parquetio.Write(&b, table, nil); err != nil {
		c.t.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(c.t.Context(), c.store, b.Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	return ref
}

func (c *championWorld) snapshot(train, test []flight) models.Ref {
	c.t.Helper()
	manifest := models.SnapshotManifest{Format: 1}
	for i, side := range [][]flight{test, train} {
		table := dataset.Table{Series: []dataset.Series{
			{Name: "id", Type: dataset.TypeString}, {Name: "at", Type: dataset.TypeTimestamp}, {Name: "late", Type: dataset.TypeInt64},
			{Name: "origin", Type: dataset.TypeString}, {Name: "hour", Type: dataset.TypeInt64}, {Name: "wind", Type: dataset.TypeFloat64, Nulls: make([]bool, len(side))},
		}}
		s := table.Series
		for row, f := range side {
			s[0].Strings, s[1].Ints, s[2].Ints = append(s[0].Strings, f.id), append(s[1].Ints, f.at.UnixMicro()), append(s[2].Ints, int64(f.late))
			s[3].Strings, s[4].Ints = append(s[3].Strings, f.origin), append(s[4].Ints, f.hour)
			if s[5].Nulls[row] = math.IsNaN(f.wind); s[5].Nulls[row] {
				f.wind = 0
			}
			s[5].Floats = append(s[5].Floats, f.wind)
		}
		ref := c.table(table)
		manifest.Files = append(manifest.Files, models.SnapshotFile{Path: []string{"test", "train"}[i] + "/a.parquet", Rows: int64(len(side)), Ref: models.Ref{SHA256: ref.SHA256, Size: ref.Size}})
	}
	data, digest, err := dataset.Encode(manifest)
	if err != nil {
		c.t.Fatal(err)
	}
	key := dataset.ManifestKey(digest)
	putObject(c.t, c.store, artifact.URI(c.store, key), data)
	return models.Ref{URI: artifact.URI(c.store, key), SHA256: digest, Size: int64(len(data))}
}

func (c *championWorld) reference() models.MonitorReference {
	c.t.Helper()
	got, err := c.drift.BuildReference(c.t.Context(), models.ReferenceRequest{Endpoint: endpoint, Watch: c.watch})
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

// live logs the days and writes down what each looked like, as scoring does.
func (c *championWorld) live(reference models.Ref) (blocks []models.OpenBlock, shown []models.Block) {
	c.t.Helper()
	data, err := artifact.ReadRef(c.t.Context(), c.store, reference, 1<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := shift.DecodeReference(data)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range quiet + changed {
		if i == quiet {
			c.world.ewr, c.world.storm, c.world.harder = 0.5, 1.5, 0.8
		}
		day := worldStart.AddDate(0, 0, trained+heldOut+i)
		flights := c.world.day(day, perDay)
		for k := range flights {
			if c.masked {
				flights[k].wind = math.NaN()
			}
		}
		b := c.block(r, day, flights)
		encoded, err := b.Encode()
		if err != nil {
			c.t.Fatal(err)
		}
		putObject(c.t, c.store, artifact.URI(c.store, models.BlockEvidenceKey(endpoint, champion, reference.SHA256, day)), encoded)
		c.log(day, flights)
		blocks = append(blocks, models.OpenBlock{Start: b.Start, End: b.End})
		shown = append(shown, models.Block{
			Start: b.Start, End: b.End, Requests: b.Rows, Labelled: b.Labelled, Loss: b.MeanLoss(), Estimated: b.MeanEstimated(),
			Version: champion, Conclusive: true, Martingale: math.Exp(0.3 * float64(max(0, i-quiet))),
		})
	}
	return blocks, shown
}

func (c *championWorld) block(r *shift.Reference, day time.Time, flights []flight) *shift.Block {
	coder := r.Coder("at", "late")
	b, codes := coder.NewBlock(), make([]uint8, coder.Width())
	b.Start, b.End, b.Final = day, day.AddDate(0, 0, 1), true
	for _, f := range flights {
		coder.Clear(codes)
		coder.Text(codes, 0, []byte(f.origin))
		coder.Number(codes, 1, float64(f.hour))
		coder.Number(codes, 2, f.wind)
		o := shift.Outcome{Labelled: true, Loss: f.loss()}
		o.Estimated, o.Expected = r.ExpectedLoss([]float64{f.p})
		b.Add(codes, o)
	}
	return b
}

func (c *championWorld) log(day time.Time, flights []flight) {
	var rows []models.InferenceRow
	var labels []models.LabelRow
	for _, f := range flights {
		inputs := map[string][]any{"origin": {f.origin}, "hour": {f.hour}, "wind": {f.wind}}
		if math.IsNaN(f.wind) {
			inputs["wind"] = []any{nil}
		}
		text, err := json.Marshal(inputs)
		if err != nil {
			c.t.Fatal(err)
		}
		rows = append(rows, models.InferenceRow{ID: f.id, EventTime: f.at.UnixMicro(), Endpoint: endpoint, Version: champion, Status: 200, Inputs: string(text), Outputs: fmt.Sprintf(`{"probability":[%v]}`, f.p)})
		labels = append(labels, models.LabelRow{ID: f.id, Label: f.late, LabelTime: f.at.Add(time.Hour).UnixMicro()})
	}
	putObject(c.t, c.store, artifact.URI(c.store, models.LabelPrefix(endpoint, day)+"labels.parquet"), encode(c.t, labels))
	rows = append(rows, models.InferenceRow{ID: "shadow", EventTime: day.UnixMicro(), Version: champion, Role: "shadow", Status: 200, Inputs: `{`})
	putObject(c.t, c.store, artifact.URI(c.store, models.InferenceHourPrefix(endpoint, day)+"gw.parquet"), encode(c.t, rows))
}

func (c *championWorld) compare(reference models.Ref, blocks []models.OpenBlock) models.CompareRequest {
	return models.CompareRequest{
		Endpoint: endpoint, Version: champion, Spec: c.watch.Spec, Data: c.watch.Data, Reference: reference, Blocks: blocks, Recent: changed,
	}
}
