package spec

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

const evaluateSection = `
evaluate:
  prediction: p
  predict:
    runtime: command
    command: [python, predict.py]
    resources: {gpus_per_node: 1, device_memory: 4GiB}
    timeout: 20m
  threshold: 0.3
  quantile: 0.9
  limits:
    - {metric: pr_auc, min: 0.4, at: interval}
  champion: {metric: auc, margin: 0.01}
  slices:
    - {column: carrier, min_rows: 50, max: 5}
    - {column: hour, quantiles: 4}
  slice_limits: [{metric: brier, max: 0.3}]
  slice_margin: 0
  serving: {latency_p50: 500us, latency_p99: 20ms, size: 200MiB}
  require_checks: [rows, nulls]
  approval: {timeout: 2d, approvers: [ada, grace]}
`

func TestEvaluateSection(t *testing.T) {
	document, err := Parse("f.yaml", []byte(minimal+evaluateSection))
	if err != nil {
		t.Fatal(err)
	}
	area, loss, margin := 0.4, 0.3, 0.0
	want := models.EvaluateSpec{
		Prediction: "p", Threshold: 0.3, Quantile: 0.9,
		Predict: models.PredictSpec{
			Runtime: models.RuntimeCommand, Command: []string{"python", "predict.py"}, Timeout: models.Duration(20 * time.Minute),
			Resources: &models.Resources{GPUsPerNode: 1, DeviceMemory: 4 << 30},
		},
		Limits:      []models.MetricLimit{{Metric: models.PRAUC, Min: &area, At: models.AtInterval}},
		Champion:    models.ChampionGate{Metric: models.AUC, Margin: 0.01},
		Slices:      []models.SliceSpec{{Column: "carrier", MinRows: 50, Max: 5}, {Column: "hour", Quantiles: 4}},
		SliceLimits: []models.MetricLimit{{Metric: models.Brier, Max: &loss}}, SliceMargin: &margin,
		Serving: models.ServingLimits{
			P50: models.Duration(500 * time.Microsecond), P99: models.Duration(20 * time.Millisecond), MaxSize: 200 << 20,
		},
		RequireChecks: []string{"rows", "nulls"},
		Approval:      &models.ApprovalSpec{Timeout: 2 * models.Day, Approvers: []string{"ada", "grace"}},
	}
	if got := document.Spec.Evaluate; !reflect.DeepEqual(got, want) {
		t.Errorf("section\n%+v\nwant\n%+v", got, want)
	}
}

func TestTaskIsRead(t *testing.T) {
	text := strings.Replace(minimal, "  label: late", "  label: late\n  task: multiclass\n  classes: [cat, dog]", 1)
	document, err := Parse("f.yaml", []byte(text))
	if err != nil || document.Spec.Data.Task != models.TaskMulticlass || len(document.Spec.Data.Classes) != 2 {
		t.Errorf("data %+v, error %v", document.Spec.Data, err)
	}
}

// TestEvaluateProblemsPointAtTheirLine: errors name the field, the wrong value
// and what was probably meant.
func TestEvaluateProblemsPointAtTheirLine(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"metric": {"metric: pr_auc", "metric: prauc",
			`f.yaml:24:8: evaluate.limits[0].metric: is "prauc"; a metric of task binary is log_loss, brier, auc, pr_auc, accuracy, f1 or calibration_error (did you mean pr_auc?)`},
		"metric of a slice": {"metric: brier", "metric: bier",
			`f.yaml:29:19: evaluate.slice_limits[0].metric: is "bier"; a metric of task binary is log_loss, brier, auc, pr_auc, accuracy, f1 or calibration_error (did you mean brier?)`},
		"column": {"{column: hour,", "{column: hours,",
			`f.yaml:28:8: evaluate.slices[1].column: "hours" is no column of data; it has sched, late, carrier or hour (did you mean hour?)`},
		"field": {"  slice_margin:", "  slice_margins:", "f.yaml:30:3: evaluate: unknown field `slice_margins`; did you mean `slice_margin`?"},
	} {
		_, err := Parse("f.yaml", []byte(strings.Replace(minimal+evaluateSection, test.old, test.new, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), test.want+"\n") {
			t.Errorf("%s: error\n%v\nwant\n%s", name, err, test.want)
		}
	}
}
