package labelfile_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/labelfile"
	"github.com/mainspring-ml/mainspring/models"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func input() labelfile.Input {
	return labelfile.Input{
		Endpoint: "flights", Columns: labelfile.Columns{ID: "flight", Label: "delayed", Time: "landed"}, Now: now,
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return artifact.FileURI(path)
}

// stored are all labels in the store, in the order of their keys.
func stored(t *testing.T, store artifact.Store) (rows []models.LabelRow) {
	t.Helper()
	objects, err := store.List(t.Context(), "labels/flights/")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		data, _, err := artifact.GetBytes(t.Context(), store, object.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		more, err := parquet.Read[models.LabelRow](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, more...)
	}
	return rows
}

type flight struct {
	Flight  int64     `parquet:"flight"`
	Other   string    `parquet:"other"`
	Delayed *bool     `parquet:"delayed"`
	Landed  time.Time `parquet:"landed,timestamp(millisecond)"`
}

func parquetFile(t *testing.T) string {
	t.Helper()
	yes, no := true, false
	var buffer bytes.Buffer
	if err := parquet.Write(&buffer, []flight{
		{1, "x", &yes, time.Date(2013, 1, 2, 0, 30, 0, 0, time.UTC)},
		{2, "x", &no, time.Date(2013, 1, 1, 23, 0, 0, 0, time.UTC)},
		{3, "x", nil, time.Date(2013, 1, 1, 23, 0, 0, 0, time.UTC)},
	}); err != nil {
		t.Fatal(err)
	}
	return write(t, "a.parquet", buffer.String())
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryFormatSaysTheSame(t *testing.T) {
	for name, uri := range map[string]string{
		"parquet": parquetFile(t),
		"csv":     write(t, "a.csv", "\ufeffflight,other,delayed,landed\n1,x,1,2013-01-02T01:30:00+01:00\n2,\"x\ny\",0,2013-01-01 23:00:00\n3,x,,\n"),
		"gzip":    write(t, "a.csv.gz", zipped(t, "flight,delayed,landed\n1,1,2013-01-02T00:30:00Z\n2,0,2013-01-01 23:00:00\n3,,\n")),
		"lines": write(t, "a.ndjson", `{"flight":1,"delayed":1,"landed":"2013-01-02T00:30:00Z"}

{"flight":"2","delayed":0.0,"landed":"2013-01-01T23:00:00Z","other":[1]}
{"flight":3,"delayed":null}`),
	} {
		store := artifact.NewMemory("b")
		got, err := labelfile.StoreAll(t.Context(), store, uri, input())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := (labelfile.Stored{Labels: 2, Without: 1, Days: map[string]int{"2013-01-01": 1, "2013-01-02": 1}}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
		want := []models.LabelRow{
			{ID: "2", Label: 0, LabelTime: time.Date(2013, 1, 1, 23, 0, 0, 0, time.UTC).UnixMicro(), Time: now.UnixMicro() + 1},
			{ID: "1", Label: 1, LabelTime: time.Date(2013, 1, 2, 0, 30, 0, 0, time.UTC).UnixMicro(), Time: now.UnixMicro()},
		}
		if rows := stored(t, store); !reflect.DeepEqual(rows, want) {
			t.Errorf("%s: %+v", name, rows)
		}
		// An hour later nothing changes.
		again := input()
		again.Now = now.Add(time.Hour)
		if got, err = labelfile.StoreAll(t.Context(), store, uri, again); err != nil || got.Already != 2 {
			t.Errorf("%s again: %+v, %v", name, got, err)
		}
		if rows := stored(t, store); !reflect.DeepEqual(rows, want) {
			t.Errorf("%s again: %+v", name, rows)
		}
	}
}

func TestTheLastLabelOfAFileCounts(t *testing.T) {
	store := artifact.NewMemory("b")
	in := input()
	in.Columns.Time, in.Task = "", models.TaskRegression
	if _, err := labelfile.StoreAll(t.Context(), store, write(t, "a.csv", "flight,delayed\n1,-2.5\n1,4\n"), in); err != nil {
		t.Fatal(err)
	}
	want := []models.LabelRow{
		{ID: "1", Label: -2.5, LabelTime: now.UnixMicro(), Time: now.UnixMicro()},
		{ID: "1", Label: 4, LabelTime: now.UnixMicro(), Time: now.UnixMicro() + 1},
	}
	if rows := stored(t, store); !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v", rows)
	}
}

// Labels of a file without times belong to the day on which it came first, and
// one whose storing was broken off then, too.
func TestAFileWithoutTimesCountsOnceOnAnyDay(t *testing.T) {
	for name, lost := range map[string]bool{"stored": false, "broken off": true} {
		store := artifact.NewMemory("b")
		in := input()
		in.Columns.Time, in.Task = "", models.TaskRegression
		file := write(t, "a.csv", "flight,delayed\n1,-2.5\n2,4\n")
		_, err := labelfile.StoreAll(t.Context(), store, file, in)
		require.NoError(t, err, name)
		want := stored(t, store)
		if lost {
			objects, err := store.List(t.Context(), models.LabelPrefix("flights", now))
			require.NoError(t, err)
			require.Len(t, objects, 1)
			require.NoError(t, store.Delete(t.Context(), objects[0].Key))
		}
		in.Now = now.Add(48 * time.Hour)
		got, err := labelfile.StoreAll(t.Context(), store, file, in)
		require.NoError(t, err, name)
		require.Equal(t, want, stored(t, store), name)
		require.Equal(t, lost, got.Already == 0, name)
		require.Equal(t, map[string]int{models.DayKey(now): 2}, got.Days, name)
	}
}

func TestTheLastFileOfAFolderCounts(t *testing.T) {
	store := artifact.NewMemory("b")
	in := input()
	in.Columns.Time = ""
	dir := t.TempDir()
	for name, text := range map[string]string{"a.csv": "flight,delayed\n2,1\n1,1\n", "b.csv": "flight,delayed\n1,0\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := labelfile.StoreAll(t.Context(), store, artifact.FileURI(dir), in); err != nil {
		t.Fatal(err)
	}
	var last models.LabelRow
	for _, row := range stored(t, store) {
		if row.ID == "1" && row.Time > last.Time {
			last = row
		}
	}
	if last.Label != 0 {
		t.Errorf("the label of the first file arrived last: %+v", stored(t, store))
	}
}

// Programs that know integers and nulls only as floats write IDs as floats.
func TestAnIDThatIsAFloatIsWrittenInFull(t *testing.T) {
	type row struct {
		Flight  float64 `parquet:"flight"`
		Delayed int64   `parquet:"delayed"`
	}
	var buffer bytes.Buffer
	if err := parquet.Write(&buffer, []row{{12345678, 1}, {0.5, 0}}); err != nil {
		t.Fatal(err)
	}
	store := artifact.NewMemory("b")
	in := input()
	in.Columns.Time = ""
	if _, err := labelfile.StoreAll(t.Context(), store, write(t, "a.parquet", buffer.String()), in); err != nil {
		t.Fatal(err)
	}
	if rows := stored(t, store); len(rows) != 2 || rows[0].ID != "12345678" || rows[1].ID != "0.5" {
		t.Errorf("%+v", rows)
	}
}

func TestErrorsNameTheLineAndTheColumn(t *testing.T) {
	for _, test := range []struct {
		name, text string
		task       models.Task
		want       []string
	}{
		{"a.csv", "flight,delay,landed\n1,1,2013-01-01\n", "", []string{"a.csv", `no column "delayed"`, "flight, delay, landed", `did you mean "delay"?`}},
		{"a.csv", "flight,delayed,landed\n1,1,2013-01-01\n2,\"\n\",2013-01-01\n3,2,2013-01-01\n", "", []string{"line 3", `column "delayed"`, "0 or 1"}},
		{"a.csv", "flight,delayed,landed\n1,1,noon\n", "", []string{"line 2", `column "landed"`, `"noon" is no time`}},
		{"a.csv", "flight,delayed,landed\n,1,2013-01-01\n", "", []string{"line 2", `column "flight"`, "ID is missing"}},
		{"a.csv", "flight,delayed,landed\n1\n", "", []string{"line 2", "the record has 1 cells"}},
		{"a.csv", "flight,delayed,landed\n1,setosa,2013-01-01\n", models.TaskMulticlass, []string{"line 2", "place of the class"}},
		{"a.ndjson", "{\"flight\":1,\"delayed\":1,\"landed\":\"2013-01-01\"}\n{", "", []string{"line 2"}},
		{"a.ndjson", `{"flight":[1],"delayed":1}`, "", []string{"line 1", `column "flight"`, "no plain value"}},
		{"a.parquet", "PAR1", "", []string{"a.parquet"}},
		{"a.txt", "", "", []string{"a.txt", ".ndjson"}},
	} {
		store, in := artifact.NewMemory("b"), input()
		in.Task = test.task
		_, err := labelfile.StoreAll(t.Context(), store, write(t, test.name, test.text), in)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v does not say %q", test.text, err, want)
			}
		}
		if rows := stored(t, store); rows != nil {
			t.Errorf("%q: a refused file left %+v", test.text, rows)
		}
	}
}
