package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	endpoint, version = "orders", "7"
	// numbers and categories are the features: most of the numbers have all the
	// digits of a float64, as sums and quotients do.
	numbers, categories = 14, 6
	// perObject is how many rows the gateway flushes at a time.
	perObject = 5000
	// referenceRows are the champion's own rows that live ones are held against.
	referenceRows = 100_000
)

func day() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

// row is one request of the simulated endpoint.
type row struct {
	id         string
	at         time.Time
	numbers    [numbers]float64
	categories [categories]string
	p          float64
	label      float64
}

// traffic draws rows: the same seed gives the same.
type traffic struct {
	random *rand.Rand
	shift  float64 // of every second number
}

func newTraffic(seed uint64, shift float64) *traffic {
	return &traffic{random: rand.New(rand.NewPCG(seed, 7)), shift: shift}
}

func (t *traffic) row(i, rows int) row {
	r := row{
		id: fmt.Sprintf("%016x%08x", t.random.Uint64(), i),
		at: day().Add(time.Duration(float64(24*time.Hour) * float64(i) / float64(rows))),
	}
	score := -1.2
	for k := range r.numbers {
		v := t.random.NormFloat64() + t.shift*float64(k%2)
		score += v / 8
		switch k % 7 {
		case 5: // an amount
			v = math.Round(100*math.Exp(v)) / 100
		case 6: // a count
			v = math.Floor(10 * math.Abs(v))
		}
		r.numbers[k] = v
	}
	for k := range r.categories {
		n := int(math.Floor(t.random.ExpFloat64() * float64(k+2)))
		score += float64(n%3-1) / 10
		r.categories[k] = "value-" + strconv.Itoa(n)
	}
	r.p = 1 / (1 + math.Exp(-score))
	if t.random.Float64() < r.p {
		r.label = 1
	}
	return r
}

func featureNames() []string {
	var names []string
	for k := range numbers {
		names = append(names, fmt.Sprintf("number_%02d", k))
	}
	for k := range categories {
		names = append(names, fmt.Sprintf("category_%02d", k))
	}
	return names
}

// inputs writes the request as the gateway logs it.
func (r row) inputs(names []string) string {
	text := []byte{'{'}
	for k, v := range r.numbers {
		text = append(text, '"')
		text = append(append(text, names[k]...), `":[`...)
		text = append(strconv.AppendFloat(text, v, 'g', -1, 64), `],`...)
	}
	for k, v := range r.categories {
		text = append(text, '"')
		text = append(append(text, names[numbers+k]...), `":["`...)
		text = append(append(text, v...), `"],`...)
	}
	text[len(text)-1] = '}'
	return string(text)
}

func (r row) outputs() string {
	p := strconv.FormatFloat(r.p, 'g', -1, 64)
	return `{"label":[` + strconv.Itoa(int(math.Round(r.p))) + `],"probability":[` + p + `]}`
}

