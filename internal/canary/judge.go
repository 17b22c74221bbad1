package canary

import "github.com/mainspring-ml/mainspring/models"

// Evidence is what one look at a step brought.
type Evidence struct {
	Champion models.ArmCounts     // totals of the step so far
	Canary   models.ArmCounts     // totals of the step so far
	Blocks   []models.CanaryBlock // new ones of the step, oldest first
	Losses   []models.LossBlock   // new ones of the rollout, oldest first
}

// Open begins a step. What the last step said about harm stays, what it said
// about safety does not.
func (c Config) Open(s models.JudgeState, step models.CanaryStep) models.JudgeState {
	for _, metric := range c.rates() {
		evidence := metric.of(&s)
		*evidence = metric.open(*evidence, s)
	}
	s.Steps++
	s.Shadow = step.Shadow > 0
	s.Weight = step.Weight
	s.Champion, s.Canary, s.Blocks = models.BlockCounts{}, models.BlockCounts{}, 0
	return s
}

// Observe adds what a look brought. Each block is to be given once; totals
// replace the earlier ones of the step. A step of copies is known by its blocks
// only, since the champion also answers requests of which no copy is made.
func (c Config) Observe(s models.JudgeState, e Evidence) models.JudgeState {
	if s.Steps == 0 {
		return s
	}
	for _, block := range e.Blocks {
		s = c.observe(s, block)
	}
	if c.byRequest() && !s.Shadow {
		s.Champion, s.Canary = total(e.Champion), total(e.Canary)
		s.Slower = s.Slower || c.slower(e)
	}
	if c.Quality.Tolerance > 0 {
		s.Quality = c.Quality.observe(s.Quality, e.Losses)
	}
	return s
}

func (c Config) observe(s models.JudgeState, block models.CanaryBlock) models.JudgeState {
	champion, canary := sane(block.Champion), sane(block.Canary)
	if champion.Requests+canary.Requests == 0 {
		return s
	}
	s.Blocks++
	if c.byRequest() && !s.Shadow {
		return s // the totals say it all
	}
	s.Champion, s.Canary = add(s.Champion, champion), add(s.Canary, canary)
	if !c.byRequest() {
		for _, metric := range c.rates() {
			evidence := metric.of(&s)
			*evidence = metric.observe(*evidence, metric.arms(champion, canary))
		}
	}
	return s
}

// byRequest is whether requests are weighed one by one.
func (c Config) byRequest() bool { return c.Evidence == models.EvidenceRequests }

func total(arm models.ArmCounts) models.BlockCounts {
	return sane(models.BlockCounts{Requests: arm.Requests, Errors: arm.Errors, Slow: arm.Slow})
}

// mostCounted is what a block or a step may have: more is distrusted.
const mostCounted = 1 << 50

// sane distrusts counters that contradict themselves as little as it can.
func sane(b models.BlockCounts) models.BlockCounts {
	n := min(max(b.Requests, 0), mostCounted)
	return models.BlockCounts{Requests: n, Errors: min(max(b.Errors, 0), n), Slow: min(max(b.Slow, 0), n)}
}

func add(a, b models.BlockCounts) models.BlockCounts {
	return sane(models.BlockCounts{Requests: a.Requests + b.Requests, Errors: a.Errors + b.Errors, Slow: a.Slow + b.Slow})
}
