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
		m.Detectors[i].Share = cmp.Or(m.Detectors[i].Share, 1)
		m.Detectors[i].Season = cmp.Or(m.Detectors[i].Season, SeasonNone)
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
