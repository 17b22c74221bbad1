package models

import (
	"cmp"
	"slices"
	"time"
)

// WithDefaults returns m with its defaults filled in. The retraining's windows
// and the slices default to those of the whole spec, which only it knows.
func (m MonitorSpec) WithDefaults() MonitorSpec {
	if m.BlockRows == 0 {
		m.Block = cmp.Or(m.Block, Day)
	}
	m.Maturity = cmp.Or(m.Maturity, Day)
	if m.Corrections == nil {
		corrections := m.Maturity
		m.Corrections = &corrections
	}
	m.MinLabels = cmp.Or(m.MinLabels, 30)
	m.FalseAlarmsPerYear = cmp.Or(m.FalseAlarmsPerYear, 0.1)
	m.Detectors = slices.Clone(m.Detectors)
	if len(m.Detectors) == 0 {
		m.Detectors = []DetectorSpec{{Kind: DetectorConformal, Share: 4}, {Kind: DetectorLevel, Share: 1}}
	}
	for i := range m.Detectors {
		d := &m.Detectors[i]
		d.Share = cmp.Or(d.Share, 1)
		if d.Season == "" && d.Kind != DetectorLevel {
			d.Season = m.season()
		}
		d.Season = cmp.Or(d.Season, SeasonNone)
	}
	m.ReferenceBlocks = cmp.Or(m.ReferenceBlocks, 30)
	m.Poll = cmp.Or(m.Poll, Duration(5*time.Minute))
	m.Slices = slices.Clone(m.Slices)
	for i := range m.Slices {
		m.Slices[i] = m.Slices[i].WithDefaults()
	}
	m.Inputs.Bins = cmp.Or(m.Inputs.Bins, 16)
	m.Inputs.Level = cmp.Or(m.Inputs.Level, 0.1)
	m.Retrain = m.Retrain.withDefaults()
	m.Notify = slices.Clone(m.Notify)
	for i := range m.Notify {
		m.Notify[i].Format = cmp.Or(m.Notify[i].Format, NotifyJSON)
		if len(m.Notify[i].On) == 0 {
			m.Notify[i].On = NoticeKinds()
		}
	}
	return m
}

// season is the pattern that most traffic has: where it has one, blocks of
// different hours or weekdays are not exchangeable. Where it has none, it costs
// next to nothing.
func (m MonitorSpec) season() Season {
	switch {
	case m.Block == Day:
		return SeasonDayOfWeek
	case m.Block > 0 && m.Block < Day:
		return SeasonHourOfWeek
	default:
		return SeasonNone
	}
}

func (r RetrainSpec) withDefaults() RetrainSpec {
	r.From = cmp.Or(r.From, RetrainFromWindow)
	r.Cooldown = cmp.Or(r.Cooldown, 14*Day)
	r.MaxFailures = cmp.Or(r.MaxFailures, 3)
	if r.Budget != nil {
		budget := *r.Budget
		budget.Per = cmp.Or(budget.Per, 30*Day)
		r.Budget = &budget
	}
	if r.Schedule != nil {
		schedule := *r.Schedule
		schedule.CatchUp = cmp.Or(schedule.CatchUp, Duration(time.Hour))
		r.Schedule = &schedule
	}
	if r.Arrival != nil {
		arrival := *r.Arrival
		arrival.Poll = cmp.Or(arrival.Poll, Duration(10*time.Minute))
		arrival.Partitions = cmp.Or(arrival.Partitions, 1)
		arrival.Quiet = cmp.Or(arrival.Quiet, arrival.Poll)
		r.Arrival = &arrival
	}
	return r
}
