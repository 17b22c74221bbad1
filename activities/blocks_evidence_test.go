package activities_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// compared is a log that is held against a reference of 400 rows: the distance
// from 0 to 399, and carriers UA, DL and (20 of them) B6.
func compared(t *testing.T) (*arms, *activities.Blocks, models.ScoreBlocksRequest, *shift.Reference) {
	a, b := newLog(t)
	request := logRequest()
	request.Data = models.DataSpec{Time: "at", Label: "late", Features: []string{"carrier", "distance"}}
	request.Spec.Slices = []models.SliceSpec{{Column: "carrier"}, {Column: "late"}}
	request.Spec.Detectors = []models.DetectorSpec{{Kind: models.DetectorConformal}, {Kind: models.DetectorLevel, Column: "carrier", Slice: "DL"}}
	rows := shift.Rows{Table: dataset.Table{Series: []dataset.Series{
		{Name: "at", Type: dataset.TypeTimestamp}, {Name: "late", Type: dataset.TypeInt64}, {Name: "carrier", Type: dataset.TypeString}, {Name: "distance", Type: dataset.TypeInt64},
	}}}
	column := func(name string) *dataset.Series { return rows.Table.Column(name) }
	for i := range 400 {
		carrier := []string{"UA", "DL"}[i%2]
		if i < 20 {
			carrier = "B6"
		}
		label, p := float64(i/2%2), float64(i%8+1)/10
		column("at").Ints = append(column("at").Ints, march(1).Add(time.Duration(i)*time.Hour).UnixMicro())
		column("late").Ints = append(column("late").Ints, int64(label))
		column("carrier").Strings = append(column("carrier").Strings, carrier)
		column("distance").Ints = append(column("distance").Ints, int64(i))
		rows.Labels, rows.Predictions = append(rows.Labels, label), append(rows.Predictions, p)
		rows.Losses = append(rows.Losses, metric.Loss(models.TaskBinary, []float64{p}, label))
	}
	spec := request.Spec.WithDefaults()
	reference, err := shift.Build(rows, shift.Plan{Data: request.Data, Monitor: spec, Width: 1, Features: request.Data.Features})
	if err != nil {
		t.Fatal(err)
	}
	data, err := reference.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(t.Context(), b.Store, data)
	if err != nil {
		t.Fatal(err)
	}
	request.Reference = &ref
	return a, b, request, reference
}

// request logs a request with inputs and, if it is not negative, a label.
func (a *arms) request(id, inputs string, p, label float64) {
	a.row(id, march(1).Add(time.Duration(len(a.rows))*time.Minute), "3", p, func(r *models.InferenceRow) { r.Inputs = inputs })
	if label >= 0 {
		a.label(id, march(1), label)
	}
}

