package activities_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// BenchmarkScoreBlocks scores a block of 20,000 requests of 20 numbers each, in
// objects as gateways write them; bench/monitor does the same with a million.
func BenchmarkScoreBlocks(b *testing.B) {
	const rows, features, perObject = 20_000, 20, 5000
	store := artifact.NewMemory("mainspring")
	request := blocksRequest()
	request.Max, request.From = 1, march(1)
	random := rand.New(rand.NewPCG(1, 2))
	reference := shift.Rows{Table: dataset.Table{Series: []dataset.Series{{Name: "at", Type: dataset.TypeTimestamp}, {Name: "late", Type: dataset.TypeInt64}}}}
	for k := range features {
		request.Data.Features = append(request.Data.Features, fmt.Sprintf("feature_%02d", k))
		reference.Table.Series = append(reference.Table.Series, dataset.Series{Name: request.Data.Features[k], Type: dataset.TypeFloat64})
	}
	put := func(key string, data []byte) {
		if _, err := artifact.PutBytes(b.Context(), store, key, data, artifact.PutOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	var log []models.InferenceRow
	var labels []models.LabelRow
	for i := range rows {
		inputs := "{"
		at := march(1).Add(time.Duration(i) * time.Second)
		for k, name := range request.Data.Features {
			v := random.NormFloat64()
			inputs += fmt.Sprintf(`"%s":[%v],`, name, v)
			s := &reference.Table.Series[2+k]
			s.Floats = append(s.Floats, v)
		}
		p, label := random.Float64(), float64(i%2)
		reference.Table.Series[0].Ints = append(reference.Table.Series[0].Ints, at.UnixMicro())
		reference.Table.Series[1].Ints = append(reference.Table.Series[1].Ints, int64(label))
		reference.Labels, reference.Predictions, reference.Losses = append(reference.Labels, label), append(reference.Predictions, p), append(reference.Losses, 1)
		id := fmt.Sprintf("request-%012d", i)
		log = append(log, models.InferenceRow{
			ID: id, EventTime: at.UnixMicro(), Version: "3", Status: 200, Inputs: inputs[:len(inputs)-1] + "}", Outputs: fmt.Sprintf(`{"probability":[%v]}`, p),
		})
		labels = append(labels, models.LabelRow{ID: id, Label: label, LabelTime: at.UnixMicro()})
		if len(log) == perObject {
			name := fmt.Sprintf("gw-%d.parquet", i)
			put(models.InferencePrefix(endpoint, march(1))+name, encode(b, log))
			put(models.LabelPrefix(endpoint, march(1))+name, encode(b, labels))
			log, labels = nil, nil
		}
	}
	put(models.WatermarkPrefix(endpoint)+"gw.json", fmt.Appendf(nil, `{"event_time":%q,"closed":true}`, march(9).Format(time.RFC3339)))
	request.Data.Time, request.Data.Label = "at", "late"
	built, err := shift.Build(reference, shift.Plan{Data: request.Data, Monitor: request.Spec.WithDefaults(), Width: 1, Features: request.Data.Features})
	if err != nil {
		b.Fatal(err)
	}
	data, err := built.Encode()
	if err != nil {
		b.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(b.Context(), store, data)
	if err != nil {
		b.Fatal(err)
	}
	request.Reference = &ref
	blocks := &activities.Blocks{Store: store}
	b.ReportAllocs()
	for b.Loop() {
		got, err := blocks.ScoreBlocks(b.Context(), request)
		if err != nil || len(got.Blocks) != 1 || got.Blocks[0].Labelled != rows {
			b.Fatalf("%+v, %v", got, err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
