package dataset_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func day(d int) time.Time { return time.Date(2013, 1, d, 0, 0, 0, 0, time.UTC) }

// spec sees [1, 11) January as of the 11th and holds the last two days out.
func spec() models.DataSpec {
	return models.DataSpec{
		Source: "s3://b/data/", Time: "at", Key: "id", Label: "late", LabelTime: "known",
		Features: []string{"distance", "carrier"},
		AsOf:     day(11), Window: 10 * models.Day, Holdout: 2 * models.Day,
	}
}

func fields() []dataset.Field {
	return []dataset.Field{
		{Name: "id", Type: "string"}, {Name: "at", Type: "timestamp"}, {Name: "late", Type: "int64"},
		{Name: "known", Type: "timestamp"}, {Name: "distance", Type: "int64"}, {Name: "carrier", Type: "string"},
		{Name: "price", Native: "DECIMAL(9,2)"},
	}
}

type row struct {
	id        string
	at, known time.Time
	late      int64
}

func table(rows ...row) dataset.Table {
	t := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: "string"}, {Name: "at", Type: "timestamp"}, {Name: "late", Type: "int64"},
		{Name: "known", Type: "timestamp"}, {Name: "distance", Type: "int64"}, {Name: "carrier", Type: "string"},
	}}
	for i, r := range rows {
		t.Series[0].Strings = append(t.Series[0].Strings, r.id)
		t.Series[1].Ints = append(t.Series[1].Ints, r.at.UnixMicro())
		t.Series[2].Ints = append(t.Series[2].Ints, r.late)
		t.Series[3].Ints = append(t.Series[3].Ints, r.known.UnixMicro())
		t.Series[4].Ints = append(t.Series[4].Ints, int64(100*i))
		t.Series[5].Strings = append(t.Series[5].Strings, "UA")
	}
	return t
}

func resolve(t *testing.T, s models.DataSpec) []models.Column {
	t.Helper()
	columns, err := dataset.Resolve(s, dataset.Source{URI: "s3://b/data/x.parquet", Fields: fields()})
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

func TestResolve(t *testing.T) {
	want := []models.Column{
		{Name: "id", Type: "string", Role: "key"}, {Name: "at", Type: "timestamp", Role: "time"},
		{Name: "late", Type: "int64", Role: "label"}, {Name: "known", Type: "timestamp", Role: "label_time"},
		{Name: "distance", Type: "int64", Role: "feature"}, {Name: "carrier", Type: "string", Role: "feature"},
	}
	if got := resolve(t, spec()); !reflect.DeepEqual(got, want) {
		t.Errorf("columns %+v\nwant %+v", got, want)
	}
}

func TestResolveSaysEverythingThatIsWrong(t *testing.T) {
	limit := 1.0
	for name, c := range map[string]struct {
		change func(*models.DataSpec)
		want   []string
	}{
		"missing column": {
			func(s *models.DataSpec) { s.Features = []string{"distanze", "zzz"} },
			[]string{
				"s3://b/data/x.parquet", `no column "distanze" (feature), did you mean "distance"?`,
				`no column "zzz" (feature) The file has id, at, late, known, distance, carrier, price`,
			},
		},
		"wrong types": {
			func(s *models.DataSpec) { s.Time, s.Label = "carrier", "at"; s.Features = []string{"price"} },
			[]string{
				`column "carrier" (time) has type string, but must be timestamp`,
				`column "at" (label) has type timestamp, but must be int64 or bool or float64`,
				`column "price" (feature) has type DECIMAL(9,2)`,
			},
		},
		"two roles": {
			func(s *models.DataSpec) { s.Features = []string{"distance", "late"} },
			[]string{`column "late" is declared as label and as feature`},
		},
		"stray limits": {
			func(s *models.DataSpec) {
				s.Checks.Range = map[string]models.Range{"carrier": {Max: &limit}, "distence": {Max: &limit}}
				s.Checks.MaxNullFraction = map[string]float64{"nothing": 1}
			},
			[]string{
				`column "carrier" is a string and has no range`,
				`checks.range: column "distence" is not among the declared ones, did you mean "distance"?`,
				`checks.max_null_fraction: column "nothing" is not among the declared ones`,
			},
		},
	} {
		s := spec()
		c.change(&s)
		_, err := dataset.Resolve(s, dataset.Source{URI: "s3://b/data/x.parquet", Fields: fields()})
		wantError(t, name, err, models.KindInvalidSpec, c.want...)
	}
}

func wantError(t *testing.T, name string, err error, kind models.ErrorKind, texts ...string) {
	t.Helper()
	var e *models.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%s: error %v, want kind %s", name, err, kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error %q does not say %q", name, err, text)
		}
	}
}

