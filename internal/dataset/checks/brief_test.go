package checks

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func result(check, column string, severity models.Severity, passed bool) models.CheckResult {
	return models.CheckResult{Check: check, Column: column, Severity: severity, Passed: passed, Message: check + " " + column}
}

func TestBriefPutsFailuresFirst(t *testing.T) {
	skipped := result("skew", "", models.SeverityError, false)
	skipped.Skipped = "nothing was served"
	got := Brief([]models.CheckResult{
		result("schema", "", models.SeverityError, true),
		result("rows", "", models.SeverityError, true), result("rows", "", models.SeverityError, true),
		result("nulls", "a", models.SeverityWarn, false), result("nulls", "b", models.SeverityError, false), result("nulls", "c", models.SeverityError, true),
		result("range", "a", models.SeverityError, true), result("range", "b", models.SeverityError, true),
		result("unseen", "a", models.SeverityWarn, false),
		result("unique", "id", models.SeverityError, false),
		skipped,
	})
	var lines []string
	for _, r := range got {
		lines = append(lines, fmt.Sprintf("%s %v %q", r.Check, r.Passed, r.Message))
	}
	want := `nulls false "nulls b"
unique false "unique id"
unseen false "unseen a"
nulls false "nulls a"
schema true "schema "
rows true "rows ; rows "
range true "2 results passed, of a, b"
skew false "skew "`
	if text := strings.Join(lines, "\n"); text != want {
		t.Errorf("brief\n%s\nwant\n%s", text, want)
	}
}

func TestBriefLosesNoCheckAndNoFailure(t *testing.T) {
	var all []models.CheckResult
	for _, name := range models.DataCheckNames() {
		for i := range 30 {
			all = append(all, result(name, fmt.Sprint(i), models.SeverityWarn, i < 20 || name == "shift"))
		}
	}
	brief := Brief(all)
	if len(brief) != models.MaxSnapshotChecks {
		t.Errorf("%d lines, %d would fit", len(brief), models.MaxSnapshotChecks)
	}
	told := map[string]bool{}
	for _, r := range brief {
		told[r.Check] = told[r.Check] || r.Passed == (r.Check == "shift")
	}
	for _, name := range models.DataCheckNames() {
		if !told[name] {
			t.Errorf("how %s came out is not told", name)
		}
	}
	if text := fmt.Sprint(brief); !strings.Contains(text, "(and 127 more results failed)") {
		t.Errorf("nothing says how much was left out: %s", text)
	}
	if strings.Contains(fmt.Sprint(all), "more results") {
		t.Error("the results themselves were changed")
	}
}

func TestBriefOfSoundRows(t *testing.T) {
	brief := Brief(Judge(sound()))
	if len(brief) != len(models.DataCheckNames()) {
		t.Errorf("%d lines for %d checks", len(brief), len(models.DataCheckNames()))
	}
	if got := brief[2].Message; got != "100 training rows, at least 1 wanted; 20 held-out rows, at least 1 wanted" {
		t.Errorf("rows: %s", got)
	}
}

func TestAnEmptyWindowIsExplained(t *testing.T) {
	empty := func(change func(*Evidence)) string {
		e := sound()
		e.Profile.Train.Rows, e.Profile.Test.Rows = 0, 0
		e.Times = Times{Rows: 500, Min: day(1), Max: day(12).Add(time.Hour)}
		e.Spec.AsOf = day(31)
		change(&e)
		results, err := Check(e)
		if err == nil || len(results) < len(models.DataCheckNames()) {
			t.Fatalf("%d results, error %v", len(results), err)
		}
		if e := (*models.Error)(nil); !errors.As(err, &e) || e.Kind != models.KindNoRows {
			t.Errorf("error %v", err)
		}
		return err.Error()
	}
	const window = "s3://b/data/: the window leaves 0 training rows in [2013-01-21, 2013-01-29) and 0 held-out rows in [2013-01-29, 2013-01-31)"
	for name, test := range map[string]struct {
		change func(*Evidence)
		want   string
	}{
		"another time": {func(*Evidence) {}, window + `; column "at" of the source covers 2013-01-01 to 2013-01-12T01:00:00Z` +
			" (set data.as_of between 2013-01-11 and 2013-01-13, or change data.window and data.holdout)"},
		"no labels yet": {func(e *Evidence) { e.Unknown = 8 }, window + "; 8 rows inside it have a label that was not known yet at 2013-01-31" +
			`; column "at" of the source covers 2013-01-01 to 2013-01-12T01:00:00Z (set data.as_of between 2013-01-11 and 2013-01-13, or change data.window and data.holdout)`},
		"no labels at all": {func(e *Evidence) { e.find("nulls", "late", 500, 480) }, window + `; 480 rows have no value in column "late"` +
			`; column "at" of the source covers 2013-01-01 to 2013-01-12T01:00:00Z (set data.as_of between 2013-01-11 and 2013-01-13, or change data.window and data.holdout)`},
		"a source that is too short": {func(e *Evidence) { e.Spec.Window = 60 * models.Day }, strings.Replace(window, "2013-01-21", "2012-12-02", 1) +
			`; column "at" of the source covers 2013-01-01 to 2013-01-12T01:00:00Z` +
			" (shorten data.window and data.holdout and set data.as_of to 2013-01-13 or earlier)"},
		"no rows at all": {func(e *Evidence) { e.Times = Times{} }, window + "; the source has no rows at all (check data.source: its files must have rows)"},
		"secret times": {func(e *Evidence) {
			e.Spec.Columns = map[string]models.ColumnSpec{"at": {Sensitive: models.SensitiveKeep}}
		},
			window + " (change data.as_of, data.window and data.holdout)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := empty(test.change); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
