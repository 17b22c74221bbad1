package parquetio_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
)

func sample(rows int) dataset.Table {
	t := dataset.Table{Series: []dataset.Series{
		{Name: "zkey", Type: dataset.TypeString},
		{Name: "at", Type: dataset.TypeTimestamp},
		{Name: "late", Type: dataset.TypeBool},
		{Name: "carrier", Type: dataset.TypeString},
		{Name: "distance", Type: dataset.TypeInt64},
		{Name: "ratio", Type: dataset.TypeFloat64},
	}}
	start := time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range rows {
		t.Series[0].Strings = append(t.Series[0].Strings, fmt.Sprintf("key-%05d", i))
		t.Series[1].Ints = append(t.Series[1].Ints, start.Add(time.Duration(i)*time.Minute).UnixMicro())
		t.Series[2].Ints = append(t.Series[2].Ints, int64(i%2))
		t.Series[3].Strings = append(t.Series[3].Strings, []string{"UA", "B6", "DL"}[i%3])
		t.Series[4].Ints = append(t.Series[4].Ints, int64(i*i))
		t.Series[5].Floats = append(t.Series[5].Floats, math.Sqrt(float64(i)))
	}
	return t
}

func write(t *testing.T, table dataset.Table, nullable map[string]bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquetio.Write(&b, table, nullable); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t *testing.T, data []byte) *parquetio.File {
	t.Helper()
	f, err := parquetio.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// usable lists the columns that can be read.
func usable(f *parquetio.File) []string {
	var names []string
	for _, field := range f.Fields() {
		if field.Type != "" {
			names = append(names, field.Name)
		}
	}
	return names
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for _, rows := range []int{0, 1, 1023, 1024, 5000} {
		table := sample(rows)
		f := open(t, write(t, table, nil))
		got, err := f.ReadAll(context.Background(), usable(f))
		if err != nil {
			t.Fatal(err)
		}
		if got.Rows() != rows {
			t.Fatalf("%d rows read, %d written", got.Rows(), rows)
		}
		if rows > 0 && !reflect.DeepEqual(got, table) {
			t.Errorf("%d rows: the table read differs from the one written", rows)
		}
	}
}

func TestNullsSurvive(t *testing.T) {
	table := sample(3000)
	for i := range table.Series {
		s := &table.Series[i]
		s.Nulls = make([]bool, 3000)
		for row := range 3000 {
			if s.Nulls[row] = row%7 == i; s.Nulls[row] {
				switch {
				case s.Strings != nil:
					s.Strings[row] = ""
				case s.Floats != nil:
					s.Floats[row] = 0
				default:
					s.Ints[row] = 0
				}
			}
		}
	}
	all := dataset.Series{Name: "empty", Type: dataset.TypeInt64, Nulls: make([]bool, 3000), Ints: make([]int64, 3000)}
	for row := range all.Nulls {
		all.Nulls[row] = true
	}
	table.Series = append(table.Series, all)
	f := open(t, write(t, table, nil))
	got, err := f.ReadAll(context.Background(), usable(f))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, table) {
		t.Error("the nulls read differ from those written")
	}
}

func TestSameTableSameBytes(t *testing.T) {
	first := write(t, sample(20_000), nil)
	if !bytes.Equal(first, write(t, sample(20_000), nil)) {
		t.Error("two writes of one table differ")
	}
	if bytes.Equal(first, write(t, sample(20_000), map[string]bool{"ratio": true})) {
		t.Error("a nullable column left no trace in the file")
	}
}

// foreign is a file as other writers make it.
type foreign struct {
	Small    int32             `parquet:"small"`
	Unsigned uint32            `parquet:"unsigned"`
	Single   float32           `parquet:"single"`
	Millis   int64             `parquet:"millis,timestamp(millisecond)"`
	Nanos    int64             `parquet:"nanos,timestamp(nanosecond)"`
	Day      int32             `parquet:"day,date"`
	Maybe    *string           `parquet:"maybe,optional"`
	Price    int64             `parquet:"price,decimal(2:12)"`
	List     []int64           `parquet:"list"`
	Nested   struct{ A int64 } `parquet:"nested"`
	Yes      bool              `parquet:"yes"`
}

// Row groups are encoded side by side, and the digest of a snapshot is that of
// the bytes.
func TestProcessorsChangeNoByte(t *testing.T) {
	const groups = 5
	table := sample(groups<<17 - 1000)
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	one := write(t, table, nil)
	for _, processors := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(processors)
		if !bytes.Equal(one, write(t, table, nil)) {
			t.Errorf("%d processors write other bytes than one", processors)
		}
	}
	if got := open(t, one); len(got.Groups("at")) != groups || got.Rows() != int64(table.Rows()) {
		t.Errorf("%d groups, %d rows", len(got.Groups("at")), got.Rows())
	}
}