func TestSplitBoundaries(t *testing.T) {
	micro := time.Microsecond
	share := dataset.Split(spec(), resolve(t, spec()), table(
		row{"too old", day(1).Add(-micro), day(2), 0},
		row{"first", day(1), day(2), 0},
		row{"last training", day(9).Add(-micro), day(10), 1},
		row{"first held out", day(9), day(10), 0},
		row{"known at the moment", day(10), day(11), 1},
		row{"not known yet", day(10), day(11).Add(micro), 1},
		row{"too new", day(11), day(11), 1},
		row{"b same time", day(5), day(6), 1},
		row{"a same time", day(5), day(4), 0}, // label older than the event
	))
	if got := share.Train.Column("id").Strings; !slices.Equal(got, []string{"first", "a same time", "b same time", "last training"}) {
		t.Errorf("training rows %q", got)
	}
	if got := share.Test.Column("id").Strings; !slices.Equal(got, []string{"first held out", "known at the moment"}) {
		t.Errorf("held-out rows %q", got)
	}
	if got := share.Train.Column("distance").Ints; !slices.Equal(got, []int64{100, 800, 700, 200}) {
		t.Errorf("features did not follow their rows: %v", got)
	}
	if share.Train.Column("known") != nil {
		t.Error("training sees when a label became known")
	}
	s := share.Summary
	if s.Rows != 6 || s.Unknown != 1 || s.Tallies["check:early_labels"].Rows != 1 {
		t.Errorf("summary has %d rows, %d unknown, %d early", s.Rows, s.Unknown, s.Tallies["check:early_labels"].Rows)
	}
	if d := s.Tallies["distance"]; d.Rows != 6 || *d.Min != 100 || *d.Max != 800 {
		t.Errorf("distance tally %+v", d)
	}
}

func TestSplitWithoutLabelTimeKnowsEveryLabel(t *testing.T) {
	s := spec()
	s.LabelTime = ""
	share := dataset.Split(s, resolve(t, s), table(row{"a", day(10), day(30), 1}))
	if share.Test.Rows() != 1 || share.Summary.Unknown != 0 {
		t.Errorf("%d rows, %d unknown", share.Test.Rows(), share.Summary.Unknown)
	}
}

func TestSplitNulls(t *testing.T) {
	in := table(
		row{"no time", day(2), day(3), 0}, row{"no label", day(2), day(3), 0},
		row{"no label time", day(2), day(3), 0}, row{"fine", day(2), day(3), 1},
	)
	in.Column("at").Nulls = []bool{true, false, false, false}
	in.Column("late").Nulls = []bool{false, true, false, false}
	in.Column("known").Nulls = []bool{false, false, true, false}
	in.Column("distance").Nulls = []bool{true, true, true, true}
	share := dataset.Split(spec(), resolve(t, spec()), in)
	if got := share.Train.Column("id").Strings; !slices.Equal(got, []string{"fine"}) {
		t.Fatalf("rows %q", got)
	}
	s := share.Summary
	if s.Unknown != 1 || s.Tallies["at"].Nulls != 1 || s.Tallies["late"].Nulls != 1 {
		t.Errorf("unknown %d, null times %d, null labels %d", s.Unknown, s.Tallies["at"].Nulls, s.Tallies["late"].Nulls)
	}
	if d := s.Tallies["distance"]; d.Rows != 1 || d.Nulls != 1 || d.Min != nil {
		t.Errorf("an all-null column has the tally %+v", d)
	}
}

// many makes rows that pass every check, n a day.
func many(n int) []row {
	var rows []row
	for d := 1; d <= 10; d++ {
		for i := range n {
			at := day(d).Add(time.Duration(i) * time.Minute)
			rows = append(rows, row{at.Format(time.RFC3339), at, at.Add(time.Hour), int64(i % 2)})
		}
	}
	return rows
}

func TestChecksPass(t *testing.T) {
	s := spec()
	low, high := 0.0, 1e6
	s.Checks.Range = map[string]models.Range{"distance": {Min: &low, Max: &high}}
	s.Checks.MaxNullFraction = map[string]float64{"carrier": 0.5}
	summary := dataset.Split(s, resolve(t, s), table(many(4)...)).Summary
	results, err := dataset.Check(s, summary)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		if !r.Passed {
			t.Errorf("%s of %q did not pass: %s", r.Check, r.Column, r.Message)
		}
		got = append(got, r.Check+" "+r.Column)
	}
	want := []string{
		"schema ", "rows ", "rows ", "nulls carrier", "nulls ", "range distance", "range distance",
		"label late", "label late", "time_order at", "time_order known", "unique id",
	}
	if !slices.Equal(got, want) {
		t.Errorf("checks %q\nwant %q", got, want)
	}
}