func evidenceAt(t *testing.T, b *activities.Blocks, request models.ScoreBlocksRequest, reference *shift.Reference) (*shift.Block, []byte) {
	t.Helper()
	data, _, err := artifact.GetBytes(t.Context(), b.Store, models.BlockEvidenceKey(endpoint, "3", request.Reference.SHA256, march(1)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	block, err := reference.DecodeBlock(data)
	if err != nil {
		t.Fatal(err)
	}
	return block, data
}

func TestEvidence(t *testing.T) {
	a, b, request, reference := compared(t)
	a.request("a", `{"carrier":["UA"],"distance":[10]}`, 0.5, 1)
	a.request("b", `{"distance":[1e9],"carrier":["DL"]}`, 0.25, 1)
	a.request("c", `{"distance":[null],"carrier":["ZZ"],"more":[1]}`, 0.25, -1)
	a.request("d", `no JSON`, 0.5, 0)
	a.request("e", `{"carrier":["DL","UA"],"distance":[10]}`, 0.5, 0)
	a.row("a", march(1), "3", 0.9, func(r *models.InferenceRow) { r.Time, r.Inputs = 1e9, `{"carrier":["B6"]}` }) // a copy
	a.write()
	got := scored(t, b, request)
	block, last := got.Blocks[0], got.Final[0]
	if !block.Evidence || !last.Evidence || block.Requests != 5 || block.Labelled != 4 {
		t.Fatalf("%+v", block)
	}
	wantLoss := []models.SliceLoss{{Column: "carrier", Slice: "DL", Labelled: 2, Loss: (ln(4) + ln(2)) / 2}}
	if len(block.Slices) != 1 || math.Abs(block.Slices[0].Loss-wantLoss[0].Loss) > 1e-12 {
		t.Errorf("slices %+v, want %+v", block.Slices, wantLoss)
	}
	half, _ := reference.ExpectedLoss([]float64{0.5})
	quarter, _ := reference.ExpectedLoss([]float64{0.25})
	if want := (3*half + 2*quarter) / 5; math.Abs(block.Estimated-want) > 1e-12 || want == 0 {
		t.Errorf("estimated %v, want %v", block.Estimated, want)
	}

	evidence, _ := evidenceAt(t, b, request, reference)
	if !evidence.Final || !evidence.Start.Equal(march(1)) || !evidence.End.Equal(march(2)) || evidence.Rows != 5 || evidence.Labelled != 4 {
		t.Errorf("evidence %+v", evidence)
	}
	carrier, distance := reference.Features[0], reference.Features[1]
	bins := map[string]float64{"DL": 2, "UA": 1, "B6": 0}
	for i, name := range carrier.Values {
		if evidence.Features[0][i] != bins[name] {
			t.Errorf("%v of %s, want %v", evidence.Features[0][i], name, bins[name])
		}
	}
	if n := len(carrier.Values); evidence.Features[0][n+1] != 1 || evidence.Features[0][carrier.Missing()] != 1 {
		t.Errorf("carriers %v: want one unseen and one missing", evidence.Features[0])
	}
	far := evidence.Features[1][distance.Missing()-1]
	if far != 1 || evidence.Features[1][distance.Missing()] != 2 {
		t.Errorf("distances %v: want one far out and two missing", evidence.Features[1])
	}
	late := evidence.Slicings[1]
	if late.Labelled[0]+late.Labelled[1] != 4 || late.Labelled[0] != 2 {
		t.Errorf("by label %+v", late)
	}
}

// TestEvidenceIsThatOfTheLastScore: a label that came for the last score is in
// it, and writing it again changes no byte.
func TestEvidenceIsThatOfTheLastScore(t *testing.T) {
	a, b, request, reference := compared(t)
	a.request("a", `{"carrier":["UA"],"distance":[10]}`, 0.5, 1)
	a.request("b", `{"carrier":["DL"],"distance":[20]}`, 0.5, -1)
	a.label("b", march(4), 1)
	a.write()
	a.watermark("gw-1", models.Watermark{EventTime: march(3), Written: b.Now(), Closed: true})
	first := scored(t, b, request)
	evidence, _ := evidenceAt(t, b, request, reference)
	if evidence.Final || evidence.Labelled != 1 || len(first.Final) != 0 {
		t.Errorf("first %+v", evidence)
	}
	a.watermark("gw-1", models.Watermark{EventTime: march(6), Written: b.Now(), Closed: true})
	request.From, request.Open = first.Blocks[0].End, []models.OpenBlock{{Start: march(1), End: march(2)}}
	last := scored(t, b, request)
	evidence, data := evidenceAt(t, b, request, reference)
	if !evidence.Final || evidence.Labelled != 2 || last.Final[0].Labelled != 2 {
		t.Errorf("last %+v", evidence)
	}
	request.From, request.Open = march(1), nil
	again := scored(t, b, request)
	if _, same := evidenceAt(t, b, request, reference); !bytes.Equal(data, same) || !reflect.DeepEqual(again.Final[0], last.Final[0]) {
		t.Errorf("again %s\nwant %s", same, data)
	}
}

func TestWithoutAReferenceNothingIsCompared(t *testing.T) {
	a, b, request, _ := compared(t)
	a.request("a", `{"carrier":["DL"]}`, 0.5, 1)
	a.write()
	missing := *request.Reference
	request.Reference = nil
	got := scored(t, b, request)
	if block := got.Blocks[0]; block.Evidence || block.Slices != nil || block.Estimated != 0 || block.Labelled != 1 {
		t.Errorf("%+v", block)
	}
	objects, err := b.Store.List(t.Context(), "monitor/")
	if err != nil || len(objects) != 0 {
		t.Errorf("%v, %v", objects, err)
	}
	missing.SHA256, request.Reference = fmt.Sprintf("%064d", 1), &missing
	_, err = b.ScoreBlocks(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, endpoint, missing.URI)
}

// TestTheEstimateComesAheadOfLabels.
func TestTheEstimateComesAheadOfLabels(t *testing.T) {
	a, b, request, reference := compared(t)
	a.request("a", `{}`, 0.5, 1)
	a.write()
	a.watermark("gw-1", models.Watermark{EventTime: march(2), Written: b.Now(), Closed: true})
	got := scored(t, b, request)
	want, _ := reference.ExpectedLoss([]float64{0.5})
	if len(got.Ahead) != 1 || got.Ahead[0].Estimated != want || got.Ahead[0].Labelled != 0 || got.Ahead[0].Evidence {
		t.Errorf("%+v", got.Ahead)
	}
}
