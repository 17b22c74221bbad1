package gate

import (
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// MinBlocks is the least number of held-out blocks that a verdict can be built
// on.
const MinBlocks = 5

// Decide answers the gate's question on the evidence: enough held-out blocks,
// limits on point estimates, and the gain's interval against the margin. One
// failed check fails the gate; otherwise one inconclusive check leaves it
// inconclusive.
func Decide(spec models.EvaluateSpec, evidence models.Evaluation) models.GateVerdict {
	checks := []models.GateCheck{checkBlocks(evidence)}
	for _, limit := range spec.Limits {
		checks = append(checks, checkLimit(limit, evidence))
	}
	checks = append(checks, checkChampion(spec.Champion, evidence))
	verdict := combine(checks)
	return models.GateVerdict{Verdict: verdict, Reason: explain(verdict, checks), Checks: checks}
}

const blocksCheck = "held-out blocks"

func checkBlocks(evidence models.Evaluation) models.GateCheck {
	n := float64(evidence.Blocks)
	check := models.GateCheck{
		Name: blocksCheck, Verdict: models.VerdictPass,
		Figure: models.Estimate{Value: n, Low: n, High: n}, Limit: fmt.Sprintf("≥ %d", MinBlocks),
	}
	if evidence.Blocks < MinBlocks {
		check.Verdict = models.VerdictInconclusive
	}
	return check
}

func checkLimit(limit models.MetricLimit, evidence models.Evaluation) models.GateCheck {
	check := models.GateCheck{Name: string(limit.Metric), Verdict: models.VerdictPass, Limit: limitWords(limit)}
	figure, measured := evidence.Candidate[limit.Metric]
	if !measured || !known(figure) {
		check.Verdict, check.Limit = models.VerdictInconclusive, check.Limit+"; not measured"
		return check
	}
	check.Figure = figure
	if limit.Max != nil && figure.Value > *limit.Max || limit.Min != nil && figure.Value < *limit.Min {
		check.Verdict = models.VerdictFail
	}
	return check
}

// known: figures travel as JSON, which has neither infinity nor NaN.
func known(e models.Estimate) bool { return finite(e.Value) && finite(e.Low) && finite(e.High) }

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

func checkChampion(gate models.ChampionGate, evidence models.Evaluation) models.GateCheck {
	bound := 0 - gate.Margin // not -Margin, which would print as -0
	check := models.GateCheck{Name: "gain over the champion", Limit: fmt.Sprintf("gain > %.4g", bound)}
	switch {
	case len(evidence.Champion) == 0 && evidence.Gain == nil:
		check.Verdict, check.Limit = models.VerdictPass, FirstVersion
	case evidence.Gain == nil || !known(*evidence.Gain):
		check.Verdict, check.Limit = models.VerdictInconclusive, check.Limit+"; not measured"
	default:
		check.Figure, check.Verdict = *evidence.Gain, side(*evidence.Gain, bound)
		if evidence.Blocks < MinBlocks {
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
	verdict := models.VerdictPass
	for _, c := range checks {
		switch c.Verdict {
		case models.VerdictFail:
			return models.VerdictFail
		case models.VerdictInconclusive:
			verdict = models.VerdictInconclusive
		case models.VerdictPass:
		}
	}
	return verdict
}

// explain is one sentence with the figures that decided. A passed gate names
// the quality checks; that there were blocks enough goes without saying.
func explain(verdict models.Verdict, checks []models.GateCheck) string {
	opening := map[models.Verdict]string{
		models.VerdictPass: "passed", models.VerdictFail: "refused", models.VerdictInconclusive: "not enough evidence",
	}[verdict]
	var decisive []string
	for _, c := range checks {
		if c.Verdict == verdict && (verdict != models.VerdictPass || c.Name != blocksCheck) {
			decisive = append(decisive, words(c))
		}
	}
	return opening + ": " + strings.Join(decisive, "; ")
}

func words(c models.GateCheck) string {
	switch {
	case c.Limit == FirstVersion:
		return c.Limit
	case c.Name == blocksCheck:
		return fmt.Sprintf("%.0f %s (needed: %s)", c.Figure.Value, c.Name, c.Limit)
	case c.Figure == models.Estimate{}:
		return fmt.Sprintf("%s (needed: %s)", c.Name, c.Limit)
	default:
		return fmt.Sprintf("%s %.4f [%.4f, %.4f] (needed: %s)", c.Name, c.Figure.Value, c.Figure.Low, c.Figure.High, c.Limit)
	}
}