func TestChecksAreReportedTogether(t *testing.T) {
	s := spec()
	low, high := 0.0, 300.0
	s.Checks.Range = map[string]models.Range{"distance": {Min: &low, Max: &high}}
	s.Checks.MinRows = 1000
	rows := many(4)
	rows[1].id = rows[0].id        // repeated key
	rows[2].known = day(1).Add(-1) // known before the event
	rows[3].late = 2               // neither 0 nor 1
	in := table(rows...)
	in.Column("carrier").Nulls = make([]bool, len(rows))
	in.Column("carrier").Nulls[0] = true
	results, err := dataset.Check(s, dataset.Split(s, resolve(t, s), in).Summary)
	wantError(t, "checks", err, models.KindDataCheckFailed,
		"6 of 12 data checks failed", "32 training rows, at least 1000 wanted",
		`column "carrier": 1 of 40 values are null or NaN (a share of 0.025), at most 0 allowed`,
		`column "distance": largest value 3900, at most 300 allowed`,
		`column "late": 1 labels are neither 0 nor 1`,
		`column "known": 1 labels are older than their event`,
		`column "id": 1 rows repeat a key of their partition`)
	if len(results) != 12 {
		t.Errorf("%d results", len(results))
	}
}

func TestOneLabelIsNotEnough(t *testing.T) {
	rows := many(4)
	for i := range rows {
		rows[i].late = 1
	}
	_, err := dataset.Check(spec(), dataset.Split(spec(), resolve(t, spec()), table(rows...)).Summary)
	wantError(t, "one label", err, models.KindDataCheckFailed, "every training row has the label 1, both 0 and 1 are needed")
}

func TestEmptyWindowIsExplained(t *testing.T) {
	s := spec()
	s.AsOf = day(31)
	summary := dataset.Merge(dataset.Summary{Tallies: dataset.SourceTally(s, 40, day(1), day(10))},
		dataset.Summary{Tallies: dataset.SourceTally(s, 5, day(10), day(12).Add(time.Hour))})
	_, err := dataset.Check(s, summary)
	wantError(t, "empty", err, models.KindNoRows,
		"0 training rows in [2013-01-21, 2013-01-29) and 0 held-out rows in [2013-01-29, 2013-01-31)",
		`column "at" of the source covers 2013-01-01 to 2013-01-12T01:00:00Z`,
		"set data.as_of between 2013-01-11 and 2013-01-13")

	s.Window = 60 * models.Day
	_, err = dataset.Check(s, summary)
	wantError(t, "short source", err, models.KindNoRows, "shorten data.window and data.holdout and set data.as_of to 2013-01-13")

	_, err = dataset.Check(s, dataset.Summary{Tallies: dataset.SourceTally(s, 0, time.Time{}, time.Time{})})
	wantError(t, "no source", err, models.KindNoRows, "the source has no rows at all")
}

func TestUnknownLabelsExplainAnEmptySide(t *testing.T) {
	rows := many(4)
	for i := range rows {
		if rows[i].at.Day() >= 9 {
			rows[i].known = day(20)
		}
	}
	_, err := dataset.Check(spec(), dataset.Split(spec(), resolve(t, spec()), table(rows...)).Summary)
	wantError(t, "unknown", err, models.KindNoRows, "8 rows inside it have a label that was not known yet at 2013-01-11")
}

func TestMergeKnowsNoOrder(t *testing.T) {
	s := spec()
	var parts []dataset.Summary
	for d := 1; d <= 10; d++ {
		var rows []row
		for _, r := range many(5) {
			if r.at.Day() == d {
				rows = append(rows, r)
			}
		}
		p := dataset.Split(s, resolve(t, s), table(rows...)).Summary
		p.Files = []models.SnapshotFile{{Path: "train/" + day(d).Format(time.DateOnly), Ref: models.Ref{URI: "s3://elsewhere/x", SHA256: "00"}}}
		parts = append(parts, p)
	}
	merge := func(order []int) dataset.Summary {
		var sum dataset.Summary
		for _, i := range order {
			sum = dataset.Merge(sum, parts[i])
		}
		return sum
	}
	order := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	first := merge(order)
	digest := digestOf(t, s, first)
	whole := dataset.Split(s, resolve(t, s), table(many(5)...)).Summary
	if !reflect.DeepEqual(first.Tallies["late"], whole.Tallies["late"]) || first.Rows != whole.Rows {
		t.Error("the parts' tallies do not add up to the whole's")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if again := merge(order); !reflect.DeepEqual(again, first) || digestOf(t, s, again) != digest {
			t.Fatalf("order %v gives another summary", order)
		}
	}
}

