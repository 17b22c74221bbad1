package models

import (
	"fmt"
	"slices"
	"strings"
)

// maxSlices bounds the slices that a gate may be asked for: their figures
// travel with the verdict.
const maxSlices = 200

func (t Task) known() bool { return t == TaskBinary || t == TaskMulticlass || t == TaskRegression }

// checkTask wants classes only where labels are classes.
func (d DataSpec) checkTask(at section) {
	oneOf(at, "task", d.Task, TaskBinary, TaskMulticlass, TaskRegression)
	if len(d.Classes) == 0 || !d.Task.known() {
		return
	}
	if d.Task != TaskMulticlass {
		at.add("classes", "set data.task to multiclass, or drop classes", "is given for task %s", d.Task)
		return
	}
	at.check(len(d.Classes) >= 2, "classes", "", "has one class; at least two are needed")
	seen := map[string]bool{}
	for i, class := range d.Classes {
		at.check(class != "", index("classes", i), "", "is an empty name")
		at.check(!seen[class] || class == "", index("classes", i), "", "%q is listed twice", class)
		seen[class] = true
	}
}

func (e EvaluateSpec) check(at section, task Task) {
	at.required("prediction", e.Prediction, "")
	e.Predict.check(at.sub("predict"))
	at.fraction("threshold", e.Threshold)
	at.fraction("quantile", e.Quantile)
	at.checkLimits("limits", e.Limits, task, AtValue, AtInterval)
	e.Champion.check(at.sub("champion"), task)
	e.checkSlices(at, task)
	e.Serving.check(at.sub("serving"))
	for i, name := range e.RequireChecks {
		field := index("require_checks", i)
		at.check(slices.Contains(DataCheckNames(), name), field, didYouMean(name, DataCheckNames()),
			"%q is no data check; there are %s", name, strings.Join(DataCheckNames(), ", "))
		at.check(!slices.Contains(e.RequireChecks[:i], name), field, "", "%q is listed twice", name)
	}
	if e.Approval != nil {
		e.Approval.check(at.sub("approval"))
	}
}

func (s section) checkLimits(field string, limits []MetricLimit, task Task, allowed ...LimitAt) {
	seen := map[Metric]bool{}
	for i, limit := range limits {
		item := s.sub(index(field, i))
		item.checkMetric(limit.Metric, task)
		item.check(!seen[limit.Metric], "metric", "write one limit with min and max", "%q has a limit already", limit.Metric)
		checkBounds(item, "", limit.Min, limit.Max)
		item.checkReach(limit)
		if !slices.Contains(allowed, AtValue) && limit.At == AtValue {
			item.add("at", "drop it", "is %q; slices are always judged by interval", limit.At)
		} else {
			oneOf(item, "at", limit.At, allowed...)
		}
		seen[limit.Metric] = true
	}
}

// checkReach refuses a limit that no model can keep, such as a percentage.
func (s section) checkReach(limit MetricLimit) {
	if highest, bounded := limit.Metric.highest(); bounded && limit.Min != nil && *limit.Min > highest {
		s.add("min", "write a share, such as 0.9 for 90 %", "is %v, and %s is never above %v", *limit.Min, limit.Metric, highest)
	}
	if limit.Metric != R2 && limit.Max != nil && *limit.Max < 0 {
		s.add("max", "", "is %v, and %s is never below 0", *limit.Max, limit.Metric)
	}
}

// checkMetric wants a metric of the task. What other libraries call it, or
// another task has, is said.
func (s section) checkMetric(metric Metric, task Task) {
	if task.Has(metric) {
		return
	}
	names := make([]string, 0, len(task.Metrics()))
	for _, m := range task.Metrics() {
		names = append(names, string(m))
	}
	hint := didYouMean(string(metric), names)
	if other := otherNames[strings.ToLower(string(metric))]; task.Has(other) {
		hint = fmt.Sprintf("did you mean %s?", other)
	}
	for _, other := range []Task{TaskBinary, TaskMulticlass, TaskRegression} {
		if other.Has(metric) {
			hint = fmt.Sprintf("%s is a metric of task %s; set data.task if that is meant", metric, other)
			break
		}
	}
	s.add("metric", hint, "is %q; a metric of task %s is %s", metric, task, quoted(names))
}

// otherNames are what other libraries call metrics. Names that differ in a few
// letters only need no entry.
var otherNames = map[string]Metric{
	"cross_entropy": LogLoss, "nll": LogLoss, "neg_log_loss": LogLoss, "mlogloss": LogLoss,
	"brier_score_loss": Brier, "roc_auc": AUC, "rocauc": AUC, "auroc": AUC,
	"average_precision": PRAUC, "ap": PRAUC, "auprc": PRAUC, "aucpr": PRAUC,
	"acc": Accuracy, "ece": CalibrationError, "mse": RMSE, "mean_squared_error": RMSE, "root_mean_squared_error": RMSE,
	"mean_absolute_error": MAE, "l1": MAE, "l2": RMSE, "r_squared": R2, "quantile_loss": Pinball,
}

func didYouMean(name string, names []string) string {
	if near := Nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return ""
}

func (g ChampionGate) check(at section, task Task) {
	at.checkMetric(g.Metric, task)
	at.check(g.Margin >= 0, "margin", "", "is %v; it must not be below 0", g.Margin)
	at.check(g.Level > 0 && g.Level < 0.5, "level", "", "is %v; it must be above 0 and below 0.5", g.Level)
	at.positive("block", g.Block)
	at.check(g.Resamples >= 100 && g.Resamples <= 1_000_000, "resamples", "",
		"is %d; it must be between 100 and 1000000", g.Resamples)
}

