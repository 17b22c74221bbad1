package gate

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestAnswers tells a no from having nothing to say.
func TestAnswers(t *testing.T) {
	evidence := models.Evaluation{Rows: 100, Blocks: 14, ChampionVersion: "3", Gain: &models.Estimate{Value: -0.09, Low: -0.12, High: -0.05}}
	unsure, few, lost := evidence, evidence, evidence
	unsure.Gain = &models.Estimate{Value: 0.01, Low: -0.02, High: 0.04}
	few.Gain, few.Blocks = &models.Estimate{Value: 1.1, Low: 1, High: 1.3}, 3
	lost.Gain = nil
	for name, test := range map[string]struct {
		evidence models.Evaluation
		answers  bool
	}{"worse": {evidence, true}, "unsure": {unsure, true}, "too few blocks": {few, false}, "no gain measured": {lost, false}} {
		verdict := Decide(models.EvaluateSpec{}, models.TaskBinary, test.evidence)
		if verdict.Verdict == models.VerdictPass || Answers(verdict) != test.answers {
			t.Errorf("%s: %s, answers %v", name, verdict.Reason, Answers(verdict))
		}
	}
}

func TestDecide(t *testing.T) {
	most, least := 0.6, 0.7
	spec := models.EvaluateSpec{Limits: []models.MetricLimit{{Metric: models.LogLoss, Max: &most}, {Metric: models.AUC, Min: &least}}}
	tolerant := spec
	tolerant.Champion.Margin = 0.03
	evidence := func(loss, auc float64, gain *models.Estimate) models.Evaluation {
		e := models.Evaluation{Rows: 100, Blocks: 14, Gain: gain, Candidate: map[models.Metric]models.Estimate{
			models.LogLoss: {Value: loss, Low: loss - 0.02, High: loss + 0.02}, models.AUC: {Value: auc, Low: auc - 0.02, High: auc + 0.02},
		}}
		if gain != nil {
			e.Champion = e.Candidate
		}
		return e
	}
	better := &models.Estimate{Value: 0.06, Low: 0.02, High: 0.1}
	worse := &models.Estimate{Value: -0.09, Low: -0.12, High: -0.05}
	unsure := &models.Estimate{Value: 0.01, Low: -0.02, High: 0.04}
	nothing := &models.Estimate{Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1)}
	fewBlocks, lostChampion := evidence(0.5, 0.8, better), evidence(0.5, 0.8, better)
	fewBlocks.Blocks, lostChampion.Gain = 4, nil
	silentChampion := evidence(0.5, 0.8, nil)
	silentChampion.ChampionVersion = "3"
	for name, test := range map[string]struct {
		spec     models.EvaluateSpec
		evidence models.Evaluation
		verdict  models.Verdict
		reason   string
	}{
		"first version": {spec, evidence(0.5, 0.8, nil), models.VerdictPass,
			"passed: log_loss 0.5000 [0.4800, 0.5200] (needed: ≤ 0.6); auc 0.8000 [0.7800, 0.8200] (needed: ≥ 0.7); first version: no champion to compare with"},
		"first version, no limits": {models.EvaluateSpec{}, evidence(0.5, 0.8, nil), models.VerdictPass, "passed: first version: no champion to compare with"},
		"better": {spec, evidence(0.5, 0.8, better), models.VerdictPass,
			"passed: log_loss 0.5000 [0.4800, 0.5200] (needed: ≤ 0.6); auc 0.8000 [0.7800, 0.8200] (needed: ≥ 0.7); log_loss gain over the champion 0.0600 [0.0200, 0.1000] (needed: gain > 0)"},
		"worse": {spec, evidence(0.5, 0.8, worse), models.VerdictFail,
			"refused: log_loss gain over the champion -0.0900 [-0.1200, -0.0500] (needed: gain > 0)"},
		"unsure": {spec, evidence(0.5, 0.8, unsure), models.VerdictInconclusive,
			"not enough evidence: log_loss gain over the champion 0.0100 [-0.0200, 0.0400] (needed: gain > 0)"},
		"unsure within a margin": {tolerant, evidence(0.5, 0.8, unsure), models.VerdictPass,
			"passed: log_loss 0.5000 [0.4800, 0.5200] (needed: ≤ 0.6); auc 0.8000 [0.7800, 0.8200] (needed: ≥ 0.7); log_loss gain over the champion 0.0100 [-0.0200, 0.0400] (needed: gain > -0.03)"},
		"worse than a margin":   {tolerant, evidence(0.5, 0.8, worse), models.VerdictFail, "refused: log_loss gain over the champion -0.0900 [-0.1200, -0.0500] (needed: gain > -0.03)"},
		"over one limit":        {spec, evidence(0.7, 0.8, better), models.VerdictFail, "refused: log_loss 0.7000 [0.6800, 0.7200] (needed: ≤ 0.6)"},
		"under the other":       {spec, evidence(0.5, 0.6, better), models.VerdictFail, "refused: auc 0.6000 [0.5800, 0.6200] (needed: ≥ 0.7)"},
		"fail before uncertain": {spec, evidence(0.7, 0.8, unsure), models.VerdictFail, "refused: log_loss 0.7000 [0.6800, 0.7200] (needed: ≤ 0.6)"},
		"too few blocks": {spec, fewBlocks, models.VerdictInconclusive,
			"not enough evidence: 4 held-out blocks (needed: ≥ 5); log_loss gain over the champion 0.0600 [0.0200, 0.1000] (needed: gain > 0)"},
		"no gain though there is a champion": {spec, lostChampion, models.VerdictInconclusive,
			"not enough evidence: log_loss gain over the champion (needed: gain > 0; not measured: the held-out rows don't give it)"},
		"a champion without any figure": {spec, silentChampion, models.VerdictInconclusive,
			"not enough evidence: log_loss gain over the champion (needed: gain > 0; not measured: the held-out rows don't give it)"},
		"gain is no number": {spec, evidence(0.5, 0.8, nothing), models.VerdictInconclusive,
			"not enough evidence: log_loss gain over the champion (needed: gain > 0; not measured: it is not a number)"},
		"loss is no number": {spec, evidence(math.NaN(), 0.8, better), models.VerdictInconclusive,
			"not enough evidence: log_loss (needed: ≤ 0.6; not measured: it is not a number)"},
		"nothing at all": {spec, models.Evaluation{}, models.VerdictInconclusive,
			"not enough evidence: 0 held-out blocks (needed: ≥ 5); log_loss (needed: ≤ 0.6; not measured: there are no held-out rows); auc (needed: ≥ 0.7; not measured: there are no held-out rows)"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.spec, models.TaskBinary, test.evidence)
			if got.Verdict != test.verdict || got.Reason != test.reason {
				t.Errorf("got  %s, %s\nwant %s, %s", got.Verdict, got.Reason, test.verdict, test.reason)
			}
			if _, err := json.Marshal(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChecks(t *testing.T) {
	low, high := 0.1, 0.6
	loss, gain := models.Estimate{Value: 0.5, Low: 0.4, High: 0.7}, models.Estimate{Value: 0.01, Low: -0.02, High: 0.04}
	evidence := models.Evaluation{
		Rows: 10, Blocks: 5, Gain: &gain,
		Candidate: map[models.Metric]models.Estimate{models.LogLoss: loss}, Champion: map[models.Metric]models.Estimate{models.LogLoss: loss},
	}
	spec := models.EvaluateSpec{Limits: []models.MetricLimit{{Metric: models.LogLoss, Min: &low, Max: &high}, {Metric: models.Brier}}}
	want := []models.GateCheck{
		{Name: "held-out blocks", Verdict: models.VerdictPass, Figure: models.Estimate{Value: 5, Low: 5, High: 5}, Limit: "≥ 5"},
		{Name: "log_loss", Verdict: models.VerdictPass, Figure: loss, Limit: "≥ 0.1 and ≤ 0.6", Champion: &loss},
		{Name: "brier", Verdict: models.VerdictInconclusive, Limit: "no limit; not measured: the held-out rows don't give it"},
		{Name: "log_loss gain over the champion", Verdict: models.VerdictInconclusive, Figure: gain, Limit: "gain > 0", Champion: &loss},
	}
	if got := Decide(spec, models.TaskBinary, evidence).Checks; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