func digestOf(t *testing.T, s models.DataSpec, summary dataset.Summary) string {
	t.Helper()
	m, err := dataset.NewManifest(s, summary)
	if err != nil {
		t.Fatal(err)
	}
	data, digest, err := dataset.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "elsewhere") {
		t.Error("the manifest depends on the bucket")
	}
	return digest
}

func TestTypesThatDifferBetweenPartitions(t *testing.T) {
	s := spec()
	a := dataset.Split(s, resolve(t, s), table(many(4)...)).Summary
	b := a
	b.Columns = slices.Clone(a.Columns)
	b.Columns[3].Type = "float64"
	for _, sum := range []dataset.Summary{dataset.Merge(a, b), dataset.Merge(b, a)} {
		_, err := dataset.Check(s, sum)
		wantError(t, "types", err, models.KindDataCheckFailed, `column "distance" has different types in different partitions: float64 and int64`)
	}
}

func TestManifestRefusesForeignPaths(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	for _, path := range []string{"../x", "train/../../x", "/etc/x", "train/a/b", "train/", "other/x", `train/..\x`} {
		data, _, err := dataset.Encode(models.SnapshotManifest{Format: 1, Files: []models.SnapshotFile{
			{Path: path, Ref: models.Ref{SHA256: digest}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dataset.Decode(data); err == nil {
			t.Errorf("path %q was accepted", path)
		}
	}
	good := models.SnapshotManifest{Format: 1, Files: []models.SnapshotFile{{Path: "train/a.parquet", Ref: models.Ref{SHA256: digest}}}}
	data, _, err := dataset.Encode(good)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := dataset.Decode(data); err != nil || !reflect.DeepEqual(back, good) {
		t.Errorf("a good manifest came back as %+v, %v", back, err)
	}
}

func TestTwoFilesOfOneNameAreRefused(t *testing.T) {
	file := models.SnapshotFile{Path: "train/a.parquet"}
	_, err := dataset.NewManifest(spec(), dataset.Summary{Files: []models.SnapshotFile{file, file}})
	wantError(t, "names", err, models.KindInvalidSpec, "two partitions would both become train/a.parquet")
}

func TestFileNames(t *testing.T) {
	source := "s3://b/data"
	uris := []string{
		"s3://b/data/2013-01.parquet", "s3://b/data/dt=2013/part-0.csv.gz", "s3://other/x/y.jsonl", "s3://b/data/2013-02-01T00:00.tsv",
		"s3://b/data/notes.v2", "s3://b/data/a.csv", "s3://b/data/a.jsonl", "s3://b/data/a/b.csv", "s3://b/data/a__b.csv",
		"s3://b/data/" + strings.Repeat("ä", 200) + ".csv",
	}
	names := make([]string, len(uris))
	for i, uri := range uris {
		names[i] = dataset.PartitionName(source, models.Partition{URI: uri})
	}
	got := dataset.FileNames(names)
	want := []string{"2013-01.parquet", "dt=2013__part-0.parquet", "y.parquet", "2013-02-01T00_00.parquet", "notes.v2.parquet"}
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("the files are %q, want %q", got[:len(want)], want)
	}
	var files []models.SnapshotFile
	seen := map[string]bool{}
	for i, name := range got {
		if seen[name] || len(name) > 240 {
			t.Errorf("%s becomes %q, which is taken or too long", uris[i], name)
		}
		seen[name] = true
		files = append(files, models.SnapshotFile{Path: "test/" + name, Ref: models.Ref{SHA256: strings.Repeat("ab", 32)}})
	}
	data, _, err := dataset.Encode(models.SnapshotManifest{Format: 1, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.Decode(data); err != nil {
		t.Errorf("hosts refuse a name: %v", err)
	}
	if name := dataset.PartitionName(source, models.Partition{URI: uris[0], Name: "0a1b"}); name != "0a1b" {
		t.Errorf("a transformed partition is %q", name)
	}
}

func TestInfinityAndNaN(t *testing.T) {
	s := spec()
	f := fields()
	f[4].Type = "float64"
	columns, err := dataset.Resolve(s, dataset.Source{Fields: f})
	if err != nil {
		t.Fatal(err)
	}
	in := table(row{"a", day(2), day(3), 0}, row{"b", day(2), day(3), 1})
	*in.Column("distance") = dataset.Series{Name: "distance", Type: "float64", Floats: []float64{math.NaN(), math.Inf(1)}}
	d := dataset.Split(s, columns, in).Summary.Tallies["distance"]
	if d.Nulls != 1 || *d.Max != math.MaxFloat64 {
		t.Errorf("tally %+v", d)
	}
}
