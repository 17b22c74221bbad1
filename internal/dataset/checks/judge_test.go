package checks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestEveryCheckAnswersInOrder(t *testing.T) {
	var names []string
	for _, r := range Judge(sound()) {
		if failed(r) {
			t.Errorf("sound rows fail: %s", line(r))
		}
		if r.Severity == "" || r.Message == "" {
			t.Errorf("%+v lacks a severity or a message", r)
		}
		if !slices.Contains(names, r.Check) {
			names = append(names, r.Check)
		}
	}
	if want := models.DataCheckNames(); !slices.Equal(names, want) {
		t.Errorf("checks %v\nwant %v", names, want)
	}
	if _, err := Check(sound()); err != nil {
		t.Errorf("sound rows are refused: %v", err)
	}
}

// Nothing that was not looked for has passed.
func TestNoEvidenceIsNoSuccess(t *testing.T) {
	e := Evidence{Spec: sound().Spec}
	e.Spec.Checks.Range = map[string]models.Range{"distance": {Min: at(1)}}
	e.Spec.Checks.Allowed = map[string][]string{"carrier": {"AA"}}
	e.Spec.Checks.Freshness = models.Day
	e.Profile.Train.Rows, e.Profile.Test.Rows = 10, 10
	for _, r := range Judge(e) {
		if r.Passed && r.Check != checkRows {
			t.Errorf("passed on no evidence: %s", line(r))
		}
	}
}

func TestSeverityDecides(t *testing.T) {
	e := sound()
	e.find("nulls", "carrier", 120, 3)
	results, err := Check(e)
	var failure *models.Error
	if !errors.As(err, &failure) || failure.Kind != models.KindDataCheckFailed {
		t.Fatalf("error %v", err)
	}
	if failure.Details == nil || len(failure.Details.([]models.CheckResult)) > models.MaxSnapshotChecks {
		t.Errorf("details %v", failure.Details)
	}
	e.Spec.Checks.Severity = map[string]models.Severity{"nulls.carrier": models.SeverityWarn}
	again, err := Check(e)
	if err != nil {
		t.Errorf("a warning stops: %v", err)
	}
	if len(again) != len(results) {
		t.Errorf("%d results, %d with a warning", len(results), len(again))
	}
	warned := slices.IndexFunc(again, func(r models.CheckResult) bool { return failed(r) })
	if warned < 0 || again[warned].Severity != models.SeverityWarn {
		t.Error("the warning is not recorded")
	}
}

func TestTheErrorIsReadInATerminal(t *testing.T) {
	e := sound()
	e.Spec.Checks.Range = map[string]models.Range{"distance": {Min: at(0), Max: at(600)}}
	e.find("range", "distance", 120, 2, row(17, "900"), row(31, "601"))
	e.find("nulls", "carrier", 120, 3, row(2, ""))
	e.Duplicates.Count = 60
	_, err := Check(e)
	want := `s3://b/data/: 2 of 12 data checks failed, 1 more warn
  nulls: column "carrier": 3 of 120 values are null or NaN (a share of 0.025), at most 0 allowed
      a.csv line 2
  range: column "distance": 2 of 120 values are outside of 0 to 600; they go from 3 to 900
      a.csv line 17: 900
      a.csv line 31: 601
  warned of: duplicates
  correct the rows, or the limits under data.checks (` + "`mainspring data check`" + ` tries them out);
  to go on with a warning instead: data.checks.severity: {nulls.carrier: warn}`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestManyFailuresAreBounded(t *testing.T) {
	e := sound()
	for i := range 500 {
		e.find("nulls", strings.Repeat("x", 1+i%40)+string(rune('a'+i/40)), 120, 5, row(1, ""), row(2, ""), row(3, ""), row(4, ""), row(5, ""), row(6, ""))
	}
	results, err := Check(e)
	if lines := strings.Count(err.Error(), "\n"); lines > mostTold*(1+models.MaxOffendingRows)+3 {
		t.Errorf("the error has %d lines", lines)
	}
	if !strings.Contains(err.Error(), "and 488 more") {
		t.Errorf("the error hides that there are more: %v", err)
	}
	for _, r := range results {
		if len(r.Rows) > models.MaxOffendingRows {
			t.Fatalf("%d offenders", len(r.Rows))
		}
	}
}

func TestSensitiveValuesAreNowhere(t *testing.T) {
	const secret = "4711-secret"
	e := sound()
	e.Spec.Columns = map[string]models.ColumnSpec{"carrier": {Sensitive: models.SensitiveKeep}, "late": {Sensitive: models.SensitiveKeep},
		"id": {Sensitive: models.SensitiveKeep}, "distance": {Sensitive: models.SensitiveKeep}}
	e.Spec.Checks = models.DataChecks{Allowed: map[string][]string{"carrier": {secret}}, Range: map[string]models.Range{"distance": {Max: at(5)}}}
	e.Baseline, e.Version = &e.Profile, "3"
	e.Traffic = &Traffic{Endpoint: "flights", Requests: 10, Features: []ServedFeature{{Column: "carrier", Joined: 10, Differ: 10, Rows: []models.OffendingRow{row(1, secret)}}}}
	for _, rule := range []string{"nulls", "range", "allowed", "unseen", "label", "leakage"} {
		for _, column := range []string{"carrier", "distance", "late"} {
			e.find(rule, column, 120, 60, row(1, secret), row(2, secret))
		}
	}
	e.Keys[0] = Repeats{Column: "id", Seen: 120, Count: 9, Rows: []models.OffendingRow{row(1, secret)}}
	e.Duplicates = &Repeats{Seen: 120, Count: 90, Rows: []models.OffendingRow{row(1, secret)}}
	e.Schema.Bad = []dataset.BadValues{{Column: "distance", Type: "int64", Count: 1, Rows: []models.OffendingRow{row(1, secret)}}}
	results, err := Check(e)
	text := err.Error()
	for _, r := range results {
		text += "\n" + line(r)
	}
	if strings.Contains(text, secret) {
		t.Errorf("a secret is in\n%s", text)
	}
	if !strings.Contains(text, models.Masked) {
		t.Error("nothing was masked: the test looks at nothing")
	}
	for _, r := range results { // extremes are values too
		if r.Check == checkRange && strings.Contains(r.Message, "900") {
			t.Errorf("an extreme is in %q", r.Message)
		}
	}
}

func TestValuesFitALine(t *testing.T) {
	rows := shown([]models.OffendingRow{row(1, "a\nb\x1b[31m"), row(2, strings.Repeat("é", 40))}, false)
	if rows[0].Value != "a b [31m" {
		t.Errorf("value %q", rows[0].Value)
	}
	if got := rows[1].Value; got != strings.Repeat("é", 20)+"…" {
		t.Errorf("value %q", got)
	}
}
