package client

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// results is what a finished stage left, as the end of its line.
func results(stage models.Stage, status models.LifecycleStatus) string {
	var text string
	switch stage {
	case models.StagePrepare:
		if status.Snapshot != nil {
			text = describeSnapshot(*status.Snapshot)
		}
	case models.StageTrain:
		if status.Training != nil {
			text = describeTraining(*status.Training)
		}
	case models.StageEvaluate:
		if status.Evaluation != nil {
			text = fmt.Sprintf("%d rows in %d blocks", status.Evaluation.Rows, status.Evaluation.Blocks)
		}
	case models.StageRegister:
		if status.Version != "" {
			text = "version " + status.Version
		}
	case models.StageApprove:
		if status.Approval != nil {
			text = describeApproval(*status.Approval)
		}
	case models.StageRollout, models.StageDone:
		// Told by the result.
	}
	if text == "" {
		return ""
	}
	return ": " + text
}

// broke reports whether a stage that ended has failed or was cancelled: it has
// left nothing.
func broke(stage models.Stage, status models.LifecycleStatus) bool {
	switch stage {
	case models.StagePrepare:
		return status.Snapshot == nil
	case models.StageTrain:
		return status.Training == nil
	case models.StageEvaluate:
		return status.Evaluation == nil && status.Gate == nil
	default:
		return false
	}
}

func describeSnapshot(snapshot models.Snapshot) string {
	text := fmt.Sprintf("%d training rows, %d held out, snapshot %.12s", snapshot.Train.Rows, snapshot.Test.Rows, snapshot.SHA256())
	if origin := snapshot.Origin(); origin != "" {
		text += " (" + origin + ")"
	}
	for _, check := range snapshot.Warnings() {
		text += "; warning: " + check.Message
	}
	return text
}

func describeTraining(training models.TrainResult) string {
	text := count(training.Steps, "step", "steps") + " on " + count(len(training.Devices), "device", "devices")
	if training.Restarts > 0 {
		text += ", " + count(training.Restarts, "restart", "restarts")
	}
	if training.RunURL != "" {
		text += ", " + training.RunURL
	}
	return text
}

// describeFigure writes a gate's figure: with its interval where it has one,
// and not at all where nothing was measured.
func describeFigure(check models.GateCheck) string {
	f := check.Figure
	none := f == models.Estimate{}
	switch {
	case none && (check.Verdict == models.VerdictInconclusive || check.Name == "gain over the champion"):
		return "-" // not measured, or there is no champion; a figure of 0 is one
	case f.Low == f.High:
		return significant(f.Value)
	default:
		return f.Text()
	}
}

// significant writes a number with four digits that count, and never as a power
// of ten.
func significant(v float64) string {
	places := 3
	for size := math.Abs(v); size >= 10 && places > 0; size /= 10 {
		places--
	}
	text := strconv.FormatFloat(v, 'f', places, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// count writes how many there are of something.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func describeRanks(progress models.RankProgress) string {
	var parts []string
	if progress.Phase != "" {
		parts = append(parts, progress.Phase)
	}
	switch {
	case progress.Of > 0:
		parts = append(parts, fmt.Sprintf("%s step %d of %d", bar(progress.Step, progress.Of), progress.Step, progress.Of))
	case progress.Step > 0:
		parts = append(parts, fmt.Sprintf("step %d", progress.Step))
	}
	for _, name := range slices.Sorted(maps.Keys(progress.Metrics)) {
		parts = append(parts, fmt.Sprintf("%s %.4g", name, progress.Metrics[name]))
	}
	if progress.Checkpoint > 0 {
		parts = append(parts, fmt.Sprintf("checkpoint %d", progress.Checkpoint))
	}
	return strings.Join(parts, ", ")
}

// bar draws how far a training is.
func bar(done, of int64) string {
	const width = 20
	full := int(width * min(max(float64(done)/float64(of), 0), 1))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

func describeStep(step models.CanaryStep) string {
	where := fmt.Sprintf("canary at %g%%", step.Weight*100)
	if step.Shadow > 0 {
		where = fmt.Sprintf("shadow of %g%%", step.Shadow*100)
	}
	text := fmt.Sprintf("%s: %d requests, %d errors (champion %d, %d)", where,
		step.Canary.Requests, step.Canary.Errors, step.Champion.Requests, step.Champion.Errors)
	v := step.Verdict
	switch {
	case len(v.Metrics) > 1:
		for _, m := range v.Metrics {
			text += fmt.Sprintf("; %s: harm %.3g of %.3g, safe %.3g of %.3g", m.Metric, m.Harm, m.HarmThreshold, m.Safe, m.SafeThreshold)
		}
	case v.HarmThreshold > 0 || v.SafeThreshold > 0:
		text += fmt.Sprintf("; harm %.3g of %.3g, safe %.3g of %.3g", v.Harm, v.HarmThreshold, v.Safe, v.SafeThreshold)
	}
	if v.Verdict != "" && v.Verdict != models.VerdictInconclusive {
		text += ": " + string(v.Verdict)
	}
	return text
}
