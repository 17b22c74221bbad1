package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

// oddProgram reports what programs do report: names that MLflow refuses, a loss
// that is no number, as Python's json writes it, and a line that is none.
const oddProgram = `
cat >> "$MAINSPRING_PROGRESS" <<'END'
{"step": 1, "of": 3, "loss": 0.5, "loss/class=<α>": 1, "../up": 2, "a//b": 3}
{"step": 2, "of": 3, "loss": NaN, "spread": Infinity, "accuracy": 0.7}
this is no line of progress
{"step": 3, "of": 3, "loss": 0.4, "accuracy": 0.8}
END
mkdir -p "$MAINSPRING_MODEL_DIR" && cd "$MAINSPRING_MODEL_DIR"
echo weights > model.onnx
cat > MLmodel <<'END'
flavors:
  onnx:
    data: model.onnx
signature:
  inputs: '[{"name": "x", "type": "double"}]'
  outputs: '[{"name": "probability", "type": "double"}]'
END
`

// oddMetrics: the training is not held up, names are made fit, and a loss that
// was no number is seen as such.
func oddMetrics(ctx context.Context, slot *Slot) (string, error) {
	const model = "odd-metrics"
	if err := traffic(ctx, slot.stack.Store, model, 40, 8); err != nil {
		return "", err
	}
	spec := specOf(model, 1, true)
	spec.Train.Command = []string{"sh", "-c", oddProgram}
	result, err := slot.Live(ctx, "1", spec)
	if err == nil && !result.Promoted {
		err = fmt.Errorf("it was not promoted: %s", result.Reason)
	}
	if err != nil {
		return "", err
	}
	run, err := slot.stack.MLflow.GetRun(ctx, result.RunID)
	if err != nil {
		return "", err
	}
	var broken []error
	for name, want := range map[string]float64{"loss": 0.4, "loss/class=___": 1, "loss/class___": 1, "up": 2, "a/b": 3, "accuracy": 0.8} {
		if found, ok := run.Metrics[name]; ok && found.Value != want {
			broken = append(broken, fmt.Errorf("metric %s is %v, not %v", name, found.Value, want))
		}
	}
	history, err := slot.stack.MLflow.MetricHistory(ctx, result.RunID, "loss")
	if err != nil {
		return "", err
	}
	if len(history) != 3 || !slices.ContainsFunc(history, func(m mlflow.Metric) bool { return m.Step == 2 && math.IsNaN(m.Value) }) {
		broken = append(broken, fmt.Errorf("the loss has the points %+v, and should be NaN at step 2", history))
	}
	names := slices.Sorted(maps.Keys(run.Metrics))
	return "promoted; MLflow has the metrics " + strings.Join(names, ", ") + ", and a loss of NaN at step 2", errors.Join(broken...)
}
