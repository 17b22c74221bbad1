package infer

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

func date(month time.Month, d int) float64 {
	return float64(time.Date(2013, month, d, 0, 0, 0, 0, time.UTC).Unix())
}

const rows = 1000

func times(name string, from, to float64) profile.Column {
	const day = 86400
	first, last := int32(from/day), int32(to/day)
	n := &profile.Numbers{Count: rows, Min: from, Max: to, Mean: (from + to) / 2, Days: true}
	for left, at := int64(rows), first; at <= last; at++ { // about as many on each day
		onDay := left / int64(last-at+1)
		n.Buckets, left = append(n.Buckets, profile.Bucket{At: at, Rows: onDay}), left-onDay
	}
	return profile.Column{Name: name, Type: "timestamp", Rows: rows, Numbers: n,
		Values: &profile.Values{Distinct: 900, Top: []profile.Count{{Value: "x", Rows: 2}}}}
}

func numbers(name, kind string, low, high float64, distinct int64) profile.Column {
	return profile.Column{Name: name, Type: kind, Rows: rows, Numbers: &profile.Numbers{Count: rows, Min: low, Max: high, Mean: (low + high) / 2},
		Values: &profile.Values{Distinct: distinct, Top: []profile.Count{{Value: "0", Rows: rows / distinct}}}}
}

func words(name string, distinct int64, top ...string) profile.Column {
	c := profile.Column{Name: name, Type: "string", Rows: rows, Values: &profile.Values{Distinct: distinct}}
	for _, v := range top {
		c.Values.Top = append(c.Values.Top, profile.Count{Value: v, Rows: rows / int64(len(top))})
	}
	return c
}

// flights is a source with something of everything.
func flights() Source {
	free := words("remarks", 600, "nothing")
	free.Values.Lacks = 3
	gaps := numbers("wind", "float64", -2.5, 31, 300)
	gaps.Nulls = 40
	return Source{
		Data: models.DataSpec{Source: "data"}, Files: 2, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Profile: profile.SideProfile{Rows: rows, Columns: []profile.Column{
			words("id", rows, "a"), times("landed", date(1, 2), date(3, 2)), times("sched", date(1, 1), date(3, 1)),
			words("carrier", 3, "UA", "AA", "DL"), numbers("distance", "int64", 94, 4983, 200), gaps, free,
			words("email", rows, "ada@example.org"), words("contact", 400, "+49 30 1234567", "555-010-9999"),
			numbers("always", "int64", 1, 1, 1), numbers("late", "int64", 0, 1, 2),
		}},
	}
}

