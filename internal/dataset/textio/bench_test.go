package textio_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/textio"
	"github.com/mainspring-ml/mainspring/models"
)

// flights are rows like those of the flights data: codes, times and numbers.
func flights(rows int, format models.DataFormat) []byte {
	var b bytes.Buffer
	if format == models.FormatCSV {
		b.WriteString("date,origin,destination,delay,distance,temperature,tail\n")
	}
	for i := range rows {
		day, origin := 1+i%28, []string{"EWR", "JFK", "LGA"}[i%3]
		if format == models.FormatCSV {
			fmt.Fprintf(&b, "2013-02-%02d %02d:%02d:00,%s,SFO,%d,%d,%.2f,N%05d\n", day, i%24, i%60, origin, i%200-20, 100+i%2400, float64(i%9000)/100, i%5000)
		} else {
			fmt.Fprintf(&b, `{"date":"2013-02-%02dT%02d:%02d:00Z","origin":"%s","destination":"SFO","delay":%d,"distance":%d,"temperature":%.2f,"tail":"N%05d"}`+"\n",
				day, i%24, i%60, origin, i%200-20, 100+i%2400, float64(i%9000)/100, i%5000)
		}
	}
	return b.Bytes()
}

func flightColumns() map[string]models.ColumnSpec {
	return map[string]models.ColumnSpec{
		"date": {Type: "timestamp"}, "origin": {Type: "string"}, "destination": {Type: "string"}, "delay": {Type: "int64"},
		"distance": {Type: "int64"}, "temperature": {Type: "float64"}, "tail": {Type: "string"},
	}
}

func opener(data []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkChunks(b *testing.B) {
	for _, c := range []struct {
		name     string
		format   models.DataFormat
		declared bool
		gzip     bool
	}{
		{"csv", models.FormatCSV, true, false}, {"csv-guessed", models.FormatCSV, false, false},
		{"csv-gzip", models.FormatCSV, true, true}, {"jsonl", models.FormatJSONL, true, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			text := flights(200_000, c.format)
			data, options := text, textio.Options{Format: c.format, Comma: ","}
			if c.declared {
				options.Columns = flightColumns()
			}
			if c.gzip {
				data = zipped(b, text)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				f, err := textio.Open(b.Context(), options, opener(data))
				if err != nil {
					b.Fatal(err)
				}
				var names []string
				for _, field := range f.Fields() {
					names = append(names, field.Name)
				}
				rows := 0
				if err := f.Chunks(b.Context(), names, func(c dataset.Chunk) error { rows += c.Table.Rows(); return nil }); err != nil || rows != 200_000 {
					b.Fatal(rows, err)
				}
			}
		})
	}
}
