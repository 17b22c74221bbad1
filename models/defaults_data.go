package models

import (
	"cmp"
	"time"
)

// WithDefaults returns d with its defaults filled in.
func (d DataSpec) WithDefaults() DataSpec {
	d.Task = cmp.Or(d.Task, TaskBinary)
	d.Split = d.Split.withDefaultsFor(d)
	d.Checks = d.Checks.withDefaultsFor(d)
	if d.Prepare != nil {
		prepare := d.Prepare.WithDefaults()
		d.Prepare = &prepare
	}
	return d
}

func (s SplitSpec) withDefaultsFor(d DataSpec) SplitSpec {
	s.By = cmp.Or(s.By, SplitByTime)
	if s.By == SplitByHash {
		s.Column = cmp.Or(s.Column, d.Key)
		s.Fraction = cmp.Or(s.Fraction, 0.2)
	}
	return s
}

func (c DataChecks) withDefaultsFor(d DataSpec) DataChecks {
	c.MinRows = cmp.Or(c.MinRows, 1)
	if len(c.Unique) == 0 && d.Key != "" {
		c.Unique = []string{d.Key}
	}
	for _, limit := range []struct {
		field    **float64
		standard float64
	}{
		{&c.MaxNullRise, 0.05},
		{&c.MaxUnseen, 0.01},
		{&c.MaxDuplicates, 0.01},
		{&c.MaxSkew, 0.01},
		{&c.MaxShift, 0.3},
		{&c.MaxLeak, 0.8},
	} {
		if *limit.field == nil {
			*limit.field = &limit.standard
		}
	}
	return c
}

// SeverityOf is what a failed check of a column does; the column may be empty.
// Guessed is for leakage that nobody declared.
func (c DataChecks) SeverityOf(check, column string, guessed bool) Severity {
	if s, ok := c.Severity[check+"."+column]; ok {
		return s
	}
	if s, ok := c.Severity[check]; ok {
		return s
	}
	switch check {
	case "new_column", "null_rise", "unseen", "duplicates", "shift":
		return SeverityWarn
	}
	if guessed {
		return SeverityWarn
	}
	return SeverityError
}

// WithDefaults returns p with its defaults filled in.
func (p PrepareSpec) WithDefaults() PrepareSpec {
	p.Environment.Python = cmp.Or(p.Environment.Python, "python3")
	p.Per = cmp.Or(p.Per, PreparePerPartition)
	p.Pool = cmp.Or(p.Pool, DefaultPool)
	p.Timeout = cmp.Or(p.Timeout, Duration(time.Hour))
	if p.Resources != nil {
		resources := p.Resources.WithDefaults()
		p.Resources = &resources
	}
	return p
}
