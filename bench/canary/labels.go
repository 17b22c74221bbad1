package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/mainspring-ml/mainspring/internal/canary"
	"github.com/mainspring-ml/mainspring/models"
)

// labelled is an endpoint whose outcomes come late: hours of losses that are
// skewed (exponential), move with the hour for both arms, and a little for each
// arm alone.
type labelled struct {
	Paired bool    `json:"paired"`
	Labels float64 `json:"labels"` // per hour, of both arms, or pairs
	Weight float64 `json:"weight"` // canary's share, unpaired
	Shift  float64 `json:"shift"`  // of the canary's mean loss, which is 0.4
	Hours  int     `json:"hours"`
}

const (
	meanLoss = 0.4
	perHour  = 0.25 // deviation of the logarithm of the hour's mean loss
	perArm   = 0.02 // deviation of each arm's own straying in an hour
	perPair  = 0.3  // deviation of the difference on the same request
)

func (w labelled) simulate(r *rand.Rand) []models.LossBlock {
	blocks := make([]models.LossBlock, w.Hours)
	for i := range blocks {
		hour := meanLoss * lognormal(r, perHour)
		champion, candidate := perArm*r.NormFloat64(), w.Shift+perArm*r.NormFloat64()
		b := &blocks[i]
		b.Start = time.Unix(int64(i)*3600, 0).UTC()
		if w.Paired {
			for range poisson(r, w.Labels) {
				loss := hour*r.ExpFloat64() + champion
				add(&b.Champion, loss)
				// two losses, each with a skewed part of its own
				add(&b.Pairs, candidate-champion+perPair/math.Sqrt2*(r.ExpFloat64()-r.ExpFloat64()))
			}
			continue
		}
		for range poisson(r, w.Labels*(1-w.Weight)) {
			add(&b.Champion, hour*r.ExpFloat64()+champion)
		}
		for range poisson(r, w.Labels*w.Weight) {
			add(&b.Canary, hour*r.ExpFloat64()+candidate)
		}
	}
	return blocks
}

func add(m *models.Moments, value float64) {
	m.N++
	m.Sum += value
	m.SumSquares += value * value
}

// quality is the product's judge on labels alone.
type quality struct {
	config   canary.Config
	state    models.JudgeState
	promotes bool
}

func newQuality(tolerance float64, promotes bool) *quality {
	config := canary.FromSpec(models.CanarySpec{Steps: []float64{50}, Quality: &models.QualitySpec{Tolerance: tolerance}})
	return &quality{config: config, promotes: promotes, state: config.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.5})}
}

func (q *quality) look(b models.LossBlock) decision {
	q.state = q.config.Observe(q.state, canary.Evidence{Losses: []models.LossBlock{b}})
	for _, m := range q.config.Judge(q.state).Metrics {
		switch {
		case m.Metric != models.CanaryQuality:
		case q.promotes && m.Safe >= m.SafeThreshold:
			return promote
		case !q.promotes && m.Harm >= m.HarmThreshold:
			return rollBack
		}
	}
	return wait
}

// rows is a one-sided test at 5 % on the mean of all rows, repeated every hour.
type rows struct{ seen models.LossBlock }

func (t *rows) look(b models.LossBlock) decision {
	join := func(into *models.Moments, m models.Moments) {
		into.N, into.Sum, into.SumSquares = into.N+m.N, into.Sum+m.Sum, into.SumSquares+m.SumSquares
	}
	join(&t.seen.Champion, b.Champion)
	join(&t.seen.Canary, b.Canary)
	join(&t.seen.Pairs, b.Pairs)
	mean, variance := moments(t.seen.Pairs)
	if t.seen.Pairs.N == 0 {
		champion, own := moments(t.seen.Champion)
		canary, other := moments(t.seen.Canary)
		mean, variance = canary-champion, own+other
	}
	return rollBackIf(mean > normal95*math.Sqrt(variance))
}

// moments are the mean and its variance.
func moments(m models.Moments) (mean, variance float64) {
	n := max(float64(m.N), 1)
	mean = m.Sum / n
	return mean, max(m.SumSquares/n-mean*mean, 0) / n
}
