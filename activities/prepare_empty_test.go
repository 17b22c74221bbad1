package activities_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// texts is a source of CSV files whose columns have no declared types: a file a
// day, with some rows each.
func texts(t *testing.T, days int, row func(day, i int) string) (*activities.Prepare, models.DataSpec) {
	t.Helper()
	store := artifact.NewMemory("mainspring")
	for day := range days {
		var b strings.Builder
		b.WriteString("id,at,late,known,weight,carrier\n")
		for i := range 4 {
			at := march(1).Add(time.Duration(24*day+i) * time.Hour)
			fmt.Fprintf(&b, "%d-%d,%s,%s\n", day, i, at.Format(time.RFC3339), row(day, i))
		}
		putObject(t, store, fmt.Sprintf("s3://source/shipments/%02d.csv", day+1), []byte(b.String()))
	}
	spec := shipmentSpec()
	spec.AsOf, spec.Window, spec.Holdout = march(days+1), models.Duration(days)*models.Day, 3*models.Day
	return &activities.Prepare{Store: store}, spec
}

func TestADayWithoutLabelsIsNoFault(t *testing.T) {
	p, spec := texts(t, 6, func(day, i int) string {
		if day == 5 {
			return fmt.Sprintf(",,%d.5,AA", i)
		}
		return fmt.Sprintf("%d,%s,%d.5,AA", i%2, march(day+1).Add(12*time.Hour).Format(time.RFC3339), i)
	})
	snapshot, err := prepare(t.Context(), p, spec)
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Train.Rows != 12 || snapshot.Test.Rows != 8 {
		t.Errorf("rows %+v and %+v", snapshot.Train, snapshot.Test)
	}
	for _, c := range snapshot.Checks {
		if c.Check == "schema" && !c.Passed {
			t.Errorf("%+v", c)
		}
	}
	report, err := p.CheckData(t.Context(), spec)
	if err != nil || report.Unknown != 4 || report.Test.Rows != 8 {
		t.Errorf("a trial finds %+v: %v", report, err)
	}
}

func TestAFileWithoutAnyValueOfAFeature(t *testing.T) {
	p, spec := texts(t, 6, func(day, i int) string {
		weight := fmt.Sprintf("%d.5", i)
		if day == 2 {
			weight = ""
		}
		return fmt.Sprintf("%d,%s,%s,AA", i%2, march(day+1).Add(12*time.Hour).Format(time.RFC3339), weight)
	})
	spec.Checks.MaxNullFraction = map[string]float64{"weight": 0.5}
	spec.Checks.Range = map[string]models.Range{"weight": {}}
	_, err := prepare(t.Context(), p, spec)
	wantFailure(t, err, models.KindDataCheckFailed, "float64 in ", "no value in 1 (such as 03.csv)", "declare the type")

	spec.Columns = map[string]models.ColumnSpec{"weight": {Type: "float64"}}
	snapshot, err := prepare(t.Context(), p, spec)
	if err != nil || snapshot.Train.Rows != 12 || snapshot.Test.Rows != 12 {
		t.Errorf("with a declared type: %+v, %v", snapshot, err)
	}
	spec.Columns = nil
	survey, err := p.SurveyData(t.Context(), spec)
	if err != nil || survey.Data.Columns["weight"].Type != "float64" {
		t.Errorf("surveyed %+v: %v", survey.Data.Columns, err)
	}
}