// writeLog writes a day of traffic as gateways do, its labels as they arrive,
// and the watermark behind their maturity.
func writeLog(ctx context.Context, store artifact.Store, o options) (bytesWritten int64, err error) {
	names, t := featureNames(), newTraffic(o.seed, 0.1)
	var log []models.InferenceRow
	var labels []models.LabelRow
	put := func(key string, data []byte, err error) error {
		if err != nil {
			return err
		}
		bytesWritten += int64(len(data))
		_, err = artifact.PutBytes(ctx, store, key, data, artifact.PutOptions{})
		return err
	}
	flush := func() error {
		if len(log) == 0 {
			return nil
		}
		at := time.UnixMicro(log[0].EventTime)
		name := fmt.Sprintf("gateway-%d.parquet", log[0].EventTime)
		data, err := encode(log)
		if err := put(models.InferenceHourPrefix(endpoint, at)+name, data, err); err != nil {
			return err
		}
		data, err = encode(labels)
		log, labels = log[:0], labels[:0]
		return put(models.LabelPrefix(endpoint, at.Add(time.Hour))+name, data, err)
	}
	for i := range o.rows {
		r := t.row(i, o.rows)
		if len(log) == perObject || len(log) > 0 && r.at.Truncate(time.Hour).After(time.UnixMicro(log[0].EventTime)) {
			if err := flush(); err != nil {
				return 0, err
			}
		}
		log = append(log, models.InferenceRow{
			ID: r.id, EventTime: r.at.UnixMicro(), Time: r.at.UnixMicro() + 3000, Endpoint: endpoint, Version: version, Role: "champion", Generation: 1,
			ArmShare: 1, Status: 200, LatencyUS: 3000, Drawn: version, LogShare: 1, Inputs: r.inputs(names), Outputs: r.outputs(),
		})
		labels = append(labels, models.LabelRow{ID: r.id, Label: r.label, LabelTime: r.at.Add(time.Hour).UnixMicro(), Time: r.at.Add(time.Hour).UnixMicro()})
	}
	if err := flush(); err != nil {
		return 0, err
	}
	mark := fmt.Sprintf(`{"event_time":%q,"written":%q,"closed":true}`, day().Add(72*time.Hour).Format(time.RFC3339), day().Format(time.RFC3339))
	return bytesWritten, put(models.WatermarkPrefix(endpoint)+"gateway.json", []byte(mark), nil)
}

func encode[Row any](rows []Row) ([]byte, error) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[Row](&b, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}))
	if _, err := w.Write(rows); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// table has the same rows as a table, which the other tool reads.
func table(seed uint64, shift float64, rows int) (t dataset.Table, labels, predictions []float64) {
	names, draw := featureNames(), newTraffic(seed, shift)
	t.Series = make([]dataset.Series, len(names)+1)
	for k, name := range names {
		t.Series[k] = dataset.Series{Name: name, Type: dataset.TypeFloat64}
		if k >= numbers {
			t.Series[k].Type = dataset.TypeString
		}
	}
	t.Series[len(names)] = dataset.Series{Name: "at", Type: dataset.TypeTimestamp}
	for i := range rows {
		r := draw.row(i, rows)
		for k, v := range r.numbers {
			t.Series[k].Floats = append(t.Series[k].Floats, v)
		}
		for k, v := range r.categories {
			t.Series[numbers+k].Strings = append(t.Series[numbers+k].Strings, v)
		}
		t.Series[len(names)].Ints = append(t.Series[len(names)].Ints, r.at.UnixMicro())
		labels, predictions = append(labels, r.label), append(predictions, r.p)
	}
	return t, labels, predictions
}

func spec() (models.DataSpec, models.MonitorSpec) {
	data := models.DataSpec{Task: models.TaskBinary, Time: "at", Label: "label", Features: featureNames()}
	monitor := models.MonitorSpec{Slices: []models.SliceSpec{{Column: "category_00"}, {Column: "number_00", Quantiles: 5}}}
	monitor.Detectors = []models.DetectorSpec{{Kind: models.DetectorConformal}, {Kind: models.DetectorConformal, Column: "category_00", Slice: "value-0"}}
	return data, monitor.WithDefaults()
}

// writeReference writes what the day is held against.
func writeReference(ctx context.Context, store artifact.Store, o options) (models.Ref, error) {
	data, monitor := spec()
	t, labels, predictions := table(o.seed+1, 0, referenceRows)
	rows := shift.Rows{Table: t, Labels: labels, Predictions: predictions, Losses: make([]float64, len(labels))}
	for i, label := range labels {
		rows.Losses[i] = metric.Loss(data.Task, predictions[i:i+1], label)
	}
	reference, err := shift.Build(rows, shift.Plan{Data: data, Monitor: monitor, Width: 1, Features: data.Features})
	if err != nil {
		return models.Ref{}, err
	}
	encoded, err := reference.Encode()
	if err != nil {
		return models.Ref{}, err
	}
	return artifact.PutObjectBytes(ctx, store, encoded)
}
