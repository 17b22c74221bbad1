package canary

import (
	"fmt"
	"sort"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// explain says in a sentence with figures what led to the verdict, or what
// would.
func (c Config) explain(v models.CanaryVerdict, s models.JudgeState) string {
	if s.Steps == 0 {
		return "no traffic goes to the canary yet"
	}
	var lines []string
	for _, m := range v.Metrics {
		if v.Verdict != models.VerdictFail || m.Verdict == models.VerdictFail {
			lines = append(lines, m.Reason)
		}
	}
	return fmt.Sprintf("%s %s: %s", headline(v.Verdict), stage(s), strings.Join(lines, "; "))
}

func headline(v models.Verdict) string {
	switch v {
	case models.VerdictFail:
		return "harm"
	case models.VerdictPass:
		return "safe"
	default:
		return "undecided"
	}
}

// stage is where the rollout stands.
func stage(s models.JudgeState) string {
	if s.Shadow {
		return "on copies of requests"
	}
	return fmt.Sprintf("at %.3g %% of the traffic", 100*s.Weight)
}

// explainMetric has the figures of both arms and the evidence that decided, or
// all of it and what is still needed.
func (c Config) explainMetric(v models.MetricVerdict, s models.JudgeState) string {
	arms := c.figures(v.Metric, s)
	if s.Slower && v.Metric == models.CanaryLatency {
		arms += fmt.Sprintf("; the %.3g-quantile of the canary is proven higher", c.Quantile)
	}
	switch v.Verdict {
	case models.VerdictFail:
		return fmt.Sprintf("%s; evidence %.3g, threshold %.3g", arms, v.Harm, v.HarmThreshold)
	case models.VerdictPass:
		return fmt.Sprintf("%s; evidence %.3g, threshold %.3g", arms, v.Safe, v.SafeThreshold)
	case models.VerdictInconclusive:
	}
	if s.Shadow {
		return fmt.Sprintf("%s; evidence of harm %.3g of %.3g", arms, v.Harm, v.HarmThreshold)
	}
	return fmt.Sprintf("%s; evidence of safety %.3g of %.3g, of harm %.3g of %.3g%s",
		arms, v.Safe, v.SafeThreshold, v.Harm, v.HarmThreshold, c.outlook(v.Metric, s))
}

// figures are what both arms did.
func (c Config) figures(metric models.CanaryMetric, s models.JudgeState) string {
	switch metric {
	case models.CanaryQuality:
		return c.Quality.figures(s.Quality)
	case models.CanaryLatency:
		return fmt.Sprintf("slow answers: canary %s, champion %s", share(s.Canary.Slow, s.Canary.Requests), share(s.Champion.Slow, s.Champion.Requests))
	default:
		return fmt.Sprintf("failed requests: canary %s, champion %s", share(s.Canary.Errors, s.Canary.Requests), share(s.Champion.Errors, s.Champion.Requests))
	}
}

func (l Losses) figures(e models.LossEvidence) string {
	v := l.verdict(e)
	if e.Blocks == 0 {
		return fmt.Sprintf("loss: no block with %d labels of each arm yet", enough)
	}
	return fmt.Sprintf("loss: canary %.4g, champion %.4g in %d blocks", v.Canary, v.Champion, e.Blocks)
}

func share(k, n int64) string {
	if n == 0 {
		return "none sent yet"
	}
	return fmt.Sprintf("%d of %d (%.3g %%)", k, n, 100*float64(k)/float64(n))
}

// outlook says how many good answers would prove the canary safe.
func (c Config) outlook(metric models.CanaryMetric, s models.JudgeState) string {
	for _, r := range c.rates() {
		if r.metric != metric || r.safe(s) >= 1/c.Beta {
			continue
		}
		more, ok := c.goodAnswers(r, s)
		if !ok {
			return "; no foreseeable number of good answers would prove it safe"
		}
		return fmt.Sprintf("; canary requests still needed if all are good: %d", more)
	}
	return ""
}

// goodAnswers is the least number of further canary requests, all answered
// well, that would pass the step. Evidence of safety grows with each.
func (c Config) goodAnswers(r rate, s models.JudgeState) (int, bool) {
	const limit = 10_000_000
	passes := func(more int) bool { return r.safeAfter(s, float64(more)) >= 1/c.Beta }
	if !passes(limit) {
		return 0, false
	}
	reach := 64
	for ; reach < limit && !passes(reach); reach *= 2 {
	}
	return sort.Search(reach, passes), true
}