func TestForeignTypes(t *testing.T) {
	text := "x"
	at := time.Date(1969, 12, 31, 23, 59, 59, 999_999_500, time.UTC) // before the epoch: rounds to the past
	var b bytes.Buffer
	err := parquet.Write(&b, []foreign{
		{Small: -3, Unsigned: 4_000_000_000, Single: 0.5, Millis: 1500, Nanos: at.UnixNano(), Day: 2, Maybe: &text, Yes: true},
		{Small: 7, List: []int64{1, 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, b.Bytes())
	types := map[string]string{}
	for _, field := range f.Fields() {
		types[field.Name] = field.Type
		if field.Type == "" && field.Native == "" {
			t.Errorf("field %q has neither a type nor a description", field.Name)
		}
	}
	want := map[string]string{
		"small": "int64", "unsigned": "int64", "single": "float64", "millis": "timestamp", "nanos": "timestamp",
		"day": "timestamp", "maybe": "string", "price": "", "list": "", "nested": "", "yes": "bool",
	}
	if !reflect.DeepEqual(types, want) {
		t.Fatalf("types %v, want %v", types, want)
	}
	got, err := f.ReadAll(context.Background(), []string{"small", "unsigned", "single", "millis", "nanos", "day", "maybe", "yes"})
	if err != nil {
		t.Fatal(err)
	}
	wantTable := dataset.Table{Series: []dataset.Series{
		{Name: "small", Type: "int64", Ints: []int64{-3, 7}},
		{Name: "unsigned", Type: "int64", Ints: []int64{4_000_000_000, 0}},
		{Name: "single", Type: "float64", Floats: []float64{0.5, 0}},
		{Name: "millis", Type: "timestamp", Ints: []int64{1_500_000, 0}},
		{Name: "nanos", Type: "timestamp", Ints: []int64{-1, 0}},
		{Name: "day", Type: "timestamp", Ints: []int64{2 * 86_400_000_000, 0}},
		{Name: "maybe", Type: "string", Nulls: []bool{false, true}, Strings: []string{"x", ""}},
		{Name: "yes", Type: "bool", Ints: []int64{1, 0}},
	}}
	if !reflect.DeepEqual(got, wantTable) {
		t.Errorf("read %+v\nwant %+v", got, wantTable)
	}
	if _, err := f.ReadAll(context.Background(), []string{"price"}); err == nil {
		t.Error("a column with an unusable type was read")
	}
}

// Programs write the largest number there is for a time that never comes. It must
// not become one that has long been.
func TestTimesBeyondMicrosecondsAreTheLastOnes(t *testing.T) {
	type row struct {
		Millis int64 `parquet:"millis,timestamp(millisecond)"`
		Day    int32 `parquet:"day,date"`
	}
	var b bytes.Buffer
	rows := []row{{math.MaxInt64, math.MaxInt32}, {math.MinInt64, math.MinInt32}, {math.MaxInt64 / 1000, 2_932_896}}
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	f := open(t, b.Bytes())
	got, err := f.ReadAll(t.Context(), []string{"millis", "day"})
	if err != nil {
		t.Fatal(err)
	}
	want := dataset.Table{Series: []dataset.Series{
		{Name: "millis", Type: "timestamp", Ints: []int64{math.MaxInt64, math.MinInt64, math.MaxInt64 / 1000 * 1000}},
		{Name: "day", Type: "timestamp", Ints: []int64{math.MaxInt64, math.MinInt64, 2_932_896 * 86_400_000_000}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
	if scanned := scan(t, f, want); !reflect.DeepEqual(scanned, want) {
		t.Errorf("scanned %+v\nwant %+v", scanned, want)
	}
	if last := f.Groups("millis")[0].Max; !last.Equal(time.UnixMicro(math.MaxInt64)) || !dataset.FromSeconds(math.MaxInt64/1e6).Equal(last) {
		t.Errorf("the last time is %s", last)
	}
}

// counted counts the reads that reach the source.
type counted struct {
	io.ReaderAt
	reads, bytes int
}

func (c *counted) ReadAt(p []byte, offset int64) (int, error) {
	c.reads++
	c.bytes += len(p)
	return c.ReaderAt.ReadAt(p, offset)
}

func TestFewRequestsAndOnlyWhatIsWanted(t *testing.T) {
	data := write(t, sample(300_000), nil) // three row groups
	source := &counted{ReaderAt: bytes.NewReader(data)}
	f, err := parquetio.Open(source, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	groups := f.Groups("at")
	if source.reads != 1 || len(groups) != 3 || f.Rows() != 300_000 {
		t.Fatalf("%d reads to see %d groups of %d rows", source.reads, len(groups), f.Rows())
	}
	start := time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)
	second := parquetio.Group{Rows: 131_072, Min: start.Add(131_072 * time.Minute), Max: start.Add(262_143 * time.Minute)}
	if groups[1] != second {
		t.Errorf("second group %+v, want %+v", groups[1], second)
	}
	table, err := f.Read(context.Background(), []int{1}, []string{"at", "late"})
	if err != nil {
		t.Fatal(err)
	}
	if table.Rows() != 131_072 || table.Column("at").Ints[0] != second.Min.UnixMicro() {
		t.Errorf("%d rows from %d", table.Rows(), table.Column("at").Ints[0])
	}
	if source.reads != 2 || source.bytes > len(data)/2 {
		t.Errorf("%d reads of %d bytes of %d", source.reads, source.bytes, len(data))
	}
}

func TestDamagedFiles(t *testing.T) {
	data := write(t, sample(5000), nil)
	for name, damaged := range map[string][]byte{
		"empty": {}, "text": []byte("hello, world: this is no Parquet file"), "cut": data[:len(data)/2],
	} {
		if _, err := parquetio.Open(bytes.NewReader(damaged), int64(len(damaged))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// The example's files come from another writer (pyarrow).
func TestExampleFile(t *testing.T) {
	path := filepath.Join("..", "..", "..", "examples", "flights", "data", "2013-02.parquet")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, data)
	started := time.Now()
	table, err := f.ReadAll(context.Background(), usable(f))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("read in %v", time.Since(started))
	if table.Rows() != 23_611 || len(table.Series) != 12 {
		t.Errorf("%d rows of %d columns", table.Rows(), len(table.Series))
	}
	if got := table.Column("id").Text(0); got[:7] != "2013-02" {
		t.Errorf("first key %q", got)
	}
}