func (p PredictSpec) check(at section) {
	oneOf(at, "runtime", p.Runtime, RuntimeONNX, RuntimePyfunc, RuntimeCommand)
	switch {
	case p.Runtime == RuntimeCommand:
		at.checkCommand(p.Command, "[python, predict.py]")
	case len(p.Command) > 0:
		at.add("command", "set runtime to command, or drop the command", "is given for runtime %s, which runs none", p.Runtime)
	}
	at.positive("timeout", p.Timeout)
	if p.Resources == nil {
		return
	}
	p.Resources.check(at.sub("resources"))
	const hint = "write gpus_per_node"
	at.check(p.Resources.Nodes <= 1, "resources.nodes", hint, "is %d; predictions are made on one host", p.Resources.Nodes)
	at.check(p.Resources.GPUs == 0, "resources.gpus", hint, "is %d; they may span hosts, and predictions are made on one", p.Resources.GPUs)
	at.check(len(p.Resources.UUIDs) <= 1, "resources.uuids", hint, "names %d devices, which may be on several hosts; predictions are made on one", len(p.Resources.UUIDs))
}

func (e EvaluateSpec) checkSlices(at section, task Task) {
	total := 0
	for i, slice := range e.Slices {
		item := at.sub(index("slices", i))
		item.required("column", slice.Column, "the column to cut the rows by")
		same := func(s SliceSpec) bool { return s.Column != "" && s.Column == slice.Column }
		item.check(!slices.ContainsFunc(e.Slices[:i], same), "column", "", "%q cuts the rows already", slice.Column)
		item.check(slice.Quantiles == 0 || slice.Quantiles >= 2 && slice.Quantiles <= 20, "quantiles",
			"drop it for one slice per value", "is %d; it must be between 2 and 20", slice.Quantiles)
		item.atLeast("min_rows", slice.MinRows, 1)
		item.check(slice.Max >= 1 && slice.Max <= 100, "max", "", "is %d; it must be between 1 and 100", slice.Max)
		if slice.Quantiles > 0 {
			total += slice.Quantiles
		} else {
			total += slice.Max
		}
	}
	at.check(total <= maxSlices, "slices", "lower max, or cut by fewer columns", "can become %d; at most %d are measured", total, maxSlices)
	at.checkLimits("slice_limits", e.SliceLimits, task, AtInterval)
	const hint = "name the columns to cut by in evaluate.slices"
	at.check(len(e.SliceLimits) == 0 || len(e.Slices) > 0, "slice_limits", hint, "nothing to judge: there are no slices")
	if e.SliceMargin != nil {
		at.check(*e.SliceMargin >= 0, "slice_margin", "", "is %v; it must not be below 0", *e.SliceMargin)
		at.check(len(e.Slices) > 0, "slice_margin", hint, "nothing to judge: there are no slices")
	}
}

// checkSlices holds the slices against the columns there are.
func (d DataSpec) checkSlices(at section, cuts []SliceSpec) {
	columns := slices.DeleteFunc(d.columns(), func(c string) bool {
		return c == d.Key || c == d.LabelTime && c != d.Time
	})
	for i, cut := range cuts {
		item := at.sub(index("slices", i))
		switch {
		case cut.Column == "":
		case cut.Column == d.Key:
			item.add("column", "", "is %q, the key: every row would be a slice", cut.Column)
		case cut.Column == d.LabelTime && cut.Column != d.Time:
			item.add("column", "", "is %q, the label's time, which snapshots don't have", cut.Column)
		case !slices.Contains(columns, cut.Column):
			item.add("column", didYouMean(cut.Column, columns), "%q is no column of data; it has %s", cut.Column, quoted(columns))
		case d.IsSensitive(cut.Column):
			item.add("column", "slice by another column", "is %q, which is sensitive: a slice is named after its value", cut.Column)
		case cut.Quantiles == 0 && (cut.Column == d.Time || cut.Column == d.Label && d.Task == TaskRegression):
			item.add("quantiles", "such as 5", "is missing: nearly every row has its own %q", cut.Column)
		case cut.Quantiles > 0 && cut.Column == d.Label && d.Task != TaskRegression:
			item.add("quantiles", "drop it", "is given for %q, which has classes", cut.Column)
		}
	}
}

func (l ServingLimits) check(at section) {
	const hint = "drop it to ask for nothing"
	at.check(l.P50 >= 0, "latency_p50", hint, "is %s; it must be longer than 0", l.P50)
	at.check(l.P99 >= 0, "latency_p99", hint, "is %s; it must be longer than 0", l.P99)
	at.check(l.P50 <= 0 || l.P99 <= 0 || l.P50 <= l.P99, "latency_p50", "", "is %s, and latency_p99 only %s", l.P50, l.P99)
	at.check(l.MaxSize >= 0, "size", hint, "is %s; it must be above 0", l.MaxSize)
}

func (a ApprovalSpec) check(at section) {
	at.positive("timeout", a.Timeout)
	for i, who := range a.Approvers {
		field := index("approvers", i)
		at.check(strings.TrimSpace(who) != "", field, "", "is empty")
		at.check(!slices.Contains(a.Approvers[:i], who), field, "", "%q is listed twice", who)
	}
}
