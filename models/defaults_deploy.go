package models

import (
	"cmp"
	"slices"
	"time"
)

// WithDefaults returns d with its defaults filled in. Those that come from
// other sections only a whole spec knows: the server's code and environment,
// what the judge of quality takes from the gate and the
// monitor, and what the log must not have.
func (d DeploySpec) WithDefaults() DeploySpec {
	d.Replicas = cmp.Or(d.Replicas, 1)
	d.Resources = d.Resources.WithDefaults()
	d.Canary = d.Canary.WithDefaults()
	d.Server = d.Server.WithDefaults()
	d.Traffic = d.Traffic.WithDefaults()
	return d
}

func (d DeploySpec) withDefaultsFor(s LifecycleSpec) DeploySpec {
	if len(d.Server.Command) > 0 {
		if d.Server.Code.IsZero() {
			d.Server.Code = s.Train.Code
		}
		if d.Server.Environment == (Environment{}) {
			d.Server.Environment = s.Train.Environment
		}
	}
	if d.Canary.Quality != nil {
		quality := *d.Canary.Quality
		quality.Metric = cmp.Or(quality.Metric, s.Data.Task.DefaultMetric())
		if s.Monitor != nil {
			quality.Maturity = cmp.Or(quality.Maturity, s.Monitor.Maturity)
		}
		d.Canary.Quality = &quality
	}
	for _, feature := range s.Data.Features {
		if s.Data.IsSensitive(feature) && !slices.Contains(d.Traffic.Log.Sensitive, feature) {
			d.Traffic.Log.Sensitive = append(slices.Clone(d.Traffic.Log.Sensitive), feature)
		}
	}
	return d.WithDefaults()
}

// WithDefaults returns s with its defaults filled in.
func (s ServerSpec) WithDefaults() ServerSpec {
	if len(s.Command) > 0 {
		s.Protocol = cmp.Or(s.Protocol, ProtocolV2)
		s.StartWithin = cmp.Or(s.StartWithin, Duration(5*time.Minute))
		s.Environment.Python = cmp.Or(s.Environment.Python, "python3")
		return s
	}
	s.StartWithin = cmp.Or(s.StartWithin, Duration(time.Minute))
	s.Threads = cmp.Or(s.Threads, 1)
	s.MaxBody = cmp.Or(s.MaxBody, 16<<20)
	if s.Batch.MaxRows > 0 {
		s.Batch.MaxDelay = cmp.Or(s.Batch.MaxDelay, Duration(time.Millisecond))
	}
	return s
}

// WithDefaults returns t with its defaults filled in.
func (t TrafficSpec) WithDefaults() TrafficSpec {
	t.Timeout = cmp.Or(t.Timeout, Duration(10*time.Second))
	t.Breaker.MaxPending = cmp.Or(t.Breaker.MaxPending, 1024)
	t.Breaker.Failures = cmp.Or(t.Breaker.Failures, 20)
	t.Breaker.OpenFor = cmp.Or(t.Breaker.OpenFor, Duration(5*time.Second))
	t.Eject.Failures = cmp.Or(t.Eject.Failures, 5)
	t.Eject.For = cmp.Or(t.Eject.For, Duration(time.Second))
	t.Log.Sample = cmp.Or(t.Log.Sample, 100)
	return t
}

// WithDefaults returns c with its defaults filled in.
func (c CanarySpec) WithDefaults() CanarySpec {
	if len(c.Steps) == 0 {
		c.Steps = []float64{10, 50}
	}
	if c.Shadow != nil {
		shadow := *c.Shadow
		shadow.Share = cmp.Or(shadow.Share, 100)
		shadow.Requests = cmp.Or(shadow.Requests, 1000)
		c.Shadow = &shadow
	}
	c.FalseAlarm = cmp.Or(c.FalseAlarm, 0.01)
	c.FalsePass = cmp.Or(c.FalsePass, 0.05)
	c.Evidence = cmp.Or(c.Evidence, EvidenceBlocks)
	c.Block = cmp.Or(c.Block, Duration(time.Minute))
	c.Tolerance = cmp.Or(c.Tolerance, 0.5)
	c.MaxErrorRate = cmp.Or(c.MaxErrorRate, 0.02)
	if c.Latency != nil {
		latency := *c.Latency
		latency.Tolerance = cmp.Or(latency.Tolerance, 0.5)
		latency.MaxRate = cmp.Or(latency.MaxRate, 0.01)
		latency.Quantile = cmp.Or(latency.Quantile, 0.99)
		c.Latency = &latency
	}
	if c.Quality != nil {
		quality := *c.Quality
		quality.Metric = cmp.Or(quality.Metric, LogLoss)
		quality.Block = cmp.Or(quality.Block, Duration(time.Hour))
		quality.Maturity = cmp.Or(quality.Maturity, Day)
		c.Quality = &quality
	}
	c.StepDeadline = cmp.Or(c.StepDeadline, Day+c.firstLabels())
	c.OnDeadline = cmp.Or(c.OnDeadline, PolicyRollBack)
	c.Poll = cmp.Or(c.Poll, Duration(time.Minute))
	return c
}

// firstLabels is how long the first labels take to count: a day's deadline would
// be over before labels that mature in a day are due.
func (c CanarySpec) firstLabels() Duration {
	if c.Quality == nil {
		return 0
	}
	return c.Quality.Block + c.Quality.Maturity
}
