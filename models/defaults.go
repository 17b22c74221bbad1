package models

import (
	"cmp"
	"slices"
	"time"
)

// Defaults of the spec. A zero field means its default; where zero itself is
// meant (no restarts), the field is a pointer.
//
// WithDefaults never changes its receiver and is idempotent. Two fields stay
// empty on purpose: DataSpec.AsOf, which only a running lifecycle knows, and
// DataSpec.LabelTime, whose absence means that a label is known at the row's
// event time.

// SetDefaults fills every default of s in place.
func (s *LifecycleSpec) SetDefaults() { *s = s.WithDefaults() }

// WithDefaults returns s with every default filled in.
func (s LifecycleSpec) WithDefaults() LifecycleSpec {
	s.Data = s.Data.WithDefaults()
	s.Train = s.Train.WithDefaults()
	s.Evaluate = s.Evaluate.WithDefaultsFor(s.Data.Task)
	if s.Deploy != nil {
		deploy := s.Deploy.withDefaultsFor(s)
		s.Deploy = &deploy
	}
	if s.Monitor != nil {
		monitor := s.Monitor.WithDefaults()
		monitor.Retrain.Window = cmp.Or(monitor.Retrain.Window, s.Data.Window)
		monitor.Retrain.Holdout = cmp.Or(monitor.Retrain.Holdout, s.Data.Holdout)
		least := min(monitor.Retrain.Window, 3*monitor.Retrain.Holdout)
		if s.Data.Split.By == SplitByHash {
			least = monitor.Retrain.Window / 4 // there is no holdout to measure by
		}
		monitor.Retrain.MinWindow = cmp.Or(monitor.Retrain.MinWindow, least)
		if len(monitor.Slices) == 0 {
			monitor.Slices = slices.Clone(s.Evaluate.Slices)
		}
		s.Monitor = &monitor
	}
	return s
}

// WithDefaults returns t with its defaults filled in.
func (t TrainSpec) WithDefaults() TrainSpec {
	t.Environment.Python = cmp.Or(t.Environment.Python, "python3")
	t.Resources = t.Resources.WithDefaults()
	t.Timeout = cmp.Or(t.Timeout, Day)
	t.Grace = cmp.Or(t.Grace, Duration(30*time.Second))
	t.HangTimeout = cmp.Or(t.HangTimeout, Duration(30*time.Minute))
	t.Checkpoints.Last = cmp.Or(t.Checkpoints.Last, 3)
	if t.MaxRestarts == nil {
		restarts := 10
		t.MaxRestarts = &restarts
	}
	return t
}

// WithDefaults returns r with its defaults filled in: one whole device on one
// host. A shape that was written as a total or as UUIDs stays one.
func (r Resources) WithDefaults() Resources {
	r.Pool = cmp.Or(r.Pool, DefaultPool)
	switch {
	case len(r.UUIDs) > 0:
		// The devices say how many and where.
	case r.GPUs > 0:
		r.Placement = cmp.Or(r.Placement, PlacementPack)
	default:
		r.Nodes = cmp.Or(r.Nodes, 1)
		r.MinNodes = cmp.Or(r.MinNodes, r.Nodes)
		r.GPUsPerNode = cmp.Or(r.GPUsPerNode, 1)
	}
	r.GPUMilli = cmp.Or(r.GPUMilli, WholeGPU)
	r.Tenant = cmp.Or(r.Tenant, DefaultTenant)
	r.MinRuntime = cmp.Or(r.MinRuntime, Duration(10*time.Minute))
	return r
}

// WithDefaults returns e with the defaults of task binary filled in.
func (e EvaluateSpec) WithDefaults() EvaluateSpec { return e.WithDefaultsFor(TaskBinary) }

// WithDefaultsFor returns e with the defaults of a task filled in.
func (e EvaluateSpec) WithDefaultsFor(task Task) EvaluateSpec {
	e.Prediction = cmp.Or(e.Prediction, task.defaultPrediction())
	e.Predict = e.Predict.WithDefaults()
	e.Threshold = cmp.Or(e.Threshold, 0.5)
	e.Quantile = cmp.Or(e.Quantile, 0.5)
	e.Limits = limitsAt(e.Limits, AtValue)
	e.Champion = e.Champion.withDefaultsFor(task)
	e.Slices = slices.Clone(e.Slices)
	for i := range e.Slices {
		e.Slices[i] = e.Slices[i].WithDefaults()
	}
	e.SliceLimits = limitsAt(e.SliceLimits, AtInterval)
	if e.Approval != nil {
		approval := *e.Approval
		approval.Timeout = cmp.Or(approval.Timeout, 3*Day)
		e.Approval = &approval
	}
	return e
}

func (t Task) defaultPrediction() string {
	if t == TaskRegression {
		return "prediction"
	}
	return "probability"
}

func limitsAt(limits []MetricLimit, at LimitAt) []MetricLimit {
	limits = slices.Clone(limits)
	for i := range limits {
		limits[i].At = cmp.Or(limits[i].At, at)
	}
	return limits
}

// WithDefaults returns p with its defaults filled in.
func (p PredictSpec) WithDefaults() PredictSpec {
	p.Runtime = cmp.Or(p.Runtime, RuntimeONNX)
	p.Timeout = cmp.Or(p.Timeout, Duration(time.Hour))
	if p.Resources != nil {
		resources := p.Resources.WithDefaults()
		p.Resources = &resources
	}
	return p
}

// WithDefaults returns s with its defaults filled in.
func (s SliceSpec) WithDefaults() SliceSpec {
	s.MinRows = cmp.Or(s.MinRows, 200)
	s.Max = cmp.Or(s.Max, 20)
	return s
}

// WithDefaults returns g with the defaults of task binary filled in.
func (g ChampionGate) WithDefaults() ChampionGate { return g.withDefaultsFor(TaskBinary) }

func (g ChampionGate) withDefaultsFor(task Task) ChampionGate {
	g.Metric = cmp.Or(g.Metric, task.DefaultMetric())
	g.Level = cmp.Or(g.Level, 0.1)
	g.Block = cmp.Or(g.Block, Day)
	g.Resamples = cmp.Or(g.Resamples, 2000)
	return g
}
