package main

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/canary"
	"github.com/mainspring-ml/mainspring/models"
)

// ours is the product's judge on one step, looked at every minute.
type ours struct {
	config   canary.Config
	state    models.JudgeState
	start    time.Time
	champion models.ArmCounts
	canary   models.ArmCounts
	promotes bool // decide on safety; else on harm alone, whatever was proven safe
}

func newOurs(spec models.CanarySpec, weight float64, promotes bool) *ours {
	config := canary.FromSpec(spec)
	return &ours{
		config: config, promotes: promotes, start: time.Unix(0, 0).UTC(),
		state: config.Open(models.JudgeState{}, models.CanaryStep{Weight: weight}),
	}
}

func (o *ours) look(m minute) decision {
	block := models.CanaryBlock{Start: o.start, Champion: block(m.champion), Canary: block(m.canary)}
	o.start = o.start.Add(time.Minute)
	count(&o.champion, m.champion)
	count(&o.canary, m.canary)
	o.state = o.config.Observe(o.state, canary.Evidence{Champion: o.champion, Canary: o.canary, Blocks: []models.CanaryBlock{block}})
	verdict := o.config.Judge(o.state)
	switch {
	case o.promotes && verdict.Safe >= verdict.SafeThreshold:
		return promote
	case !o.promotes && verdict.Harm >= verdict.HarmThreshold:
		return rollBack
	default:
		return wait
	}
}

func block(a arm) models.BlockCounts {
	return models.BlockCounts{Requests: a.requests, Errors: a.errors, Slow: a.slow}
}

func count(sum *models.ArmCounts, a arm) {
	sum.Requests += a.requests
	sum.Errors += a.errors
	sum.Slow += a.slow
	if len(a.latency) == 0 {
		return
	}
	bounds := models.LatencyBounds()
	if sum.Latency == nil {
		sum.Latency = make([]int64, len(bounds)+1)
	}
	for _, ms := range a.latency {
		at, _ := slices.BinarySearch(bounds, time.Duration(ms*float64(time.Millisecond)))
		sum.Latency[at]++
	}
}
