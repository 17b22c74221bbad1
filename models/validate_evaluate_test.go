package models

import (
	"reflect"
	"testing"
	"time"
)

const binaryMetrics = "; a metric of task binary is log_loss, brier, auc, pr_auc, accuracy, f1 or calibration_error"

// dataChecks is how a refusal lists them.
const dataChecks = "schema, new_column, rows, freshness, nulls, null_rise, range, allowed, unseen, label, time_order, " +
	"leakage, unique, duplicates, skew, shift"

func TestValidateEvaluate(t *testing.T) {
	const commandHint = " (write program and arguments as a list, such as [python, predict.py])"
	const durationHint = " (write a number and a unit, such as 90s, 36h or 60d)"
	for name, test := range map[string]struct {
		change func(*LifecycleSpec)
		want   string // all problems, one on a line
	}{
		"everything": {func(s *LifecycleSpec) {
			s.Deploy, s.Monitor = nil, nil
			s.Evaluate = EvaluateSpec{
				Predict:   PredictSpec{Runtime: RuntimeCommand, Command: []string{"python", "p.py"}, Resources: &Resources{GPUsPerNode: 2}},
				Threshold: 0.2, Limits: []MetricLimit{{Metric: F1, Min: f(0.5)}, {Metric: PRAUC, Min: f(0.2), At: AtInterval}},
				Champion: ChampionGate{Metric: AUC, Margin: 0.01},
				Slices: []SliceSpec{
					{Column: "carrier"}, {Column: "hour", Quantiles: 20, MinRows: 1}, {Column: "sched", Quantiles: 2}, {Column: "late"},
				},
				SliceLimits: []MetricLimit{{Metric: Brier, Max: f(0.3)}}, SliceMargin: f(0),
				Serving:       ServingLimits{P50: 1, P99: 1, MaxSize: 1},
				RequireChecks: DataCheckNames(), Approval: &ApprovalSpec{Approvers: []string{"ada"}},
			}
		}, ""},
		"limits": {func(s *LifecycleSpec) {
			s.Evaluate.Limits = []MetricLimit{{Metric: "logloss", Min: f(1)}, {Metric: AUC}, {Metric: AUC, Min: f(1), Max: f(0), At: "mean"}}
			s.Evaluate.Champion = ChampionGate{Metric: "ROC_AUC", Margin: -1, Level: 0.5, Block: Day, Resamples: 5}
		},
			"evaluate.limits[0].metric: is \"logloss\"" + binaryMetrics + " (did you mean log_loss?)\n" +
				"evaluate.limits[1]: says nothing: give min, max or both\n" +
				"evaluate.limits[2].metric: \"auc\" has a limit already (write one limit with min and max)\n" +
				"evaluate.limits[2]: has min 1 above max 0\n" +
				"evaluate.limits[2].at: is \"mean\"; it must be value or interval\n" +
				"evaluate.champion.metric: is \"ROC_AUC\"" + binaryMetrics + " (did you mean auc?)\n" +
				"evaluate.champion.margin: is -1; it must not be below 0\n" +
				"evaluate.champion.level: is 0.5; it must be above 0 and below 0.5\n" +
				"evaluate.champion.resamples: is 5; it must be between 100 and 1000000"},
		"limits out of reach": {func(s *LifecycleSpec) {
			s.Evaluate.Limits = []MetricLimit{{Metric: Accuracy, Min: f(90)}, {Metric: AUC, Min: f(1)}, {Metric: LogLoss, Max: f(-0.1)}}
		},
			"evaluate.limits[0].min: is 90, and accuracy is never above 1 (write a share, such as 0.9 for 90 %)\n" +
				"evaluate.limits[2].max: is -0.1, and log_loss is never below 0"},
		"metric of another task": {func(s *LifecycleSpec) { s.Evaluate.Champion.Metric = RMSE },
			"evaluate.champion.metric: is \"rmse\"" + binaryMetrics + " (rmse is a metric of task regression; set data.task if that is meant)"},
		"metric nobody heard of": {func(s *LifecycleSpec) { s.Evaluate.Champion.Metric = "happiness" },
			"evaluate.champion.metric: is \"happiness\"" + binaryMetrics},
		"regression": {func(s *LifecycleSpec) {
			s.Data.Task, s.Monitor, s.Evaluate.Limits = TaskRegression, nil, []MetricLimit{{Metric: R2, Min: f(0)}, {Metric: "mse", Max: f(9)}}
			s.Evaluate.Slices = []SliceSpec{{Column: "late", Quantiles: 4}}
		},
			"evaluate.limits[1].metric: is \"mse\"; a metric of task regression is rmse, mae, r2 or pinball (did you mean rmse?)"},
		"multiclass": {func(s *LifecycleSpec) {
			s.Data.Task, s.Data.Classes, s.Evaluate.Champion.Metric = TaskMulticlass, []string{"cat", "dog"}, PRAUC
		},
			"evaluate.champion.metric: is \"pr_auc\"; a metric of task multiclass is log_loss, brier, auc, accuracy, f1 or calibration_error" +
				" (pr_auc is a metric of task binary; set data.task if that is meant)"},
		"unknown task": {func(s *LifecycleSpec) {
			s.Data.Task, s.Evaluate.Champion.Metric = "ranking", "ndcg"
		},
			"data.task: is \"ranking\"; it must be binary, multiclass or regression"},
		"classes": {func(s *LifecycleSpec) {
			s.Data.Task, s.Data.Classes, s.Monitor = TaskMulticlass, []string{"cat", "", "cat"}, nil
		},
			"data.classes[1]: is an empty name\ndata.classes[2]: \"cat\" is listed twice"},
		"one class": {func(s *LifecycleSpec) { s.Data.Task, s.Data.Classes, s.Monitor = TaskMulticlass, []string{"cat"}, nil },
			"data.classes: has one class; at least two are needed"},
		"classes of no use": {func(s *LifecycleSpec) { s.Data.Classes = []string{"a", "b"} },
			"data.classes: is given for task binary (set data.task to multiclass, or drop classes)"},
		"numbers": {func(s *LifecycleSpec) { s.Evaluate.Threshold, s.Evaluate.Quantile = 1, -0.5 },
			"evaluate.threshold: is 1; it must be above 0 and below 1\n" +
				"evaluate.quantile: is -0.5; it must be above 0 and below 1"},
		"command missing": {func(s *LifecycleSpec) {
			s.Deploy, s.Monitor, s.Evaluate.Predict = nil, nil, PredictSpec{Runtime: RuntimeCommand, Timeout: -1}
		},
			"evaluate.predict.command: is missing" + commandHint + "\n" +
				"evaluate.predict.timeout: is -1ns; it must be longer than 0" + durationHint},
		"command as a shell string": {func(s *LifecycleSpec) {
			s.Deploy, s.Monitor, s.Evaluate.Predict = nil, nil, PredictSpec{Runtime: RuntimeCommand, Command: []string{"python p.py"}}
		},
			"evaluate.predict.command[0]: is \"python p.py\", a whole command line in one string; no shell reads it" + commandHint},
		"command nobody runs": {func(s *LifecycleSpec) {
			s.Evaluate.Predict.Command = []string{"python", "p.py"}
		},
			"evaluate.predict.command: is given for runtime onnx, which runs none (set runtime to command, or drop the command)"},
		"several hosts": {func(s *LifecycleSpec) {
			s.Evaluate.Predict = PredictSpec{Runtime: "torch", Resources: &Resources{Nodes: 2}}
		},
			"evaluate.predict.runtime: is \"torch\"; it must be onnx, pyfunc or command\n" +
				"evaluate.predict.resources.nodes: is 2; predictions are made on one host (write gpus_per_node)"},
		"devices anywhere": {func(s *LifecycleSpec) { s.Evaluate.Predict.Resources = &Resources{GPUs: 2} },
			"evaluate.predict.resources.gpus: is 2; they may span hosts, and predictions are made on one (write gpus_per_node)"},
		"devices by name": {func(s *LifecycleSpec) {
			s.Evaluate.Predict.Resources = &Resources{UUIDs: []string{"GPU-1", "GPU-2"}, Pool: "a b"}
		},
			"evaluate.predict.resources.pool: is \"a b\"; a name has letters, digits, '-', '_' and '.', starts with a letter or digit, and is at most 100 long\n" +
				"evaluate.predict.resources.uuids: names 2 devices, which may be on several hosts; predictions are made on one (write gpus_per_node)"},
		"one device by name": {func(s *LifecycleSpec) { s.Evaluate.Predict.Resources = &Resources{UUIDs: []string{"GPU-1"}} }, ""},
		"too many of a column": {func(s *LifecycleSpec) {
			s.Evaluate.Slices = []SliceSpec{{Column: "hour", Quantiles: 21}, {Column: "carrier", Max: 101}}
		},
			"evaluate.slices[0].quantiles: is 21; it must be between 2 and 20 (drop it for one slice per value)\n" +
				"evaluate.slices[1].max: is 101; it must be between 1 and 100"},
		"slices without a column": {func(s *LifecycleSpec) { s.Evaluate.Slices = []SliceSpec{{}, {}} },
			"evaluate.slices[0].column: is missing (the column to cut the rows by)\n" +
				"evaluate.slices[1].column: is missing (the column to cut the rows by)"},
		"numbers as slices": {func(s *LifecycleSpec) {
			s.Data.Task, s.Monitor, s.Evaluate.Slices = TaskRegression, nil, []SliceSpec{{Column: "late"}}
		},
			"evaluate.slices[0].quantiles: is missing: nearly every row has its own \"late\" (such as 5)"},
		"slices": {func(s *LifecycleSpec) {
			s.Evaluate.Slices = []SliceSpec{
				{Column: "carier"}, {Column: "hour", Quantiles: 1, MinRows: -1, Max: -1}, {Column: "hour"},
				{}, {Column: "sched"}, {Column: "late", Quantiles: 2}, {Column: "id"}, {Column: "arrived"},
			}
			s.Evaluate.SliceLimits = []MetricLimit{{Metric: Brier, Max: f(1), At: AtValue}, {Metric: MAE, Max: f(1)}}
			s.Evaluate.SliceMargin = f(-1)
		},
			"evaluate.slices[1].quantiles: is 1; it must be between 2 and 20 (drop it for one slice per value)\n" +
				"evaluate.slices[1].min_rows: is -1; it must be at least 1\n" +
				"evaluate.slices[1].max: is -1; it must be between 1 and 100\n" +
				"evaluate.slices[2].column: \"hour\" cuts the rows already\n" +
				"evaluate.slices[3].column: is missing (the column to cut the rows by)\n" +
				"evaluate.slice_limits[0].at: is \"value\"; slices are always judged by interval (drop it)\n" +
				"evaluate.slice_limits[1].metric: is \"mae\"" + binaryMetrics + " (mae is a metric of task regression; set data.task if that is meant)\n" +
				"evaluate.slice_margin: is -1; it must not be below 0\n" +
				"evaluate.slices[0].column: \"carier\" is no column of data; it has sched, late, carrier or hour (did you mean carrier?)\n" +
				"evaluate.slices[4].quantiles: is missing: nearly every row has its own \"sched\" (such as 5)\n" +
				"evaluate.slices[5].quantiles: is given for \"late\", which has classes (drop it)\n" +
				"evaluate.slices[6].column: is \"id\", the key: every row would be a slice\n" +
				"evaluate.slices[7].column: is \"arrived\", the label's time, which snapshots don't have"},
		"too many slices": {func(s *LifecycleSpec) {
			s.Evaluate.Slices = []SliceSpec{{Column: "hour", Max: 100}, {Column: "carrier", Max: 99}, {Column: "sched", Quantiles: 2}}
		},
			"evaluate.slices: can become 201; at most 200 are measured (lower max, or cut by fewer columns)"},
		"nothing to slice": {func(s *LifecycleSpec) {
			s.Evaluate.SliceLimits, s.Evaluate.SliceMargin = []MetricLimit{{Metric: Brier, Max: f(1)}}, f(0)
		},
			"evaluate.slice_limits: nothing to judge: there are no slices (name the columns to cut by in evaluate.slices)\n" +
				"evaluate.slice_margin: nothing to judge: there are no slices (name the columns to cut by in evaluate.slices)"},
		"serving": {func(s *LifecycleSpec) { s.Evaluate.Serving = ServingLimits{P50: -1, P99: -1, MaxSize: -1} },
			"evaluate.serving.latency_p50: is -1ns; it must be longer than 0 (drop it to ask for nothing)\n" +
				"evaluate.serving.latency_p99: is -1ns; it must be longer than 0 (drop it to ask for nothing)\n" +
				"evaluate.serving.size: is -1B; it must be above 0 (drop it to ask for nothing)"},
		"latencies the wrong way round": {func(s *LifecycleSpec) { s.Evaluate.Serving = ServingLimits{P50: 2, P99: 1} },
			"evaluate.serving.latency_p50: is 2ns, and latency_p99 only 1ns"},
		"data checks": {func(s *LifecycleSpec) { s.Evaluate.RequireChecks = []string{"null", "rows", "rows", ""} },
			"evaluate.require_checks[0]: \"null\" is no data check; there are " + dataChecks + " (did you mean nulls?)\n" +
				"evaluate.require_checks[2]: \"rows\" is listed twice\n" +
				"evaluate.require_checks[3]: \"\" is no data check; there are " + dataChecks},
		"approval": {func(s *LifecycleSpec) {
			s.Evaluate.Approval = &ApprovalSpec{Timeout: -1, Approvers: []string{"ada", " ", "ada"}}
		},
			"evaluate.approval.timeout: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"evaluate.approval.approvers[1]: is empty\n" +
				"evaluate.approval.approvers[2]: \"ada\" is listed twice"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := validSpec()
			test.change(&spec)
			checkProblems(t, spec.Validate(), test.want)
		})
	}
}

