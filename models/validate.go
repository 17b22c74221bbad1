package models

import (
	"encoding/json"
	"slices"
)

// maxSpecBytes keeps a spec well below the 32 KiB that a payload may have: it
// travels inside other messages.
const maxSpecBytes = 16 << 10

// Validate returns all problems of s at once, as Problems, or nil. It looks at
// nothing but s, and judges it with its defaults filled in. Local paths are
// fine here; a workflow's input must pass ValidateResolved.
func (s LifecycleSpec) Validate() error {
	return s.problems().err()
}

// ValidateResolved is Validate for the input of a workflow, where every local
// path has been replaced by something other hosts can fetch.
func (s LifecycleSpec) ValidateResolved() error {
	problems := s.problems()
	at := section{problems: &problems}
	s.Data.checkResolved(at.sub("data"))
	s.Train.checkResolved(at.sub("train"))
	if s.Deploy != nil {
		s.Deploy.Server.checkResolved(at.sub("deploy.server"))
	}
	return problems.err()
}

// Validate reports the problems of a DataSpec used alone.
func (d DataSpec) Validate() error {
	at := sectionAt("data")
	d.WithDefaults().check(at)
	return at.problems.err()
}

// Validate reports the problems of a TrainSpec used alone.
func (t TrainSpec) Validate() error {
	at := sectionAt("train")
	t.WithDefaults().check(at)
	return at.problems.err()
}

// Validate reports the problems of an EvaluateSpec used alone, as one of task
// binary whose columns are not known.
func (e EvaluateSpec) Validate() error {
	at := sectionAt("evaluate")
	e.WithDefaults().check(at, TaskBinary)
	return at.problems.err()
}

// Validate reports the problems of a DeploySpec used alone.
func (d DeploySpec) Validate() error {
	at := sectionAt("deploy")
	d.WithDefaults().check(at)
	return at.problems.err()
}

// Validate reports the problems of a MonitorSpec used alone.
func (m MonitorSpec) Validate() error {
	at := sectionAt("monitor")
	m.WithDefaults().check(at)
	return at.problems.err()
}

func (s LifecycleSpec) problems() Problems {
	s = s.WithDefaults()
	root := sectionAt("")
	root.sub("model").name("name", s.Model.Name)
	s.Data.check(root.sub("data"))
	s.Train.check(root.sub("train"))
	if s.Data.Task.known() {
		s.Evaluate.check(root.sub("evaluate"), s.Data.Task)
		s.Data.checkSlices(root.sub("evaluate"), s.Evaluate.Slices)
	}
	if s.Deploy != nil {
		s.Deploy.check(root.sub("deploy"))
		s.checkServed(root)
	}
	if s.Monitor != nil {
		root.check(s.Deploy != nil, "monitor", "add a deploy section or drop monitor",
			"nothing to watch: the spec has no deploy section")
		s.Monitor.check(root.sub("monitor"))
		s.checkWatched(root.sub("monitor"))
	}
	if s.Trigger != nil {
		oneOf(root.sub("trigger"), "kind", s.Trigger.Kind, TriggerManual, TriggerAlarm, TriggerSchedule, TriggerArrival)
	}
	s.checkBlocks(root)
	s.checkSize(root)
	return *root.problems
}

// checkBlocks wants at least two held-out blocks: one cannot be resampled, and
// the gate would be inconclusive after the whole training.
func (s LifecycleSpec) checkBlocks(at section) {
	block, holdout := s.Evaluate.Champion.Block, s.Data.Holdout
	if block > 0 && holdout > 0 {
		at.check(holdout >= 2*block, "data.holdout", "make it longer or the block shorter",
			"is %s; it must hold at least two blocks of evaluate.champion.block (%s)", holdout, block)
	}
}

func (s LifecycleSpec) checkSize(at section) {
	text, err := json.Marshal(s)
	if err != nil {
		at.add("train.params", "numbers, strings, booleans, lists and maps only", "cannot be written as JSON: %v", err)
		return
	}
	at.check(len(text) <= maxSpecBytes, "", "move large parameters to a file in train.code",
		"the spec has %d bytes as JSON; at most %d fit", len(text), maxSpecBytes)
}

func (s section) checkColumn(field, column string, columns []string) {
	s.check(slices.Contains(columns, column), field, "", "%q is no column of this spec; it has %s", column, quoted(columns))
}

func checkBounds(at section, field string, low, high *float64) {
	switch {
	case low == nil && high == nil:
		at.add(field, "", "says nothing: give min, max or both")
	case low != nil && high != nil && *low > *high:
		at.add(field, "", "has min %v above max %v", *low, *high)
	}
}
