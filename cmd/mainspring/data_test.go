package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// flightsData is real: a year out of New York.
func flightsData(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../examples/flights/data")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A data section is written as an editor would leave it, and then checked and
// rendered as it is.
func TestInferredSectionOfFlights(t *testing.T) {
	data := flightsData(t)
	t.Chdir(t.TempDir())
	inferred := mainspring(t, "data", "infer", data)
	if inferred.code != 0 {
		t.Fatalf("infer: code %d, %s", inferred.code, inferred.stderr)
	}
	for _, want := range []string{"source: \"" + data + "\"\n", "time: sched_dep ", "key: id ", "label: late ", "label_time: label_time ",
		"features: [carrier, origin, dest, distance, dep_minute, sched_minutes, hour_departures, day_of_week]\n", "origin: [EWR, JFK, LGA] "} {
		if !strings.Contains(inferred.stdout, want) {
			t.Errorf("the section lacks %q:\n%s", want, inferred.stdout)
		}
	}
	if err := os.Mkdir("src", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("src/train.py", []byte("pass\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := "model: {name: delay}\ntrain: {command: [python, train.py], code: src}\n" + inferred.stdout
	if err := os.WriteFile("lifecycle.yaml", []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	if rendered := mainspring(t, "render", "--dry-run"); rendered.code != 0 {
		t.Errorf("render: code %d, %s", rendered.code, rendered.stderr)
	}
	checked := mainspring(t, "data", "check", "--json")
	if checked.code != 0 {
		t.Errorf("check: code %d, %s\n%s", checked.code, checked.stderr, checked.stdout)
	}
	var report models.CheckReport
	if err := json.Unmarshal([]byte(checked.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Train.Rows < 200_000 || report.Test.Rows < 50_000 {
		t.Errorf("%d and %d rows", report.Train.Rows, report.Test.Rows)
	}
	for _, name := range models.DataCheckNames() {
		if !slices.ContainsFunc(report.Checks, func(r models.CheckResult) bool { return r.Check == name }) {
			t.Errorf("%s says nothing", name)
		}
	}
}

const trips = `id,at,known,fare,email,paid
1,2013-01-01T08:00:00Z,2013-01-02T00:00:00Z,10,ada@example.org,1
2,2013-01-02T08:00:00Z,2013-01-03T00:00:00Z,12,bob@example.org,0
3,2013-01-03T08:00:00Z,2013-01-04T00:00:00Z,-5,eve@example.org,1
4,2013-01-04T08:00:00Z,2013-01-05T00:00:00Z,11,,0
4,2013-01-05T08:00:00Z,2013-01-06T00:00:00Z,13,kim@example.org,1
`

const tripsSpec = `model: {name: fares}
train: {command: [python, train.py]}
data:
  source: data
  time: at
  key: id
  label: paid
  label_time: known
  features: [fare]
  as_of: 2013-01-07
  window: 7d
  holdout: 2d
  columns: {email: {sensitive: keep}}
  checks: {range: {fare: {min: 0}}, severity: {unique: warn}}
`

func inTrips(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.Mkdir("data", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"data/trips.csv": trips, "lifecycle.yaml": tripsSpec} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChecksOfASpec(t *testing.T) {
	inTrips(t)
	got := mainspring(t, "data", "check")
	if got.code != exitFailed || got.stderr != "mainspring: 2 failed checks would stop a preparation\n" {
		t.Errorf("code %d, %s", got.code, got.stderr)
	}
	for _, want := range []string{
		"train      4 rows from 2012-12-31T00:00:00Z to 2013-01-05T00:00:00Z\n", "held out   1 rows",
		`range       fare              1          0  error`, "trips.csv line 4: -5\n", "nulls       email", "trips.csv line 5\n",
		`unique      id                1          0  warn`, "trips.csv line 6\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, got.stdout)
		}
	}
	if strings.Contains(got.stdout+got.stderr, "example.org") {
		t.Errorf("somebody's address is in\n%s", got.stdout)
	}
	asJSON := mainspring(t, "data", "check", "--json")
	var report models.CheckReport
	if err := json.Unmarshal([]byte(asJSON.stdout), &report); err != nil || asJSON.code != exitFailed || len(report.Checks) < 16 {
		t.Errorf("JSON: code %d, %v\n%s", asJSON.code, err, asJSON.stdout)
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 2 {
		t.Errorf("something was written: %v %v", entries, err)
	}
}

func TestChecksThatCannotBeMade(t *testing.T) {
	for name, test := range map[string]struct {
		change func(string) string
		args   []string
		code   int
		want   string
	}{
		"no rows in the window": {func(s string) string { return s }, []string{"--as-of", "2020-01-01"}, exitFailed,
			`column "at" of the source covers 2013-01-01T08:00:00Z to 2013-01-05T08:00:00Z`},
		"a missing column": {func(s string) string { return strings.Replace(s, "[fare]", "[fair]", 1) }, nil, exitUsage, "data.checks.range.fare"},
		"a misspelt one": {func(s string) string { return strings.Replace(s, "known\n", "knwon\n", 1) }, nil, exitFailed,
			`there is no column "knwon" (label_time), did you mean "known"?`},
		"no such source": {func(s string) string { return strings.Replace(s, "source: data", "source: rows", 1) }, nil, exitFailed, "there is no "},
		"a bad day":      {func(s string) string { return s }, []string{"--as-of", "today"}, exitUsage, `--as-of: "today" is no day`},
		"a program first": {func(s string) string {
			return strings.Replace(s, "  time: at", "  prepare: {command: [sh, x.sh]}\n  time: at", 1)
		}, nil, exitFailed, "data.prepare: checks are about the rows that the program leaves"},
	} {
		t.Run(name, func(t *testing.T) {
			inTrips(t)
			if err := os.WriteFile("lifecycle.yaml", []byte(test.change(tripsSpec)), 0o644); err != nil {
				t.Fatal(err)
			}
			got := mainspring(t, append([]string{"data", "check"}, test.args...)...)
			if got.code != test.code || !strings.Contains(got.stderr, test.want) {
				t.Errorf("code %d, %s\nwant %d, %s", got.code, got.stderr, test.code, test.want)
			}
		})
	}
}

func TestProfileOfAFile(t *testing.T) {
	inTrips(t)
	got := mainspring(t, "data", "profile", "data/trips.csv")
	if got.code != 0 {
		t.Fatalf("code %d, %s", got.code, got.stderr)
	}
	for _, want := range []string{"5 rows in 1 file\n", " fare     int64        none         5         -5", " email    string     20.0 %         4  ", " at       timestamp    none"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the profile lacks %q:\n%s", want, got.stdout)
		}
	}
	whole := mainspring(t, "data", "profile", "data", "--json")
	var seen struct {
		Files   int
		Profile struct{ Rows int64 }
	}
	if err := json.Unmarshal([]byte(whole.stdout), &seen); err != nil || seen.Files != 1 || seen.Profile.Rows != 5 {
		t.Errorf("JSON %+v, %v", seen, err)
	}
	none := mainspring(t, "data", "profile", "nowhere")
	if none.code != exitFailed || !strings.Contains(none.stderr, "there is no ") {
		t.Errorf("code %d, %s", none.code, none.stderr)
	}
}

// Files of text disagree: one has no value, one has a word, one has a column more.
func TestFilesThatDisagree(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"a.csv": "id,at,fare,note,paid\na,2013-01-01T00:00:00Z,1.5,7,0\nb,2013-01-02T00:00:00Z,2,8,1\n",
		"b.csv": "id,at,fare,note,paid,more\nc,2013-01-20T00:00:00Z,,seven,1,x\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := mainspring(t, "data", "infer", ".")
	for _, want := range []string{"fare: {type: float64}", "note: {type: string}", "left out: more\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the section lacks %q:\n%s%s", want, got.stdout, got.stderr)
		}
	}
	if err := os.WriteFile("lifecycle.yaml", []byte("model: {name: fares}\ntrain: {command: [python, train.py]}\n"+got.stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	if checked := mainspring(t, "data", "check"); checked.code != 0 || !strings.Contains(checked.stdout, "new_column  more ") {
		t.Errorf("code %d, %s\n%s", checked.code, checked.stderr, checked.stdout)
	}
}

// A Parquet file's types are what they are: a text beside it is read as them.
func TestTextBesideParquet(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(flightsData(t), "2013-02.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, content := range map[string][]byte{
		"2013-02.parquet": data, "2013-03.csv": []byte("id,sched_dep,distance,late\na,2013-03-01,1.5,1\nb,2013-03-01,700,0\n"),
	} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := mainspring(t, "data", "profile", ".")
	for _, want := range []string{"23,613 rows in 2 files", "distance        int64", "1 value does not read as int64: above it is null (the first: 2013-03.csv line 2)"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the profile lacks %q:\n%s%s", want, got.stdout, got.stderr)
		}
	}
}

// What other programs export: semicolons behind a byte order mark, and another
// encoding than UTF-8.
func TestExportsOfOtherPrograms(t *testing.T) {
	t.Chdir(t.TempDir())
	export := "\uFEFFid;at;town;paid\r\n" + "a;2013-01-01T00:00:00Z;Paris;0\r\n" + "b;2013-01-02T00:00:00Z;M\xfcnchen;1\r\n" + "c;2013-01-03T00:00:00Z;Rome;1\r\n"
	if err := os.WriteFile("a.csv", []byte(export), 0o644); err != nil {
		t.Fatal(err)
	}
	got := mainspring(t, "data", "infer", ".")
	for _, want := range []string{`delimiter: ";" `, "# else there is one column only", "key: id ", "1 value does not read as UTF-8, the first in a.csv line 3: the check schema stops there"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the section lacks %q:\n%s%s", want, got.stdout, got.stderr)
		}
	}
	if strings.Contains(got.stdout, "max_null_fraction") {
		t.Errorf("a town that can't be read makes nulls allowed:\n%s", got.stdout)
	}
	want := " town     1 value does not read as UTF-8: above it is null (the first: a.csv line 3)\n"
	if got := mainspring(t, "data", "profile", "."); !strings.Contains(got.stdout, want) {
		t.Errorf("the profile lacks %q:\n%s%s", want, got.stdout, got.stderr)
	}
	spec := "model: {name: towns}\ntrain: {command: [python, train.py]}\n"
	for section, want := range map[string]string{
		got.stdout: "1 value does not read as UTF-8",
		"data: {source: ., time: at, key: id, label: paid, features: [town], as_of: 2013-01-04, window: 4d, holdout: 2d}": `the file has id;at;town;paid (its only column looks like several: set data.csv.delimiter to ";")`,
	} {
		if err := os.WriteFile("lifecycle.yaml", []byte(spec+section), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := mainspring(t, "data", "check"); got.code == 0 || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("code %d, want %q in %s%s", got.code, want, got.stdout, got.stderr)
		}
	}
}

// Data commands find stores as workers do: by the profiles.
func TestDataOfAnotherStore(t *testing.T) {
	inTrips(t)
	if err := os.WriteFile("stores.yaml", []byte("- prefix: s3://lake/\n  endpoint: http://127.0.0.1:9\n  access_key: env:LAKE_KEY\n  secret_key: env:LAKE_SECRET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAINSPRING_STORES", "")
	t.Setenv("MAINSPRING_S3_ENDPOINT", "http://127.0.0.1:9")
	for _, command := range []string{"infer", "profile"} {
		got := mainspring(t, "data", command, "s3://lake/trips/", "--stores", "stores.yaml")
		if got.code != exitFailed || !strings.Contains(got.stderr, "LAKE_KEY is not set") {
			t.Errorf("%s: code %d, %s", command, got.code, got.stderr)
		}
	}
}

func TestInferSettled(t *testing.T) {
	inTrips(t)
	got := mainspring(t, "data", "infer", "data")
	if got.code != 0 || !strings.Contains(got.stdout, "key: fare ") { // the only one without repeats
		t.Errorf("code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	got = mainspring(t, "data", "infer", "data", "--key", "id", "--label", "fare", "--time", "known")
	for _, want := range []string{"time: known\n", "a guess: 1 rows repeat a value", "label: fare\n", "task: regression\n", "email: {type: string, sensitive: keep}"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the section lacks %q:\n%s%s", want, got.stdout, got.stderr)
		}
	}
	if strings.Contains(got.stdout, "example.org") {
		t.Errorf("somebody's address is in\n%s", got.stdout)
	}
	numbers := strings.NewReplacer("2013-01-0", "135700000", "T08:00:00Z", "0").Replace(trips)
	if err := os.WriteFile("data/trips.csv", []byte(numbers), 0o644); err != nil {
		t.Fatal(err)
	}
	got = mainspring(t, "data", "infer", "data", "--key", "id", "--label", "paid", "--time", "at")
	if !strings.Contains(got.stdout, "at: {type: timestamp, time_format: unix}") {
		t.Errorf("numbers are not read as times: %s%s", got.stdout, got.stderr)
	}
}

// A source lies in the store that its prefix names, wherever it is read.
func TestASourceIsReadFromTheStoreOfItsPrefix(t *testing.T) {
	t.Setenv("MAINSPRING_S3_ENDPOINT", "http://127.0.0.1:1")
	for _, what := range []string{"infer", "profile"} {
		got := mainspring(t, "data", what, "s3://lake/flights/", "--stores", "/none/stores.yaml")
		if got.code == 0 || !strings.Contains(got.stderr, "/none/stores.yaml") {
			t.Errorf("data %s: %+v; want the profiles to be asked for", what, got)
		}
	}
}
