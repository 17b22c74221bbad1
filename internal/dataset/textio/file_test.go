package textio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/textio"
	"github.com/mainspring-ml/mainspring/models"
)

func csvOptions(columns map[string]models.ColumnSpec) textio.Options {
	return textio.Options{Format: models.FormatCSV, Comma: ",", Columns: columns}
}

func jsonOptions(columns map[string]models.ColumnSpec) textio.Options {
	return textio.Options{Format: models.FormatJSONL, Columns: columns}
}

func open(t *testing.T, options textio.Options, data string) *textio.File {
	t.Helper()
	f, err := textio.Open(t.Context(), options, opener([]byte(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func columnNames(f *textio.File) (names []string) {
	for _, field := range f.Fields() {
		names = append(names, field.Name)
	}
	return names
}

func readAll(t *testing.T, f *textio.File) dataset.Table {
	t.Helper()
	table, err := f.ReadAll(t.Context(), columnNames(f))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// broken opens and reads a file that is expected to be broken.
func broken(t *testing.T, options textio.Options, data []byte) *textio.Broken {
	t.Helper()
	f, err := textio.Open(t.Context(), options, opener(data))
	if err == nil {
		_, err = f.ReadAll(t.Context(), columnNames(f))
	}
	var found *textio.Broken
	if !errors.As(err, &found) {
		t.Fatalf("%.40q: %v; want a broken file", data, err)
	}
	return found
}

func TestNumbersThatCountTimeAreTimes(t *testing.T) {
	at := map[string]models.ColumnSpec{"at": {TimeFormat: models.TimeUnixMillis}}
	for name, f := range map[string]*textio.File{
		"csv":  open(t, csvOptions(at), "at,n\n1357000000123,1\n"),
		"json": open(t, jsonOptions(at), `{"at":1357000000123,"n":1}`),
	} {
		got := readAll(t, f).Column("at")
		if bad := f.BadValues(); got.Type != dataset.TypeTimestamp || got.Ints[0] != 1357000000123000 || bad != nil {
			t.Errorf("%s: %+v, bad %+v", name, got, bad)
		}
	}
	iso := map[string]models.ColumnSpec{"at": {TimeFormat: models.TimeISO}} // how times are written, if there are some
	if got := open(t, csvOptions(iso), "at\n5\n").Fields()[0].Type; got != dataset.TypeInt64 {
		t.Errorf("5 is read as %s", got)
	}
}

func TestTypesAreGuessedFromAllValues(t *testing.T) {
	const head, rows = "i,f,b,t,s,code,none,mix\n", "1,1,true,2013-02-01,x,007,,1\n-2,2.5,False,2013-02-01T05:00Z,1,8,,true\n,,,,,,,\n"
	want := []string{"int64", "float64", "bool", "timestamp", "string", "string", "string", "string"}
	lines := strings.SplitAfter(strings.TrimSuffix(rows, "\n"), "\n")
	slices.Reverse(lines)
	lines[0] += "\n"
	for _, text := range []string{head + rows, head + strings.Join(lines, "")} {
		f := open(t, csvOptions(nil), text)
		var types []string
		for _, field := range f.Fields() {
			types = append(types, field.Type)
		}
		if !slices.Equal(types, want) || f.Rows() != 3 {
			t.Errorf("%q: types %v of %d rows, want %v", text, types, f.Rows(), want)
		}
	}
}

func TestReadAll(t *testing.T) {
	want := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: "string", Strings: []string{"a", "b", "c"}},
		{Name: "n", Type: "int64", Ints: []int64{1, 0, 3}, Nulls: []bool{false, true, false}},
		{Name: "x", Type: "float64", Floats: []float64{0.5, 2, 0}, Nulls: []bool{false, false, true}},
		{Name: "at", Type: "timestamp", Ints: []int64{0, 1_000_000, 1_500_000}},
		{Name: "ok", Type: "bool", Ints: []int64{1, 0, 0}, Nulls: []bool{false, false, true}},
		{Name: "note", Type: "string", Strings: []string{"", "", "x, \"y\"\nz"}, Nulls: []bool{true, false, false}},
	}}
	at := map[string]models.ColumnSpec{"at": {Type: "timestamp", TimeFormat: models.TimeUnix}}
	asCSV := "id,n,x,at,ok,note\na,1,0.5,0,true,\nb,,2,1,false,\"\"\nc,3,,1.5,,\"x, \"\"y\"\"\nz\"\n"
	asJSON := `{"id":"a","n":1,"x":0.5,"at":0,"ok":true,"note":null}
{"id":"b","x":2,"at":1,"ok":false,"note":""}
{"note":"x, \"y\"\nz","id":"c","n":3,"at":"1.5"}
`
	withNA := csvOptions(at)
	withNA.Nulls = []string{"NA", "-"}
	tabs := csvOptions(at)
	tabs.Comma = "\t"
	for name, f := range map[string]*textio.File{
		"csv":       open(t, csvOptions(at), asCSV),
		"bom":       open(t, csvOptions(at), "\ufeff"+asCSV),
		"crlf":      open(t, csvOptions(at), strings.ReplaceAll(asCSV, "\n", "\r\n")),
		"nulls":     open(t, withNA, strings.ReplaceAll(strings.ReplaceAll(asCSV, "b,,2", "b,NA,2"), "3,,", "3,-,")),
		"tabs":      open(t, tabs, "id\tn\tx\tat\tok\tnote\na\t1\t0.5\t0\ttrue\t\nb\t\t2\t1\tfalse\t\"\"\nc\t3\t\t1.5\t\t\"x, \"\"y\"\"\nz\"\n"),
		"gzip":      open(t, csvOptions(at), string(zipped(t, []byte(asCSV)))),
		"gzip bom":  open(t, csvOptions(at), string(zipped(t, []byte("\ufeff"+asCSV)))),
		"two gzips": open(t, csvOptions(at), string(zipped(t, []byte(asCSV[:20])))+string(zipped(t, []byte(asCSV[20:])))),
		"json":      open(t, jsonOptions(at), asJSON),
		"json gzip": open(t, jsonOptions(at), string(zipped(t, []byte(asJSON)))),
	} {
		if got := readAll(t, f); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if bad := f.BadValues(); bad != nil {
			t.Errorf("%s: bad values %+v", name, bad)
		}
	}
}

func TestSomeColumnsInAnotherOrder(t *testing.T) {
	f := open(t, csvOptions(nil), "a,b,c\n1,2,3\n4,5,6\n")
	table, err := f.ReadAll(t.Context(), []string{"c", "a"})
	if err != nil || !slices.Equal(table.Series[0].Ints, []int64{3, 6}) || !slices.Equal(table.Series[1].Ints, []int64{1, 4}) {
		t.Errorf("%+v, %v", table, err)
	}
	if _, err := f.ReadAll(t.Context(), []string{"d"}); !errors.Is(err, textio.ErrNoColumn) {
		t.Errorf("a column that is not there: %v", err)
	}
}

func TestChunksSayWhereRowsAre(t *testing.T) {
	var text strings.Builder
	text.WriteString("n,s\n")
	const rows = 20_000
	for i := range rows {
		fmt.Fprintf(&text, "%d,\"a\nb\"\n", i)
	}
	f := open(t, csvOptions(map[string]models.ColumnSpec{"n": {Type: "int64"}, "s": {Type: "string"}}), text.String())
	if f.Rows() != -1 {
		t.Errorf("%d rows are known before they are read", f.Rows())
	}
	next, chunks := int64(0), 0
	err := f.Chunks(t.Context(), []string{"n"}, func(c dataset.Chunk) error {
		chunks++
		if c.First != next+1 {
			t.Errorf("the chunk begins with row %d, want %d", c.First, next+1)
		}
		for i, n := range c.Table.Series[0].Ints {
			if n != next || c.Row(i) != 2+2*next {
				t.Fatalf("row %d is %d in line %d", next, n, c.Row(i))
			}
			next++
		}
		return nil
	})
	if err != nil || next != rows || f.Rows() != rows || chunks < 2 {
		t.Errorf("%d rows in %d chunks, %v", next, chunks, err)
	}
	stop := errors.New("enough")
	if err := f.Chunks(t.Context(), []string{"n"}, func(dataset.Chunk) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}

func TestMemoryIsBoundedByTheChunk(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	f := open(t, csvOptions(map[string]models.ColumnSpec{"s": {Type: "string"}}), "s\n"+strings.Repeat(long+"\n", 40))
	most := 0
	if err := f.Chunks(t.Context(), []string{"s"}, func(c dataset.Chunk) error {
		most = max(most, c.Table.Rows())
		return nil
	}); err != nil || most > 8 {
		t.Errorf("a chunk has %d MiB, %v", most, err)
	}
}

func TestBadValues(t *testing.T) {
	columns := map[string]models.ColumnSpec{
		"n": {Type: "int64"}, "ssn": {Type: "int64", Sensitive: models.SensitiveKeep}, "s": {Type: "string"}, "at": {Type: "timestamp"},
	}
	text := "n,ssn,s,at\n1,1,a,2013-02-01\n"
	for i := range 7 {
		text += fmt.Sprintf("x%d,secret,\xff,never\n", i)
	}
	f := open(t, csvOptions(columns), text)
	table := readAll(t, f)
	if nulls := table.Series[0].Nulls; nulls[0] || !nulls[1] || !nulls[7] || len(nulls) != 8 {
		t.Errorf("nulls %v", nulls)
	}
	bad := f.BadValues()
	if len(bad) != 4 {
		t.Fatalf("bad values of %d columns", len(bad))
	}
	want := dataset.BadValues{Column: "n", Type: "int64", Count: 7, Rows: []models.OffendingRow{
		{Row: 3, Value: "x0"}, {Row: 4, Value: "x1"}, {Row: 5, Value: "x2"}, {Row: 6, Value: "x3"}, {Row: 7, Value: "x4"},
	}}
	if !reflect.DeepEqual(bad[0], want) {
		t.Errorf("%+v, want %+v", bad[0], want)
	}
	if strings.Contains(fmt.Sprint(bad[1]), "secret") || bad[1].Rows[0].Value != models.Masked || bad[1].Count != 7 {
		t.Errorf("a sensitive column shows %+v", bad[1])
	}
	if bad[2].Column != "s" || bad[2].Rows[0].Value != "\uFFFD" {
		t.Errorf("text that is no UTF-8: %+v", bad[2])
	}
}

func TestMixedColumns(t *testing.T) {
	var text strings.Builder
	text.WriteString("weight,code,at\n")
	for i := range 100 {
		weight, code, at := fmt.Sprint(i), fmt.Sprint(i), "2013-02-01"
		if i == 41 {
			weight, at = "n/a", "soon"
		}
		if i%10 == 0 {
			code = "A" + code
		}
		fmt.Fprintf(&text, "%s,%s,%s\n", weight, code, at)
	}
	fields := open(t, csvOptions(nil), text.String()).Fields()
	if want := "99 of its 100 values are numbers, the others are not, the first in line 43"; fields[0].Mixed != want || fields[0].Type != "string" {
		t.Errorf("weight: %+v", fields[0])
	}
	if fields[1].Mixed != "" {
		t.Errorf("codes: %+v", fields[1])
	}
	if want := "99 of its 100 values are times, the others are not, the first in line 43"; fields[2].Mixed != want {
		t.Errorf("at: %+v", fields[2])
	}
}

func TestJSONKeepsWhatQuotesSay(t *testing.T) {
	f := open(t, jsonOptions(nil), `{"code":"12","n":12,"big":12345678901234567890,"at":"2013-02-01"}`+"\n"+`{"later":true}`)
	var types []string
	for _, field := range f.Fields() {
		types = append(types, field.Name+" "+field.Type)
	}
	if want := []string{"code string", "n int64", "big float64", "at timestamp", "later bool"}; !slices.Equal(types, want) {
		t.Errorf("%v, want %v", types, want)
	}
	table := readAll(t, f)
	if table.Series[2].Floats[0] != 12345678901234567890 || !table.Series[4].Nulls[0] || !table.Series[0].Nulls[1] {
		t.Errorf("%+v", table)
	}
}

func TestListsAndObjectsHaveNoType(t *testing.T) {
	f := open(t, jsonOptions(map[string]models.ColumnSpec{"b": {Type: "int64"}}), "{\"a\":1,\"b\":2}\n{\"a\":[1],\"b\":{\"c\":3},\"d\":4}\n")
	want := []dataset.Field{
		{Name: "a", Native: "a list or an object, such as in line 2"}, {Name: "b", Native: "a list or an object, such as in line 2"},
		{Name: "d", Type: "int64", Native: "int64"},
	}
	if got := f.Fields(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := f.ReadAll(t.Context(), []string{"a"}); !errors.Is(err, textio.ErrNoColumn) {
		t.Errorf("a list is read: %v", err)
	}
	if table, err := f.ReadAll(t.Context(), []string{"d"}); err != nil || table.Series[0].Ints[1] != 4 {
		t.Errorf("%+v, %v", table, err)
	}
}

func TestBrokenFiles(t *testing.T) {
	csv := []byte("a,b\n" + strings.Repeat("1,2\n", 300_000))
	zip := zipped(t, csv)
	damaged := slices.Clone(zip)
	damaged[len(damaged)/2] ^= 0xff
	gzipByName := csvOptions(nil)
	gzipByName.Gzip = true
	declared := csvOptions(map[string]models.ColumnSpec{"a": {Type: "int64"}})
	for _, c := range []struct {
		name    string
		options textio.Options
		data    []byte
		want    string
	}{
		{"empty", csvOptions(nil), nil, "the file is empty"},
		{"only a BOM", csvOptions(nil), []byte("\ufeff"), "the file is empty"},
		{"empty JSON", jsonOptions(nil), []byte("\n"), "the file is empty"},
		{"only a header", csvOptions(nil), []byte("a,b\n"), "line 1: the header is all there is, no row follows"},
		{"only a header, types declared", declared, []byte("a\n"), "line 1: the header is all there is, no row follows"},
		{"gzip cut off", csvOptions(nil), zip[:len(zip)/2], "the gzip data ends in the middle"},
		{"gzip without its sum", csvOptions(nil), zip[:len(zip)-4], "the gzip data ends in the middle"},
		{"gzip damaged", csvOptions(nil), damaged, "the gzip data is damaged"},
		{"gzip header cut off", csvOptions(nil), zip[:5], "the gzip data ends in the middle"},
		{"gzip and more", csvOptions(nil), append(slices.Clone(zip), "more than a header"...), "the gzip data is damaged"},
		{"no gzip", gzipByName, csv, "the file is not compressed with gzip, as its name says"},
		{"UTF-16", csvOptions(nil), []byte("\xff\xfea\x00"), "the file is UTF-16"},
		{"JSON as CSV", csvOptions(nil), []byte(`{"a":1}` + "\n"), `line 1: column 1 has a quote inside of a cell without quotes`},
	} {
		if got := broken(t, c.options, c.data); !strings.HasSuffix(got.Error(), c.want) || got.Hint == "" {
			t.Errorf("%s: %v (%s), want %s", c.name, got, got.Hint, c.want)
		}
	}
	if got := broken(t, csvOptions(nil), zip[:len(zip)/2]); got.Line < 100_000 || got.Line > 200_000 {
		t.Errorf("the gzip data ends in line %d", got.Line)
	}
}

func TestFailingSourceIsNoDamage(t *testing.T) {
	down := fmt.Errorf("connection reset: %w", io.ErrUnexpectedEOF) // as in the middle of a gzip file
	for _, data := range [][]byte{[]byte("a,b\n1,"), zipped(t, []byte("a,b\n1,2\n"))[:20], nil} {
		_, err := textio.Open(t.Context(), csvOptions(nil), func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(down))), nil
		})
		if got := (*textio.Broken)(nil); !errors.Is(err, down) || errors.As(err, &got) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestFileThatIsAnotherOneNextTime(t *testing.T) {
	for name, texts := range map[string][]string{
		"header": {"a,b\n1,2\n", "b,a\n2,1\n"}, "fewer": {"a,b\n1,2\n", "a\n2\n"},
	} {
		n := 0
		f, err := textio.Open(t.Context(), csvOptions(nil), func(context.Context) (io.ReadCloser, error) {
			n++
			return io.NopCloser(strings.NewReader(texts[n-1])), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAll(t.Context(), []string{"a"}); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCancelledReading(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, err := textio.Open(ctx, csvOptions(flightColumns()), opener(flights(50_000, models.FormatCSV)))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := f.ReadAll(ctx, []string{"delay"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestCSVAndJSONGiveTheSame(t *testing.T) {
	asCSV := readAll(t, open(t, csvOptions(nil), string(flights(1000, models.FormatCSV))))
	asJSON := readAll(t, open(t, jsonOptions(nil), string(flights(1000, models.FormatJSONL))))
	if !reflect.DeepEqual(asCSV, asJSON) {
		t.Error("the same rows read differently")
	}
	if v := asCSV.Column("temperature").Floats[999]; v != 9.99 || math.IsNaN(v) {
		t.Errorf("temperature %v", v)
	}
}
