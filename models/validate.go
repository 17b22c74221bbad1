package models

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
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

func (d DataSpec) check(at section) {
	if at.required("source", d.Source, "s3://bucket/prefix/, file:///dir/ or a path relative to the spec") {
		if scheme, _, ok := strings.Cut(d.Source, "://"); ok {
			at.check(scheme == "s3" || scheme == "file", "source", "",
				"has the scheme %q; it must be s3://, file:// or a path relative to the spec", scheme)
		}
	}
	at.required("time", d.Time, "the column with the event time of a row")
	at.required("key", d.Key, "the column that identifies a row")
	at.required("label", d.Label, "the column with the outcome, see data.task")
	d.checkTask(at)
	d.checkRoles(at)
	d.checkFeatures(at)
	checkWindow(at, d.Window, d.Holdout)
	d.Checks.check(at.sub("checks"), d.columns())
}

// checkRoles wants a column of its own for each role; only the label's time
// may be the event time.
func (d DataSpec) checkRoles(at section) {
	if d.Time != "" && d.Key == d.Time {
		at.add("key", "", "is %q, the column of data.time; they must differ", d.Key)
	}
	if d.Label != "" && (d.Label == d.Time || d.Label == d.Key) {
		at.add("label", "", "is %q, which is data.time or data.key already", d.Label)
	}
	if d.LabelTime != "" && (d.LabelTime == d.Label || d.LabelTime == d.Key) {
		at.add("label_time", "", "is %q, which is data.label or data.key already", d.LabelTime)
	}
}

func (d DataSpec) checkFeatures(at section) {
	at.check(len(d.Features) > 0, "features", "name the columns the model sees", "is empty")
	seen := map[string]bool{}
	for i, feature := range d.Features {
		field := index("features", i)
		switch {
		case feature == "":
			at.add(field, "", "is an empty name")
		case seen[feature]:
			at.add(field, "", "%q is listed twice", feature)
		case feature == d.Label:
			at.add(field, "remove it", "%q is the label: the model would see the answer", feature)
		case feature == d.LabelTime && d.LabelTime != d.Time:
			at.add(field, "remove it", "%q is known only together with the label: the model would see the answer", feature)
		case feature == d.Key:
			at.add(field, "remove it", "%q is the key: it identifies a row and says nothing about it", feature)
		}
		seen[feature] = true
	}
}

// columns are the declared ones, in the order of the spec.
func (d DataSpec) columns() []string {
	var names []string
	for _, name := range append([]string{d.Time, d.Key, d.Label, d.LabelTime}, d.Features...) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func checkWindow(at section, window, holdout Duration) {
	at.positive("window", window)
	at.positive("holdout", holdout)
	if window > 0 && holdout > 0 {
		at.check(window > holdout, "window", "the rest of the window is what trains",
			"is %s and must be longer than the holdout (%s)", window, holdout)
	}
}

func (c DataChecks) check(at section, columns []string) {
	at.atLeast("min_rows", c.MinRows, 1)
	for _, column := range slices.Sorted(maps.Keys(c.MaxNullFraction)) {
		fraction, field := c.MaxNullFraction[column], "max_null_fraction."+column
		at.checkColumn(field, column, columns)
		at.check(fraction >= 0 && fraction <= 1, field, "", "is %v; it must be between 0 and 1", fraction)
	}
	for _, column := range slices.Sorted(maps.Keys(c.Range)) {
		limits, field := c.Range[column], "range."+column
		at.checkColumn(field, column, columns)
		checkBounds(at, field, limits.Min, limits.Max)
	}
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
