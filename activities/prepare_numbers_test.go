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

// Whatever finite, infinite or missing numbers there are, a summary of them can be
// written and read, and the checks have an answer.
func TestNumbersAtTheEnds(t *testing.T) {
	for name, c := range map[string]struct {
		task   models.Task
		label  func(i int) string
		weight func(i int) string
	}{
		"infinite":                       {"", func(i int) string { return fmt.Sprint(i % 2) }, func(i int) string { return "inf" }},
		"huge":                           {"", func(i int) string { return fmt.Sprint(i % 2) }, func(i int) string { return fmt.Sprintf("%d.5e307", i+1) }},
		"labels with squares beyond any": {models.TaskRegression, func(i int) string { return fmt.Sprintf("%d.5e200", i) }, func(i int) string { return fmt.Sprintf("%d.5", i) }},
		"labels with a sum beyond any":   {models.TaskRegression, func(i int) string { return fmt.Sprintf("1.7976931348623157e%d", 300+i) }, func(i int) string { return fmt.Sprintf("%d.5", i%2) }},
		"tiny":                           {models.TaskRegression, func(i int) string { return fmt.Sprintf("%d.5e-310", i) }, func(i int) string { return fmt.Sprintf("%d.5e-320", i) }},
		"none":                           {"", func(i int) string { return fmt.Sprint(i % 2) }, func(i int) string { return "nan" }},
	} {
		t.Run(name, func(t *testing.T) {
			store := artifact.NewMemory("mainspring")
			for _, file := range []string{"a", "b"} {
				var b strings.Builder
				b.WriteString("id,at,late,weight,carrier\n")
				for i := range 8 {
					fmt.Fprintf(&b, "%s%d,%s,%s,%s,AA\n", file, i, march(1).Add(time.Duration(i)*time.Hour).Format(time.RFC3339), c.label(i), c.weight(i))
				}
				putObject(t, store, "s3://source/shipments/"+file+".csv", []byte(b.String()))
			}
			p, spec := &activities.Prepare{Store: store}, shipmentSpec()
			spec.LabelTime, spec.AsOf, spec.Window, spec.Holdout = "", march(2), models.Day, models.Duration(18*time.Hour)
			spec.Task = c.task
			spec.Checks.MaxNullFraction = map[string]float64{"weight": 1}
			snapshot, err := prepare(t.Context(), p, spec)
			if err != nil {
				t.Error(err)
			}
			if _, err := p.SurveyData(t.Context(), spec); err != nil {
				t.Error(err)
			}
			if snapshot.Train.Rows != 12 || snapshot.Test.Rows != 4 {
				t.Errorf("rows %+v and %+v", snapshot.Train, snapshot.Test)
			}
		})
	}
}