func TestEvaluateDefaultsOfTheTasks(t *testing.T) {
	spec := validSpec()
	spec.Data.Task = TaskRegression
	spec.Evaluate = EvaluateSpec{
		Predict:     PredictSpec{Resources: &Resources{}},
		Limits:      []MetricLimit{{Metric: R2, Min: f(0)}, {Metric: MAE, Max: f(1), At: AtInterval}},
		Slices:      []SliceSpec{{Column: "hour"}, {Column: "carrier", MinRows: 5, Max: 3}},
		SliceLimits: []MetricLimit{{Metric: MAE, Max: f(2)}},
		Approval:    &ApprovalSpec{},
	}
	one := Resources{}.WithDefaults()
	want := EvaluateSpec{
		Prediction: "prediction", Threshold: 0.5, Quantile: 0.5,
		Predict:     PredictSpec{Runtime: RuntimeONNX, Timeout: Duration(time.Hour), Resources: &one},
		Limits:      []MetricLimit{{Metric: R2, Min: f(0), At: AtValue}, {Metric: MAE, Max: f(1), At: AtInterval}},
		Champion:    ChampionGate{Metric: RMSE, Level: 0.1, Block: Day, Resamples: 2000},
		Slices:      []SliceSpec{{Column: "hour", MinRows: 200, Max: 20}, {Column: "carrier", MinRows: 5, Max: 3}},
		SliceLimits: []MetricLimit{{Metric: MAE, Max: f(2), At: AtInterval}},
		Approval:    &ApprovalSpec{Timeout: 3 * Day},
	}
	got := spec.WithDefaults().Evaluate
	if !reflect.DeepEqual(got, want) {
		t.Errorf("defaults:\n%+v\nwant:\n%+v", got, want)
	}
	if again := got.WithDefaultsFor(TaskRegression); !reflect.DeepEqual(again, want) {
		t.Errorf("not idempotent: %+v", again)
	}
	if again := got.WithDefaults(); !reflect.DeepEqual(again, want) {
		t.Errorf("defaults without the task changed what was filled in: %+v", again)
	}
	untouched := spec.Evaluate
	if untouched.Limits[0].At != "" || untouched.Slices[0].Max != 0 || untouched.SliceLimits[0].At != "" ||
		untouched.Approval.Timeout != 0 || untouched.Predict.Resources.Nodes != 0 {
		t.Errorf("WithDefaults changed its receiver: %+v", untouched)
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"carier": "carrier", "CARRIER": "carrier", "label": "", "dist": "distance", "distanc": "distance", "": "", "acrrier": "carrier",
	} {
		if got := Nearest(name, []string{"distance", "carrier"}); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
	if got := Nearest("ab", []string{"ac", "ad"}); got != "ac" {
		t.Errorf("of two equally near the first counts, got %q", got)
	}
}