func draft(t *testing.T, s Source, settled Settled) Guess {
	t.Helper()
	g, err := Draft(s, settled)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestInferredSection(t *testing.T) {
	got := string(draft(t, flights(), Settled{}).Hold(profile.Evidence{}, nil).YAML())
	want := `data:
  # Guessed from 1000 rows in 2 files: edit what is wrong. ` + "`mainspring data check`" + ` tries it out.
  source: data
  time: sched                            # a guess: the earliest of landed, sched
  key: id                                # no value repeats in 1000 rows
  label: late                            # a guess: say --label if it is another
  task: binary
  label_time: landed                     # a guess: no row's lies before its event; drop it if the outcome is known at once
  features: [carrier, distance, wind]
  as_of: 2013-03-03                      # the day after the last row: drop it when data goes on coming
  window: 61d                            # rows are from 2013-01-01 to 2013-03-01
  holdout: 12d                           # the last fifth, to evaluate on
  columns:
    # What no role needs is carried along into the snapshot; sensitive: drop or pseudonymise (with a pseudonym_key) keeps it out.
    id: {type: string}
    landed: {type: timestamp}
    sched: {type: timestamp}
    carrier: {type: string}
    distance: {type: int64}
    wind: {type: float64}
    remarks: {type: string}              # no feature: about 600 different strings
    email: {type: string, sensitive: keep} # a guess: its name is one of personal data
    contact: {type: string, sensitive: keep} # a guess: its values look like phone numbers
    always: {type: int64}                # no feature: it has one value
    late: {type: int64}
  checks:
    min_rows: 400                        # about 813 rows train: half of that
    max_rows: 2000                       # and twice of that
    max_null_fraction:                   # of all other columns: 0
      wind: 0.06                         # 4 % seen
    range:
      distance: {min: 0, max: 5500}      # 94 to 4983 seen
      wind: {min: -6, max: 35}           # -2.5 to 31 seen
    allowed:
      carrier: [AA, DL, UA]              # all 3 values seen
    # freshness: 2d (how far before the start of a lifecycle the newest row may lie)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, value := range []string{"ada@", "1234567", "555-010"} {
		if strings.Contains(got, value) {
			t.Errorf("a person's %s is in the section", value)
		}
	}
}

// lifecycle is a spec around a section, as a person would write it.
func lifecycle(section []byte) []byte {
	return append([]byte("model: {name: delay}\ntrain: {command: [python, train.py]}\n"), section...)
}

func TestTheSectionIsAcceptedAsWritten(t *testing.T) {
	odd := flights()
	odd.Data.Source = "s3://bucket/a b/#1: \"x\"\\"
	odd.Data.CSV = models.CSVSpec{Delimiter: "\t", Nulls: []string{"NA", "-", ""}}
	odd.Data.Format = models.FormatCSV
	for i, name := range []string{"id", "landed at: #1", "no", "true", "2013", "émission \"x\"", "new\nline", "e-mail", "a.b", "- x", "late"} {
		odd.Profile.Columns[i].Name = name
	}
	small := numbers("share", "float64", 1e-9, 3e-9, 500)
	odd.Profile.Columns = append(odd.Profile.Columns, small, numbers("huge", "float64", -1e300, 1e300, 500))
	short := flights()
	short.Profile.Columns[1], short.Profile.Columns[2] = times("landed", date(1, 1), date(1, 3)), times("sched", date(1, 1), date(1, 2))
	wide := flights()
	for i := range 400 {
		c := words("category_"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+time.Duration(i).String(), 3, "a long value of a category", "another value", "a third one")
		wide.Profile.Columns = append(wide.Profile.Columns, c)
	}
	for name, source := range map[string]Source{"flights": flights(), "odd names": odd, "short": short, "wide": wide} {
		t.Run(name, func(t *testing.T) {
			guess := draft(t, source, Settled{}).Hold(profile.Evidence{}, nil)
			section := guess.YAML()
			document, err := spec.Parse("lifecycle.yaml", lifecycle(section))
			if err != nil {
				t.Fatalf("refused: %v\n%s", err, section)
			}
			if got := document.Spec.Data; !reflect.DeepEqual(got, emptied(guess.Data)) {
				t.Errorf("read\n%+v\nguessed\n%+v\nwritten as\n%s", got, guess.Data, section)
			}
		})
	}
}

// emptied is a section as it is read: what is empty is not there.
func emptied(d models.DataSpec) models.DataSpec {
	if len(d.Checks.MaxNullFraction) == 0 {
		d.Checks.MaxNullFraction = nil
	}
	if len(d.Checks.Range) == 0 {
		d.Checks.Range = nil
	}
	if len(d.Checks.Allowed) == 0 {
		d.Checks.Allowed = nil
	}
	return d
}

func TestRowsContradictGuesses(t *testing.T) {
	s := flights()
	s.Profile.Columns = append(s.Profile.Columns, words("ident", rows, "b"), numbers("arr_delay", "int64", -20, 300, 250))
	cells := []profile.Cell{{Key: 0, Labels: []int64{800, 0, 0}}, {Key: 1, Labels: []int64{0, 200, 0}}}
	noise := []profile.Cell{{Key: 0, Labels: []int64{400, 100, 0}}, {Key: 1, Labels: []int64{400, 100, 0}}}
	g := draft(t, s, Settled{}).Hold(profile.Evidence{
		Findings:     []profile.Finding{{Rule: profile.RuleTimeOrder, Column: "landed", Seen: rows, Count: 7}},
		Associations: []profile.Association{{Column: "arr_delay", Cells: cells}, {Column: "carrier", Cells: noise}},
	}, map[string]int64{"id": 3})
	if g.Data.Key != "ident" {
		t.Errorf("key %s repeats", g.Data.Key)
	}
	if g.Data.LabelTime != "" || !strings.Contains(string(g.YAML()), "no label_time: 7 rows have it before their event") {
		t.Errorf("label time %q\n%s", g.Data.LabelTime, g.YAML())
	}
	if slices.Contains(g.Data.Features, "ident") || slices.Contains(g.Data.Features, "arr_delay") || !slices.Contains(g.Data.Features, "carrier") {
		t.Errorf("features %v", g.Data.Features)
	}
	if !strings.Contains(string(g.YAML()), "no feature: alone it explains 100") {
		t.Errorf("nothing says why arr_delay is no feature\n%s", g.YAML())
	}
}

func TestLabels(t *testing.T) {
	classes := words("weather", 3, "rain", "snow", "sun")
	grades := numbers("grade", "int64", 0, 3, 4)
	grades.Values.Top = []profile.Count{{Value: "2", Rows: 9}, {Value: "0", Rows: 9}, {Value: "1", Rows: 9}, {Value: "3", Rows: 9}}
	flag := numbers("paid", "bool", 0, 1, 2)
	for name, test := range map[string]struct {
		columns []profile.Column
		settled Settled
		label   string
		task    models.Task
		classes int
	}{
		"by its name":    {[]profile.Column{flag}, Settled{}, "late", models.TaskBinary, 0},
		"settled":        {[]profile.Column{flag}, Settled{Label: "paid"}, "paid", models.TaskBinary, 0},
		"classes":        {[]profile.Column{classes}, Settled{Label: "weather"}, "weather", models.TaskMulticlass, 3},
		"class numbers":  {[]profile.Column{grades}, Settled{Label: "grade"}, "grade", models.TaskMulticlass, 0},
		"a number":       {nil, Settled{Label: "wind"}, "wind", models.TaskRegression, 0},
		"a whole number": {nil, Settled{Label: "distance"}, "distance", models.TaskRegression, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := flights()
			s.Profile.Columns = append(s.Profile.Columns, test.columns...)
			d := draft(t, s, test.settled).Hold(profile.Evidence{}, nil).Data
			if d.Label != test.label || d.Task != test.task || len(d.Classes) != test.classes || slices.Contains(d.Features, test.label) {
				t.Errorf("label %s, task %s, classes %v, features %v", d.Label, d.Task, d.Classes, d.Features)
			}
		})
	}
}

func TestNothingToGuessFrom(t *testing.T) {
	without := func(names ...string) Source {
		s := flights()
		s.Profile.Columns = slices.DeleteFunc(s.Profile.Columns, func(c profile.Column) bool { return slices.Contains(names, c.Name) })
		return s
	}
	for name, test := range map[string]struct {
		source  Source
		settled Settled
		want    string
	}{
		"no rows":          {Source{}, Settled{}, "data.source: the source has no rows"},
		"no time":          {without("sched", "landed"), Settled{}, "data.time: no column has times"},
		"no key":           {without("id", "email"), Settled{}, "data.key: no column tells rows apart"},
		"no label":         {without("late"), Settled{}, "data.label: no column looks like an outcome (name it with --label; the source has carrier, distance, wind, remarks, always)"},
		"a misspelt label": {flights(), Settled{Label: "lat"}, `--label: there is no column "lat", did you mean "late"?`},
		"a key of floats":  {flights(), Settled{Key: "wind"}, `--key: column "wind" is of type float64`},
		"no time settled":  {flights(), Settled{Time: "wind"}, `--time: column "wind" is of type float64, not a time`},
		"text as a label":  {flights(), Settled{Label: "remarks"}, `data.label: column "remarks" (string) is no outcome`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Draft(test.source, test.settled)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// A source that grows, one with a wrong time in it, and one whose labels come
// late: the window has rows on both sides, and the band holds those that train.
func TestTheBandHoldsTheRowsOfTheWindow(t *testing.T) {
	with := func(change func(sched, landed *profile.Column)) Guess {
		s := flights()
		s.Profile.Columns = slices.Clone(s.Profile.Columns)
		change(&s.Profile.Columns[2], &s.Profile.Columns[1])
		return draft(t, s, Settled{}).Hold(profile.Evidence{}, nil)
	}
	buckets := func(c *profile.Column, days ...profile.Bucket) {
		c.Numbers.Buckets = days
		c.Numbers.Min, c.Numbers.Max = 86400*float64(days[0].At), 86400*float64(days[len(days)-1].At)
		c.Numbers.Mean = c.Numbers.Min
	}
	day := func(month time.Month, d int) int32 { return int32(date(month, d) / 86400) }
	for name, g := range map[string]Guess{
		"grows": with(func(sched, _ *profile.Column) {
			buckets(sched, profile.Bucket{At: day(1, 1), Rows: 10}, profile.Bucket{At: day(2, 1), Rows: 90}, profile.Bucket{At: day(3, 1), Rows: 900})
		}),
		"an old row": with(func(sched, _ *profile.Column) {
			buckets(sched, profile.Bucket{At: 0, Rows: 1}, profile.Bucket{At: day(1, 1), Rows: 799}, profile.Bucket{At: day(3, 1), Rows: 200})
		}),
		"labels come late":                with(func(_, landed *profile.Column) { landed.Numbers.Max = date(6, 1) }),
		"the last ones are not there yet": with(func(_, landed *profile.Column) { landed.Nulls = rows / 4 }),
		"some never come": with(func(_, landed *profile.Column) {
			landed.Numbers.Max = float64(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix())
		}),
		"a row without an end": with(func(sched, _ *profile.Column) {
			sched.Numbers.Max = math.MaxInt64 / 1e6
			sched.Numbers.Buckets = append(sched.Numbers.Buckets, profile.Bucket{At: 106_751_991, Rows: 1})
		}),
		"they come after a year": with(func(sched, _ *profile.Column) {
			buckets(sched, profile.Bucket{At: 0, Rows: 500}, profile.Bucket{At: 60, Rows: 500})
		}),
		"gap": with(func(sched, _ *profile.Column) {
			buckets(sched, profile.Bucket{At: 0, Rows: 500}, profile.Bucket{At: day(3, 1), Rows: 500})
		}),
	} {
		sched := g.column("sched").Numbers
		asOf, window := g.Data.AsOf, g.Data.Window.Std()
		train, test := rowsOf(sched, asOf.Add(-window), asOf.Add(-g.Data.Holdout.Std())), rowsOf(sched, asOf.Add(-g.Data.Holdout.Std()), asOf)
		if g.Data.Split.By == models.SplitByHash {
			all := rowsOf(sched, asOf.Add(-window), asOf)
			train, test = all*8/10, all*2/10
		}
		unknown := g.column("landed").Nulls
		if g.Data.Split.By != models.SplitByHash {
			test -= unknown // the newest
		}
		if limits := g.Data.Checks; test <= 0 || train < limits.MinRows || train > limits.MaxRows || test == 0 {
			t.Errorf("%s: %d rows train and %d test, of at least %d and at most %d (window %s, holdout %s)",
				name, train, test, limits.MinRows, limits.MaxRows, g.Data.Window, g.Data.Holdout)
		}
		if _, err := spec.Parse("lifecycle.yaml", lifecycle(g.YAML())); err != nil || asOf.After(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: as of %s, %v", name, asOf, err)
		}
	}
}

func TestRoomAroundWhatWasSeen(t *testing.T) {
	for _, test := range []struct{ low, high, wantLow, wantHigh float64 }{
		{0, 100, -10, 110}, {94, 4983, -400, 5500}, {0.1, 0.9, 0.02, 0.98}, {-2.5, 31, -6, 35}, {1e-9, 3e-9, 8e-10, 3.2e-9}, {1, 7, 0, 8},
	} {
		width := test.high - test.low
		low, high := outward(test.low, width, -1), outward(test.high, width, 1)
		if math.Abs(low-test.wantLow) > 1e-9*width || math.Abs(high-test.wantHigh) > 1e-9*width || low > test.low || high < test.high {
			t.Errorf("%v to %v: limits %v to %v, want %v to %v", test.low, test.high, low, high, test.wantLow, test.wantHigh)
		}
	}
}

// A longer source is cut to a year. A program that has left a column out of late
// has done so in the window.
func TestNullsOfTheLastYearAreAllowed(t *testing.T) {
	s := flights()
	s.Profile.Columns[1], s.Profile.Columns[2] = times("landed", date(1, 1), date(1, 1)+4*365*86400), times("sched", date(1, 1), date(1, 1)+4*365*86400)
	s.Profile.Columns[5].Nulls = 240
	g := draft(t, s, Settled{}).Hold(profile.Evidence{}, nil)
	asOf := g.Data.AsOf
	most := 240 / float64(rowsOf(g.column("sched").Numbers, asOf.Add(-g.Data.Window.Std()), asOf))
	if got := g.Data.Checks.MaxNullFraction["wind"]; most < 0.5 || got < most {
		t.Errorf("a share of %v of the window's rows may have no wind, %v is allowed", most, got)
	}
}

func TestNoRangeThatItsOwnRowsBreak(t *testing.T) {
	s := flights()
	infinite := numbers("ratio", "float64", 0, 9, 500)
	infinite.Numbers.Infinite = 3
	s.Profile.Columns = append(s.Profile.Columns, infinite,
		numbers("widest", "float64", -math.MaxFloat64, math.MaxFloat64, 500), numbers("narrow", "float64", 0, math.SmallestNonzeroFloat64, 500))
	g := draft(t, s, Settled{}).Hold(profile.Evidence{}, nil)
	for _, name := range []string{"ratio", "widest", "narrow"} {
		if limits, ok := g.Data.Checks.Range[name]; ok || !slices.Contains(g.Data.Features, name) {
			t.Errorf("%s: range %v to %v", name, *limits.Min, *limits.Max)
		}
	}
	if _, err := spec.Parse("lifecycle.yaml", lifecycle(g.YAML())); err != nil {
		t.Errorf("refused: %v", err)
	}
}

// Only some orders are ever cancelled: the others have an outcome all the same.
func TestATimeThatMostRowsLackIsNoLabelTime(t *testing.T) {
	for nulls, want := range map[int64]string{rows / 2: "landed", rows/2 + 1: ""} {
		s := flights()
		s.Profile.Columns[1].Nulls = nulls
		if got := draft(t, s, Settled{}).Data.LabelTime; got != want {
			t.Errorf("with %d of %d: label time %q, want %q", rows-nulls, rows, got, want)
		}
	}
}

func TestPersonalData(t *testing.T) {
	for name, top := range map[string][]string{
		"email": {"x"}, "customerEmail": {"x"}, "first_name": {"x"}, "name": {"x"}, "IP": {"x"}, "home-address": {"x"},
		"a": {"ada@example.org", "x", "bob@example.org"}, "b": {"123-45-6789"}, "c": {"10.0.0.1", "192.168.1.20"}, "d": {"DE89370400440532013000"},
	} {
		if c := words(name, 3, top...); looksPersonal(&c) == "" {
			t.Errorf("%s with %v passes for harmless", name, top)
		}
	}
	for name, top := range map[string][]string{
		"carrier": {"UA", "AA"}, "carrier_name": {"United"}, "zone": {"a"}, "shipment": {"x"}, "emails_sent": {"3"}, "version": {"1.2.3", "1.2.4"}, "day": {"2013-01-01"},
		"flight": {"UA 1234", "AA 12"},
	} {
		if c := words(name, 3, top...); looksPersonal(&c) != "" {
			t.Errorf("%s: %s", name, looksPersonal(&c))
		}
	}
}
