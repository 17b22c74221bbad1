package canary

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestFromSpec(t *testing.T) {
	if got, want := FromSpec(models.CanarySpec{}), (Config{Steps: 2, Alpha: 0.01, Beta: 0.05, Tolerance: 0.5, MaxErrorRate: 0.02}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	spec := models.CanarySpec{Steps: []float64{1, 5, 20}, FalseAlarm: 0.1, FalsePass: 0.2, Tolerance: 1, MaxErrorRate: 0.3}
	if got, want := FromSpec(spec), (Config{Steps: 3, Alpha: 0.1, Beta: 0.2, Tolerance: 1, MaxErrorRate: 0.3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func step(weight float64, canaryErrors, canary, championErrors, champion int64) models.CanaryStep {
	return models.CanaryStep{
		Weight:   weight,
		Canary:   models.ArmCounts{Requests: canary, Errors: canaryErrors},
		Champion: models.ArmCounts{Requests: champion, Errors: championErrors},
	}
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		steps   []models.CanaryStep
		verdict models.Verdict
		reason  string
	}{
		{"no step", nil, models.VerdictInconclusive, "no traffic goes to the canary yet"},
		{"no traffic", []models.CanaryStep{step(0.1, 0, 0, 0, 0)}, models.VerdictInconclusive,
			"undecided at 10 % of the traffic: failed requests: canary none sent yet, champion none sent yet; evidence of safety 1 of 20, of harm 1 of 100; canary requests still needed if none fails: 265"},
		{"one request short", []models.CanaryStep{step(0.1, 0, 264, 0, 2400)}, models.VerdictInconclusive,
			"undecided at 10 % of the traffic: failed requests: canary 0 of 264 (0 %), champion 0 of 2400 (0 %); evidence of safety 20 of 20, of harm 0.751 of 100; canary requests still needed if none fails: 1"},
		{"clean", []models.CanaryStep{step(0.1, 0, 265, 0, 2400)}, models.VerdictPass,
			"safe at 10 % of the traffic: failed requests: canary 0 of 265 (0 %), champion 0 of 2400 (0 %); evidence 20.3, threshold 20"},
		{"the second step starts from nothing", []models.CanaryStep{step(0.1, 0, 5000, 0, 45000), step(0.5, 0, 0, 0, 0)}, models.VerdictInconclusive,
			"undecided at 50 % of the traffic: failed requests: canary none sent yet, champion none sent yet; evidence of safety 1 of 20, of harm 0.75 of 100; canary requests still needed if none fails: 265"},
		{"all fail", []models.CanaryStep{step(0.1, 4, 4, 0, 36)}, models.VerdictFail, ""},
		{"harm wins over safety", []models.CanaryStep{step(0.1, 10, 2000, 10, 18000)}, models.VerdictFail, ""},
		{"harm of an earlier step still counts", []models.CanaryStep{step(0.1, 20, 200, 2, 1800), step(0.5, 0, 264, 0, 264)}, models.VerdictFail, ""},
		{"errors before the champion's counters arrived", []models.CanaryStep{step(0.1, 40, 50, 0, 0)}, models.VerdictInconclusive, ""},
		{"both arms fail alike", []models.CanaryStep{step(0.5, 400, 500, 410, 500)}, models.VerdictPass, ""},
		{"at full weight only the limit counts", []models.CanaryStep{step(1, 0, 265, 0, 0)}, models.VerdictPass, ""},
		{"nonsense counters", []models.CanaryStep{step(0.1, -5, -7, 9, 3)}, models.VerdictInconclusive, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Judge(FromSpec(models.CanarySpec{}), test.steps)
			if got.Verdict != test.verdict || test.reason != "" && got.Reason != test.reason {
				t.Errorf("got  %s: %s\nwant %s: %s", got.Verdict, got.Reason, test.verdict, test.reason)
			}
			if got.HarmThreshold != 100 || got.SafeThreshold != 20 {
				t.Errorf("thresholds %v and %v, want 100 and 20", got.HarmThreshold, got.SafeThreshold)
			}
		})
	}
}

func TestReasonOfHarm(t *testing.T) {
	got := Judge(FromSpec(models.CanarySpec{}), []models.CanaryStep{step(0.1, 30, 300, 18, 2700)})
	want := "harm at 10 % of the traffic: failed requests: canary 30 of 300 (10 %), champion 18 of 2700 (0.667 %); evidence 5.17e+15, threshold 100"
	if got.Reason != want {
		t.Errorf("got  %s\nwant %s", got.Reason, want)
	}
}

// TestCombination holds the e-values against sums and products done by hand.
func TestCombination(t *testing.T) {
	c := Config{Steps: 3, Alpha: 0.01, Beta: 0.05, Tolerance: 0.5, MaxErrorRate: 0.02}
	first, second := step(0.1, 3, 200, 5, 1800), step(0.5, 2, 100, 1, 110)
	one := func(s models.CanaryStep) float64 {
		canary := trials{float64(s.Canary.Errors), float64(s.Canary.Requests)}
		champion := trials{float64(s.Champion.Errors), float64(s.Champion.Requests)}
		both := trials{canary.k, canary.k + champion.k}
		return (math.Exp(above(both, s.Weight)) + math.Min(math.Exp(above(canary, 0.02)), math.Exp(below(champion, 0.02)))) / 2
	}
	got := Judge(c, []models.CanaryStep{first, second})
	near(t, "harm", got.Harm, (one(first)*one(second)+one(second)+1)/3, 1e-12)
	// 1.5 / (1 + 1.5) of the errors at equal traffic
	near(t, "safe", got.Safe, (math.Exp(below(trials{2, 3}, 0.6))+math.Exp(below(trials{2, 100}, 0.02)))/2, 1e-12)
	// more steps than planned: the parts are still a partition
	c.Steps = 1
	near(t, "harm", Judge(c, []models.CanaryStep{first, second}).Harm, (one(first)*one(second)+one(second))/2, 1e-12)
}

func TestEvidenceStaysFinite(t *testing.T) {
	got := Judge(FromSpec(models.CanarySpec{}), []models.CanaryStep{step(0.1, 1_000_000, 1_000_000, 0, 9_000_000)})
	data, err := json.Marshal(got)
	if err != nil || got.Harm > most || got.Verdict != models.VerdictFail {
		t.Errorf("%s, %v", data, err)
	}
	got = Judge(FromSpec(models.CanarySpec{}), []models.CanaryStep{step(0.1, 1_000_000, 1_000_000, 0, 0)})
	if !strings.HasSuffix(got.Reason, "no foreseeable number of good answers would prove it safe") {
		t.Errorf("reason %q", got.Reason)
	}
}

func TestNextLook(t *testing.T) {
	for seen, want := range map[int64]int64{0: 20, 200: 20, 201: 20, 1000: 100, 1_000_000: 100_000} {
		if got := NextLook(Config{}, seen); got != want {
			t.Errorf("after %d: %d, want %d", seen, got, want)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	c := FromSpec(models.CanarySpec{})
	steps := []models.CanaryStep{step(0.1, 3, 400, 20, 3600), step(0.5, 9, 900, 11, 940)}
	for b.Loop() {
		Judge(c, steps)
	}
}
