package parquetio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
)

// scan puts batches together again.
func scan(t *testing.T, f *parquetio.File, like dataset.Table) dataset.Table {
	t.Helper()
	var got dataset.Table
	var fields []dataset.Field
	for _, s := range like.Series {
		got.Series = append(got.Series, dataset.Series{Name: s.Name, Type: s.Type})
		fields = append(fields, dataset.Field{Name: s.Name, Type: s.Type})
	}
	err := f.Scan(context.Background(), fields, func(b *parquetio.Batch) error {
		for i := range got.Series {
			s := &got.Series[i]
			for row := range b.Rows {
				if like.Series[i].Nulls != nil {
					s.Nulls = append(s.Nulls, b.Null(i, row))
				}
				switch s.Type {
				case dataset.TypeString:
					s.Strings = append(s.Strings, string(b.Bytes(i, row)))
				case dataset.TypeFloat64:
					v, _ := b.Number(i, row)
					s.Floats = append(s.Floats, v)
				default:
					s.Ints = append(s.Ints, b.Int(i, row))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// sampleWithNulls has nulls in every column, of zero value.
func sampleWithNulls(rows int) dataset.Table {
	table := sample(rows)
	for i := range table.Series {
		s := &table.Series[i]
		s.Nulls = make([]bool, rows)
		for row := range rows {
			if row%7 != i {
				continue
			}
			s.Nulls[row] = true
			switch s.Type {
			case dataset.TypeString:
				s.Strings[row] = ""
			case dataset.TypeFloat64:
				s.Floats[row] = 0
			default:
				s.Ints[row] = 0
			}
		}
	}
	return table
}

func TestScanReadsWhatReadAllReads(t *testing.T) {
	for name, table := range map[string]dataset.Table{
		"one batch": sample(1000), "batches": sample(5000), "row groups": sample(140_000), "nulls": sampleWithNulls(3000), "none": sample(0),
	} {
		t.Run(name, func(t *testing.T) {
			got := scan(t, open(t, write(t, table, nil)), table)
			for i, want := range table.Series {
				s := got.Series[i]
				if !slices.Equal(s.Strings, want.Strings) || !slices.Equal(s.Ints, want.Ints) || !slices.Equal(s.Floats, want.Floats) || !slices.Equal(s.Nulls, want.Nulls) {
					t.Errorf("column %q differs", want.Name)
				}
			}
		})
	}
}

// TestValuesOutliveTheirPages: pages are far smaller than a batch, and a page that
// was given back too early is written over by the next.
func TestValuesOutliveTheirPages(t *testing.T) {
	type texts struct {
		A string `parquet:"a,zstd"`
		B string `parquet:"b,plain"`
	}
	rows := make([]texts, 5000)
	for i := range rows {
		rows[i] = texts{fmt.Sprintf("the first text of row %d, long enough to fill a page soon", i), fmt.Sprintf("the second text of row %d, which is not compressed", i)}
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[texts](&b, parquet.PageBufferSize(2048))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	at := 0
	err := open(t, b.Bytes()).Scan(context.Background(), []dataset.Field{{Name: "a", Type: dataset.TypeString}, {Name: "b", Type: dataset.TypeString}}, func(b *parquetio.Batch) error {
		for row := range b.Rows {
			if got := (texts{string(b.Bytes(0, row)), string(b.Bytes(1, row))}); got != rows[at] {
				t.Fatalf("row %d: %+v", at, got)
			}
			at++
		}
		return nil
	})
	if err != nil || at != len(rows) {
		t.Errorf("%d rows, %v", at, err)
	}
}

func TestScanRefusesAnotherType(t *testing.T) {
	f := open(t, write(t, sample(10), nil))
	for _, field := range []dataset.Field{{Name: "carrier", Type: dataset.TypeFloat64}, {Name: "none", Type: dataset.TypeString}} {
		err := f.Scan(context.Background(), []dataset.Field{field}, func(*parquetio.Batch) error { return nil })
		if !errors.Is(err, parquetio.ErrNoColumn) {
			t.Errorf("%+v: %v", field, err)
		}
	}
	stop := errors.New("enough")
	err := f.Scan(context.Background(), []dataset.Field{{Name: "distance", Type: dataset.TypeInt64}}, func(*parquetio.Batch) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}
