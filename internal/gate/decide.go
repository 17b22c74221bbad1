package gate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// MinBlocks is the least number of held-out blocks that a verdict can be built
// on.
const MinBlocks = 5

// Decide answers the gate's question on the evidence: are there enough held-out
// blocks, do the metrics keep their limits, is the gain over the champion above
// the margin, what does the model cost to serve, were the data checks made, and
// how do the slices fare. One failed check fails the gate; otherwise one
// inconclusive check leaves it inconclusive. Checks without a verdict inform and
// do not decide.
func Decide(spec models.EvaluateSpec, task models.Task, evidence models.Evaluation) models.GateVerdict {
	j := judge{spec: spec, task: cmp.Or(task, models.TaskBinary), evidence: evidence}
	checks := []models.GateCheck{j.blocks()}
	for _, limit := range spec.Limits {
		checks = append(checks, j.limit(limit))
	}
	checks = append(checks, j.champion())
	checks = append(checks, j.serving()...)
	checks = append(checks, j.data()...)
	checks = append(checks, j.slices()...)
	verdict := combine(checks)
	return models.GateVerdict{Verdict: verdict, Reason: explain(verdict, checks), Checks: checks}
}

// judge holds the evidence against the spec, one check at a time.
type judge struct {
	spec     models.EvaluateSpec
	task     models.Task
	evidence models.Evaluation
}

// informs is the verdict of a check that does not decide.
const informs models.Verdict = ""

const blocksCheck = "held-out blocks"

func (j judge) blocks() models.GateCheck {
	check := models.GateCheck{
		Name: blocksCheck, Verdict: models.VerdictPass, Figure: exactly(float64(j.evidence.Blocks)), Limit: fmt.Sprintf("≥ %d", MinBlocks),
	}
	if j.evidence.Blocks < MinBlocks {
		check.Verdict = models.VerdictInconclusive
	}
	return check
}

// Answers reports whether a verdict other than pass says something about the
// candidate. One that had too few held-out blocks, or lacks a figure that it was
// to judge, does not.
func Answers(verdict models.GateVerdict) bool {
	return verdict.Verdict == models.VerdictFail || !slices.ContainsFunc(verdict.Checks, func(c models.GateCheck) bool {
		return c.Verdict == models.VerdictInconclusive && (c.Name == blocksCheck || c.Figure == models.Estimate{})
	})
}

func exactly(v float64) models.Estimate { return models.Estimate{Value: v, Low: v, High: v} }

// limit holds a metric of all rows against its limit.
func (j judge) limit(limit models.MetricLimit) models.GateCheck {
	check := models.GateCheck{Name: string(limit.Metric), Limit: limitWords(limit), Champion: found(j.evidence.Champion, limit.Metric)}
	figure := found(j.evidence.Candidate, limit.Metric)
	if figure == nil {
		_, there := j.evidence.Candidate[limit.Metric]
		check.Verdict, check.Limit = models.VerdictInconclusive, check.Limit+j.missing(limit.Metric, there)
		return check
	}
	check.Figure = *figure
	if limit.At != models.AtInterval {
		check.Verdict = within(limit, exactly(figure.Value))
		return check
	}
	check.Limit += " with all of its interval"
	check.Verdict = within(limit, *figure)
	if j.evidence.Blocks < MinBlocks {
		check.Verdict = models.VerdictInconclusive // too few for the interval to mean anything
	}
	return check
}

// within passes an interval that is all inside the limit, and fails one that is
// all outside.
func within(limit models.MetricLimit, figure models.Estimate) models.Verdict {
	low, high := math.Inf(-1), math.Inf(1)
	if limit.Min != nil {
		low = *limit.Min
	}
	if limit.Max != nil {
		high = *limit.Max
	}
	switch {
	case limit.Min == nil && limit.Max == nil:
		return models.VerdictInconclusive // what is asked is not known
	case figure.Low >= low && figure.High <= high:
		return models.VerdictPass
	case figure.High < low || figure.Low > high:
		return models.VerdictFail
	default:
		return models.VerdictInconclusive
	}
}

// found is a figure that was measured, or nil. Figures travel as JSON, which
// has neither infinity nor NaN.
func found(figures map[models.Metric]models.Estimate, metric models.Metric) *models.Estimate {
	if figure, ok := figures[metric]; ok && known(figure) {
		return &figure
	}
	return nil
}

func known(e models.Estimate) bool {
	for _, v := range []float64{e.Value, e.Low, e.High} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

const notMeasured = "; not measured: "

// missing says why there is no figure of a metric; there: there is one, which is
// no number.
func (j judge) missing(metric models.Metric, there bool) string {
	switch {
	case !j.task.Has(metric):
		return notMeasured + fmt.Sprintf("%s is no metric of task %s", metric, j.task)
	case j.evidence.Rows == 0:
		return notMeasured + "there are no held-out rows"
	case there:
		return notMeasured + "it is not a number"
	default:
		return notMeasured + "the held-out rows don't give it"
	}
}

func limitWords(limit models.MetricLimit) string {
	var words []string
	if limit.Min != nil {
		words = append(words, fmt.Sprintf("≥ %.4g", *limit.Min))
	}
	if limit.Max != nil {
		words = append(words, fmt.Sprintf("≤ %.4g", *limit.Max))
	}
	if len(words) == 0 {
		return "no limit"
	}
	return strings.Join(words, " and ")
}

// FirstVersion is the limit of the comparison when there is nothing to compare
// with.
const FirstVersion = "first version: no champion to compare with"

// metric is what candidate and champion are compared in.
func (j judge) metric() models.Metric { return cmp.Or(j.spec.Champion.Metric, j.task.DefaultMetric()) }

// compared reports whether there is a champion. One without figures is no
// absent one: what was not measured must not pass.
func (j judge) compared() bool {
	return j.evidence.ChampionVersion != "" || len(j.evidence.Champion) > 0 || j.evidence.Gain != nil
}

// champion wants the whole interval of the gain above minus the margin.
func (j judge) champion() models.GateCheck {
	bound := 0 - j.spec.Champion.Margin // not -Margin, which would print as -0
	check := models.GateCheck{
		Name: string(j.metric()) + " gain over the champion", Limit: fmt.Sprintf("gain > %.4g", bound),
		Champion: found(j.evidence.Champion, j.metric()),
	}
	switch gain := j.evidence.Gain; {
	case !j.compared():
		check.Name, check.Verdict, check.Limit = "gain over the champion", models.VerdictPass, FirstVersion
	case gain == nil || !known(*gain):
		check.Verdict, check.Limit = models.VerdictInconclusive, check.Limit+j.missing(j.metric(), gain != nil)
	default:
		check.Figure, check.Verdict = *gain, side(*gain, bound)
		if j.evidence.Blocks < MinBlocks {
			check.Verdict = models.VerdictInconclusive // too few for the interval to mean anything
		}
	}
	return check
}

// side says on which side of the bound the whole interval lies.
func side(figure models.Estimate, bound float64) models.Verdict {
	switch {
	case figure.Low > bound:
		return models.VerdictPass
	case figure.High < bound:
		return models.VerdictFail
	default:
		return models.VerdictInconclusive
	}
}

func combine(checks []models.GateCheck) models.Verdict {
	has := func(verdict models.Verdict) bool {
		return slices.ContainsFunc(checks, func(c models.GateCheck) bool { return c.Verdict == verdict })
	}
	switch {
	case has(models.VerdictFail):
		return models.VerdictFail
	case has(models.VerdictInconclusive):
		return models.VerdictInconclusive
	default:
		return models.VerdictPass
	}
}
