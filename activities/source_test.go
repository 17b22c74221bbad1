package activities_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func iso(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }

// shipmentsCSV are shipments with weights as text, so that they can be wrong.
func shipmentsCSV(rows []shipment, weight func(row int, s shipment) string) []byte {
	var b bytes.Buffer
	b.WriteString("carrier,id,at,late,known,weight\n")
	for i, s := range rows {
		fmt.Fprintf(&b, "%s,%s,%s,%d,%s,%s\n", s.Carrier, s.ID, iso(s.At), s.Late, iso(s.Known), weight(i, s))
	}
	return b.Bytes()
}

func plainWeight(_ int, s shipment) string { return fmt.Sprint(*s.Weight) }

func shipmentsJSON(rows []shipment) []byte {
	var b bytes.Buffer
	for _, s := range rows {
		fmt.Fprintf(&b, `{"id":%q,"at":%q,"late":%d,"known":%q,"weight":%d,"carrier":%q}`+"\n", s.ID, iso(s.At), s.Late, iso(s.Known), *s.Weight, s.Carrier)
	}
	return b.Bytes()
}

func compressed(t *testing.T, data []byte) []byte {
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

// textSpec: an ID that looks like a time must be said to be none.
func textSpec() models.DataSpec {
	spec := shipmentSpec()
	spec.Columns = map[string]models.ColumnSpec{"id": {Type: dataset.TypeString}}
	return spec
}

// written lists the digests of a snapshot's files.
func written(t *testing.T, store artifact.Store, snapshot models.Snapshot) (all []string) {
	t.Helper()
	raw, err := artifact.ReadRef(t.Context(), store, snapshot.Manifest, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := dataset.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range manifest.Files {
		all = append(all, f.SHA256)
	}
	slices.Sort(all)
	return all
}

// TestTheSameRowsInAnyFormat: the files of a snapshot do not tell how its source
// was written.
func TestTheSameRowsInAnyFormat(t *testing.T) {
	p := &activities.Prepare{Store: shipments(t)}
	plain, err := prepare(t.Context(), p, textSpec())
	if err != nil {
		t.Fatal(err)
	}
	want := written(t, p.Store, plain)
	january, february := month(2013, time.January), month(2013, time.February)
	store := artifact.NewMemory("mainspring")
	putObject(t, store, "s3://source/shipments/2013-01.csv.gz", compressed(t, shipmentsCSV(january, plainWeight)))
	putObject(t, store, "s3://source/shipments/2013-02.ndjson", shipmentsJSON(february))
	putObject(t, store, "s3://source/shipments/notes.md", []byte("no data"))
	mixed, err := prepare(t.Context(), &activities.Prepare{Store: store}, textSpec())
	if err != nil {
		t.Fatal(err)
	}
	if got := written(t, store, mixed); !slices.Equal(got, want) || mixed.Train.Rows != plain.Train.Rows {
		t.Errorf("other files: %v, want %v", got, want)
	}
}

func TestBrokenPartitions(t *testing.T) {
	rows := month(2013, time.February)
	good := shipmentsCSV(rows, plainWeight)
	for name, c := range map[string]struct {
		data []byte
		says []string
	}{
		"quote.csv":    {bytes.Replace(good, []byte("\nB6,2013-02-03T03"), []byte("\n\"B6,2013-02-03T03"), 1), []string{"line ", "column 1 begins with a quote that is never closed"}},
		"cells.csv":    {append(slices.Clone(good), "UA,x\n"...), []string{fmt.Sprintf("line %d: the record has 2 cells", len(rows)+2)}},
		"cut.csv.gz":   {compressed(t, good)[:300], []string{"the gzip data ends in the middle"}},
		"empty.csv":    {nil, []string{"the file is empty"}},
		"header.csv":   {good[:bytes.IndexByte(good, '\n')+1], []string{"line 1: the header is all there is"}},
		"array.json":   {[]byte("[\n{}\n]\n"), []string{"line 1: there is a list, not an object"}},
		"cut.parquet":  {encode(t, rows)[:2000], []string{"it is cut off, or something else"}},
		"empty.ndjson": {nil, []string{"the file is empty"}},
		"mixed.csv": {
			shipmentsCSV(rows, func(row int, s shipment) string {
				if row == 17 {
					return "heavy"
				}
				return plainWeight(row, s)
			}),
			[]string{`column "weight" (feature) was taken for a string, but 223 of its 224 values are numbers, the others are not, the first in line 19`, "data.columns.weight.type"},
		},
	} {
		store := artifact.NewMemory("mainspring")
		putObject(t, store, "s3://source/shipments/"+name, c.data)
		_, err := prepare(t.Context(), &activities.Prepare{Store: store}, textSpec())
		wantFailure(t, err, models.KindInvalidSpec, append(c.says, "s3://source/shipments/"+name)...)
	}
}

func TestPartitionsWithoutRows(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	putObject(t, store, "s3://source/shipments/2013-01.parquet", encode(t, []shipment{}))
	_, err := prepare(t.Context(), &activities.Prepare{Store: store}, shipmentSpec())
	wantFailure(t, err, models.KindNoRows)
	putObject(t, store, "s3://source/shipments/2013-02.parquet", encode(t, month(2013, time.February)))
	if snapshot, err := prepare(t.Context(), &activities.Prepare{Store: store}, shipmentSpec()); err != nil || snapshot.Train.Rows == 0 {
		t.Errorf("%d rows beside a file without any, %v", snapshot.Train.Rows, err)
	}
}

func TestPartitionsOfDifferentTypes(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	putObject(t, store, "s3://source/shipments/2013-01.csv", shipmentsCSV(month(2013, time.January), plainWeight))
	putObject(t, store, "s3://source/shipments/2013-02.csv", shipmentsCSV(month(2013, time.February), func(row int, s shipment) string {
		return plainWeight(row, s) + ".5"
	}))
	_, err := prepare(t.Context(), &activities.Prepare{Store: store}, textSpec())
	if err == nil || !strings.Contains(err.Error(), "weight") || !strings.Contains(err.Error(), "float64") || !strings.Contains(err.Error(), "int64") {
		t.Errorf("%v", err)
	}
	spec := textSpec()
	spec.Columns["weight"] = models.ColumnSpec{Type: dataset.TypeFloat64}
	if _, err := prepare(t.Context(), &activities.Prepare{Store: store}, spec); err != nil {
		t.Errorf("with a declared type: %v", err)
	}
}

// TestArrivalsOfTexts: what has no footer is read to find its newest label.
func TestArrivalsOfTexts(t *testing.T) {
	store := shipments(t)
	now := march(20)
	r := &activities.Retrainings{Store: store, Now: func() time.Time { return now }}
	request := models.ArrivalRequest{Data: textSpec()}
	first, err := r.FindArrivals(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	rows := month(2013, time.March)[:40]
	putObject(t, store, "s3://source/shipments/2013-05.csv.gz", compressed(t, shipmentsCSV(rows, plainWeight)))
	request.State = &first
	second, err := r.FindArrivals(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.UnixMicro(rows[39].Known).UTC(); second.New != 1 || !second.Newest.Equal(want) {
		t.Errorf("%d new ones up to %v, want %v", second.New, second.Newest, want)
	}
	putObject(t, store, "s3://source/shipments/2013-06.csv", []byte("carrier,id\nUA,\"1\n"))
	request.State = &second
	third, err := r.FindArrivals(t.Context(), request)
	if err != nil || !strings.Contains(third.Unreadable, "2013-06.csv") || !strings.Contains(third.Unreadable, "line 2") {
		t.Errorf("%+v, %v", third, err)
	}
}
