package dataset_test

import (
	"errors"
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
		{Name: "price", Native: "DECIMAL(9,2)"}, {Name: "seen", Type: "int64"},
	}
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
				`no column "zzz" (feature); the file has id, at, late, known, distance, carrier, price, seen`,
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
		"when a feature became known is no time": {
			func(s *models.DataSpec) {
				s.Columns = map[string]models.ColumnSpec{"carrier": {KnownAt: "seen"}, "distance": {KnownAt: "id"}, "seen": {}}
			},
			[]string{`column "seen" has type int64, but must be timestamp: data.columns.carrier.known_at names it`,
				`column "id" has type string, but must be timestamp: data.columns.distance.known_at names it`},
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
	_, err := dataset.NewManifest(spec(), dataset.Content{Files: []models.SnapshotFile{file, file}})
	wantError(t, "names", err, models.KindInvalidSpec, "two partitions would both become train/a.parquet")
}

// A partition has the same name however a person has written the source's URI.
func TestPartitionNamesOfADirectory(t *testing.T) {
	part := models.Partition{URI: "file:///data/my%20flights/2013/01.csv"}
	for _, source := range []string{"file:///data/my%20flights/", "file:///data/my flights", "file://localhost/data/my%20flights/", "file:///data//my%20flights/./"} {
		if name := dataset.PartitionName(source, part); name != "2013/01.csv" {
			t.Errorf("%s: the name is %s", source, name)
		}
	}
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

func TestColumnsBesideTheRoles(t *testing.T) {
	s := spec()
	s.Columns = map[string]models.ColumnSpec{
		"note": {}, "ssn": {Sensitive: models.SensitiveDrop}, "distance": {Type: "int64", KnownAt: "measured"}, "carrier": {KnownAt: "known"},
		"told": {Type: "timestamp"}, "id": {Sensitive: models.SensitiveKeep},
	}
	s.Split = models.SplitSpec{By: models.SplitByHash, Column: "customer"}
	var roles []string
	for _, c := range dataset.Declared(s) {
		roles = append(roles, c.Name+" "+c.Role)
	}
	want := "id key, at time, late label, known label_time, distance feature, carrier feature, note extra, ssn dropped, told extra, measured known_at, customer split"
	if got := strings.Join(roles, ", "); got != want {
		t.Errorf("declared %s\nwant     %s", got, want)
	}
	var kept []string
	for _, c := range dataset.Kept(dataset.Declared(s)) {
		kept = append(kept, c.Name)
	}
	if want := []string{"id", "at", "late", "distance", "carrier", "note", "told"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

func TestSpansOfAHashSplit(t *testing.T) {
	s := spec()
	s.Split.By, s.Holdout = models.SplitByHash, 0
	train, test := dataset.Spans(s)
	if want := (models.Span{From: day(1), To: day(11)}); train != want || test != want {
		t.Errorf("spans %v and %v: each side is drawn from the whole window", train, test)
	}
}

// A manifest is the same wherever it is made.
func TestManifestKnowsNoPlace(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	make := func(bucket string, order ...string) string {
		content := dataset.Content{Train: 3, Test: 1, Columns: []models.Column{{Name: "id", Type: "string", Role: "key"}},
			Profile: models.Ref{URI: "s3://" + bucket + "/p", SHA256: digest, Size: 5}}
		for _, path := range order {
			content.Files = append(content.Files, models.SnapshotFile{Path: path, Rows: 2, Ref: models.Ref{URI: "s3://" + bucket + "/x", SHA256: digest, Size: 7}})
		}
		m, err := dataset.NewManifest(spec(), content)
		if err != nil {
			t.Fatal(err)
		}
		data, sum, err := dataset.Encode(m)
		if err != nil || strings.Contains(string(data), bucket) {
			t.Errorf("%v; the manifest is %s", err, data)
		}
		return sum
	}
	if make("here", "test/a.parquet", "train/a.parquet") != make("elsewhere", "train/a.parquet", "test/a.parquet") {
		t.Error("another bucket, or another order of the files, gives another digest")
	}
}
