package checks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

func day(d int) time.Time { return time.Date(2013, 1, d, 0, 0, 0, 0, time.UTC) }

func at(v float64) *float64 { return &v }

// sound is the evidence of 100 training and 20 held-out rows that nothing is
// wrong with.
func sound() Evidence {
	e := Evidence{
		Spec: models.DataSpec{Source: "s3://b/data/", Time: "at", Key: "id", Label: "late", LabelTime: "known",
			Features: []string{"carrier", "distance"}, AsOf: day(11), Window: 10 * models.Day, Holdout: 2 * models.Day},
		Schema: SchemaOf("a.csv", []dataset.Field{{Name: "id", Type: "string"}, {Name: "at", Type: "timestamp"}, {Name: "late", Type: "int64"},
			{Name: "known", Type: "timestamp"}, {Name: "carrier", Type: "string"}, {Name: "distance", Type: "int64"}}, nil),
		Times:      Times{Rows: 500, Min: day(1), Max: day(20)},
		Keys:       []Repeats{{Column: "id", Seen: 120}},
		Duplicates: &Repeats{Seen: 120},
	}
	e.Profile.Train = side(100, day(1), day(8))
	e.Profile.Test = side(20, day(9), day(10))
	for _, column := range []string{"at", "carrier", "distance", "id", "late"} {
		e.Rows.Findings = append(e.Rows.Findings, profile.Finding{Rule: profile.RuleNulls, Column: column, Seen: 120})
	}
	e.Rows.Findings = append(e.Rows.Findings, profile.Finding{Rule: profile.RuleLabel, Column: "late", Seen: 120},
		profile.Finding{Rule: profile.RuleTimeOrder, Column: "known", Seen: 120})
	return e
}

func side(rows int64, from, to time.Time) profile.SideProfile {
	column := func(name, kind, role string) profile.Column {
		return profile.Column{Name: name, Type: kind, Role: role, Rows: rows}
	}
	id, when, late, carrier, distance := column("id", "string", "key"), column("at", "timestamp", "time"),
		column("late", "int64", "label"), column("carrier", "string", "feature"), column("distance", "int64", "feature")
	when.Numbers = &profile.Numbers{Count: rows, Min: float64(from.Unix()), Max: float64(to.Unix()), Days: true}
	late.Numbers = &profile.Numbers{Count: rows, Min: 0, Max: 1}
	late.Values = &profile.Values{Distinct: 2, Top: []profile.Count{{Value: "0", Rows: rows - 5}, {Value: "1", Rows: 5}}}
	distance.Numbers = &profile.Numbers{Count: rows, Min: 3, Max: 900}
	return profile.SideProfile{Rows: rows, Columns: []profile.Column{id, when, late, carrier, distance}}
}

// find changes what a rule has found, or adds it.
func (e *Evidence) find(rule, column string, seen, count int64, rows ...models.OffendingRow) {
	f := e.Rows.Find(rule, column)
	if f == nil {
		e.Rows.Findings = append(e.Rows.Findings, profile.Finding{Rule: rule, Column: column})
		f = e.Rows.Find(rule, column)
	}
	f.Seen, f.Count, f.Rows = seen, count, rows
}

// row is an offender.
func row(n int64, value string) models.OffendingRow {
	return models.OffendingRow{File: "a.csv", Row: n, Value: value}
}

// written are the results of one check, a line each.
func written(e Evidence, check string) string {
	var lines []string
	for _, r := range Judge(e) {
		if r.Check == check {
			lines = append(lines, line(r))
		}
	}
	return strings.Join(lines, "\n")
}

func line(r models.CheckResult) string {
	verdict := string(r.Severity)
	switch {
	case r.Skipped != "":
		return "skipped " + r.Column + ": " + r.Skipped
	case r.Passed:
		verdict = "ok"
	}
	text := fmt.Sprintf("%s %s %.4g of %.4g: %s", verdict, r.Column, r.Figure, r.Limit, r.Message)
	for _, o := range r.Rows {
		text += " | " + Offender(o)
	}
	return text
}

// judged is one case of a check: what is changed in sound evidence, and what the
// check says then.
type judged struct {
	name   string
	change func(*Evidence)
	want   string
}

func judgeAll(t *testing.T, check string, cases []judged) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := sound()
			c.change(&e)
			if got := written(e, check); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
