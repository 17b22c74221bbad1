package parquetio_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
)

// gathered joins the chunks of a file, of which each must have what its codings
// say.
func gathered(t *testing.T, f *parquetio.File, groups []int, names []string) (table dataset.Table, coded int) {
	t.Helper()
	next := int64(0)
	err := f.Chunks(context.Background(), groups, names, func(c dataset.Chunk) error {
		if next == 0 {
			next = c.First
		}
		if c.First != next {
			t.Errorf("a chunk begins at row %d, not %d", c.First, next)
		}
		next += int64(c.Table.Rows())
		for i := range c.Table.Series {
			s, coding := &c.Table.Series[i], c.Coding(i)
			if s.Len() != c.Table.Rows() {
				t.Fatalf("column %q has %d rows, not %d", s.Name, s.Len(), c.Table.Rows())
			}
			if coding == nil {
				continue
			}
			coded++
			for row, code := range coding.Codes {
				if s.IsNull(row) != coding.Values.IsNull(int(code)) || s.Text(row) != coding.Values.Text(int(code)) {
					t.Fatalf("column %q, row %d: %q, the coding says %q", s.Name, row, s.Text(row), coding.Values.Text(int(code)))
				}
			}
		}
		table.Append(c.Table.Pick(names, all(c.Table.Rows())))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return table, coded
}

func all(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

func TestChunksAreTheTable(t *testing.T) {
	table := sample(200_000)
	for i := range table.Series {
		s := &table.Series[i]
		if s.Name == "at" {
			continue
		}
		s.Nulls = make([]bool, s.Len())
		for row := range s.Nulls {
			if s.Nulls[row] = row%7 == i && row < 150_000; s.Nulls[row] {
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
	}
	f := open(t, write(t, table, nil))
	got, coded := gathered(t, f, nil, usable(f))
	if !reflect.DeepEqual(got, table) {
		t.Error("the chunks differ from the table")
	}
	if coded == 0 {
		t.Error("no chunk of the carriers has a coding")
	}
	second, _ := gathered(t, f, []int{1}, []string{"ratio", "zkey"})
	want := table.Pick([]string{"ratio", "zkey"}, all(200_000)[131_072:])
	if !slices.Equal(second.Column("ratio").Floats, want.Column("ratio").Floats) || !slices.Equal(second.Column("zkey").Strings, want.Column("zkey").Strings) {
		t.Error("the second row group differs")
	}
}

// Each kind of column that other writers make, with a dictionary and without.
func TestForeignChunks(t *testing.T) {
	type row struct {
		Small    int32    `parquet:"small,dict"`
		Unsigned uint64   `parquet:"unsigned,dict"`
		Single   float32  `parquet:"single,dict"`
		Double   *float64 `parquet:"double,optional,dict"`
		Millis   int64    `parquet:"millis,timestamp(millisecond)"`
		Nanos    int64    `parquet:"nanos,timestamp(nanosecond),dict"`
		Maybe    *string  `parquet:"maybe,optional,dict"`
		Plain    *string  `parquet:"plain,optional"`
		Never    *int64   `parquet:"never,optional"`
		Yes      bool     `parquet:"yes"`
	}
	var rows []row
	for i := range 5000 {
		r := row{
			Small: int32(i%5) - 2, Unsigned: 1<<63 + uint64(i%3), Single: float32(i%4) / 3, Millis: int64(i), Nanos: int64(i%9) - 1001, Yes: i%3 == 0,
		}
		if i%4 != 0 {
			text, x := string(rune('a'+i%7)), float64(i%6)
			r.Maybe, r.Plain, r.Double = &text, &text, &x
		}
		rows = append(rows, r)
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	f := open(t, b.Bytes())
	got, coded := gathered(t, f, nil, usable(f))
	if coded != 6 {
		t.Errorf("%d columns have codings", coded)
	}
	for i, r := range rows {
		for name, want := range map[string]int64{
			"small": int64(r.Small), "unsigned": 1<<63 - 1, "millis": r.Millis * 1000, "yes": map[bool]int64{true: 1}[r.Yes],
			"nanos": map[bool]int64{true: -2, false: -1}[r.Nanos < -1000],
		} {
			if v := got.Column(name).Ints[i]; v != want {
				t.Fatalf("row %d: %s is %d, not %d", i, name, v, want)
			}
		}
		if got.Column("single").Floats[i] != float64(r.Single) || !got.Column("never").IsNull(i) {
			t.Fatalf("row %d: %v", i, got.Column("single").Floats[i])
		}
		for _, name := range []string{"maybe", "plain", "double"} {
			if s := got.Column(name); s.IsNull(i) != (r.Maybe == nil) || name != "double" && r.Maybe != nil && s.Strings[i] != *r.Maybe {
				t.Fatalf("row %d: %s is %q", i, name, s.Text(i))
			}
		}
	}
}

func TestChunksSideBySide(t *testing.T) {
	f := open(t, write(t, sample(300_000), nil))
	var reading sync.WaitGroup
	rows := make([]int, 3)
	for g := range rows {
		reading.Go(func() {
			err := f.Chunks(context.Background(), []int{g}, []string{"zkey", "distance"}, func(c dataset.Chunk) error {
				rows[g] += c.Table.Rows()
				for i, n := range c.Table.Column("distance").Ints {
					if row := c.First - 1 + int64(i); n != row*row {
						return errors.New("a row of another group")
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	reading.Wait()
	if !slices.Equal(rows, []int{131_072, 131_072, 37_856}) {
		t.Errorf("rows of the groups: %v", rows)
	}
}

func TestChunksEnd(t *testing.T) {
	f := open(t, write(t, sample(50_000), nil))
	stop := errors.New("stop")
	if err := f.Chunks(context.Background(), nil, []string{"at"}, func(dataset.Chunk) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the function's error became %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Chunks(ended, nil, []string{"at"}, func(dataset.Chunk) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := f.Chunks(context.Background(), nil, []string{"nothing"}, nil); !errors.Is(err, parquetio.ErrNoColumn) {
		t.Errorf("no such column: %v", err)
	}
}

// Damage anywhere is an error or other values, never a panic.
func TestDamagedChunks(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "flights", "data", "2013-02.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for at := 4; at < len(data)-3000; at += 2003 {
		damaged := bytes.Clone(data)
		for i := range 16 {
			damaged[at+i] ^= byte(17 * (i + 1))
		}
		f, err := parquetio.Open(bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			continue
		}
		_ = f.Chunks(context.Background(), nil, usable(f), func(dataset.Chunk) error { return nil }) // either way is right
	}
}
