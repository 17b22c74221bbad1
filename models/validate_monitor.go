package models

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	// shortestBlock keeps a monitor from looking more often than logs are written.
	shortestBlock = Duration(time.Minute)
	// shortestSchedule is far below what any training takes.
	shortestSchedule = Duration(time.Minute)
	// mostRuns and mostFailures are below what a steward remembers.
	mostRuns, mostFailures = 200, 100
)

func (m MonitorSpec) check(at section) {
	switch {
	case m.BlockRows != 0 && m.Block != 0:
		at.add("block_rows", "keep one of them", "is given beside block")
	case m.BlockRows != 0:
		at.atLeast("block_rows", m.BlockRows, 2)
		at.check(m.BlockRows < 0 || m.BlockRows >= int64(m.MinLabels), "block_rows", "make blocks larger, or min_labels smaller",
			"is %d; with min_labels %d no block could ever be judged", m.BlockRows, m.MinLabels)
	case m.Block > 0 && m.Block < shortestBlock:
		at.add("block", "", "is %s; it must be at least %s", m.Block, shortestBlock)
	default:
		at.positive("block", m.Block)
	}
	at.positive("maturity", m.Maturity)
	if m.Corrections != nil {
		at.check(*m.Corrections >= 0, "corrections", "", "is %s; it must be 0s or more", *m.Corrections)
		if m.Block >= shortestBlock {
			open := int64(*m.Corrections / m.Block)
			at.check(open <= MostOpenBlocks, "corrections", "shorten it, or make blocks longer",
				"is %s; %d blocks of %s would wait for it at a time, and %d may", *m.Corrections, open, m.Block, MostOpenBlocks)
		}
	}
	at.atLeast("min_labels", int64(m.MinLabels), 1)
	at.check(m.FalseAlarmsPerYear > 0, "false_alarms_per_year", "", "is %v; it must be above 0", m.FalseAlarmsPerYear)
	m.checkDetectors(at)
	at.atLeast("reference_blocks", int64(m.ReferenceBlocks), 2)
	at.positive("poll", m.Poll)
	inputs := at.sub("inputs")
	inputs.check(m.Inputs.Bins >= 4 && m.Inputs.Bins <= 64, "bins", "", "is %d; it must be from 4 to 64", m.Inputs.Bins)
	inputs.check(m.Inputs.Level > 0 && m.Inputs.Level < 1, "level", "", "is %v; it must be between 0 and 1", m.Inputs.Level)
	m.Retrain.check(at.sub("retrain"))
	for i, n := range m.Notify {
		n.check(at.sub(index("notify", i)))
	}
}

func (m MonitorSpec) checkDetectors(at section) {
	seen := map[string]bool{}
	for i, d := range m.Detectors {
		item := at.sub(index("detectors", i))
		oneOf(item, "kind", d.Kind, DetectorConformal, DetectorLevel, DetectorEstimated)
		oneOf(item, "season", d.Season, SeasonNone, SeasonDayOfWeek, SeasonHourOfWeek)
		item.check(d.Share > 0, "share", "", "is %v; it must be above 0", d.Share)
		item.check(d.Season == SeasonNone || d.Kind != DetectorLevel, "season", "drop it, or use kind conformal", "is for ranks; a level has no seasons")
		item.check(d.Season != SeasonHourOfWeek || m.Block == 0 || m.Block < Day, "season", "use day_of_week, or shorter blocks",
			"is hour_of_week, and a block of %s has no hour", m.Block)
		item.check(d.Season != SeasonDayOfWeek || m.Block == 0 || m.Block <= Day, "season", "drop it, or use shorter blocks",
			"is day_of_week, and a block of %s has no day", m.Block)
		item.check(d.Level == nil || d.Kind == DetectorLevel, "level", "drop it, or use kind level", "is given for kind %s", d.Kind)
		item.check(d.Level == nil || *d.Level > 0, "level", "", "must be above 0")
		item.check((d.Column == "") == (d.Slice == ""), "slice", "name both column and slice", "needs a column, and a column a slice")
		item.check(d.Column == "" || d.Kind != DetectorEstimated, "column", "use kind conformal or level", "can't be watched by kind estimated")
		name := DetectorName(d) + " " + string(d.Season)
		item.check(!seen[name], "", "give one of them a larger share", "is listed twice")
		seen[name] = true
	}
}

func (r RetrainSpec) check(at section) {
	// Unset here means that the monitor is judged without its lifecycle.
	if r.Window != 0 && r.Holdout != 0 {
		checkWindow(at, r.Window, r.Holdout)
	}
	oneOf(at, "from", r.From, RetrainFromWindow, RetrainFromChange)
	if r.From == RetrainFromChange && r.MinWindow != 0 && r.Window != 0 {
		at.check(r.MinWindow > r.Holdout, "min_window", "", "is %s; it must be longer than the holdout (%s)", r.MinWindow, r.Holdout)
		at.check(r.MinWindow <= r.Window, "min_window", "", "is %s; it must not be longer than the window (%s)", r.MinWindow, r.Window)
	}
	at.positive("cooldown", r.Cooldown)
	at.check(r.MaxFailures >= 1 && r.MaxFailures <= mostFailures, "max_failures", "", "is %d; it must be from 1 to %d", r.MaxFailures, mostFailures)
	if r.Budget != nil {
		r.Budget.check(at.sub("budget"))
	}
	if r.Schedule != nil {
		r.Schedule.check(at.sub("schedule"))
	}
	if a := r.Arrival; a != nil {
		arrival := at.sub("arrival")
		arrival.positive("poll", a.Poll)
		arrival.atLeast("partitions", int64(a.Partitions), 1)
		arrival.check(a.Quiet >= 0, "quiet", "", "is %s; it must be 0s or more", a.Quiet)
	}
}

func (b RetrainBudget) check(at section) {
	at.positive("per", b.Per)
	at.check(b.Runs >= 0 && b.Runs <= mostRuns, "runs", "", "is %d; it must be from 0 to %d", b.Runs, mostRuns)
	at.check(b.GPUHours >= 0, "gpu_hours", "", "is %v; it must be 0 or more", b.GPUHours)
	at.check(b.Runs != 0 || b.GPUHours != 0, "", "give runs, gpu_hours or both", "limits nothing")
}

func (s ScheduleSpec) check(at section) {
	at.check((s.Cron == "") != (s.Every == 0), "", "give either cron or every", "says when in no way or in two")
	if s.Cron != "" {
		problem := cronProblem(s.Cron)
		at.check(problem == "", "cron", "in UTC, such as '0 4 * * 1' for Mondays at four", "%s", problem)
	}
	at.check(s.Every == 0 || s.Every >= shortestSchedule, "every", "", "is %s; it must be at least %s", s.Every, shortestSchedule)
	at.positive("catch_up", s.CatchUp)
}

func (n NotifySpec) check(at section) {
	at.checkReceiver(n.URL)
	oneOf(at, "format", n.Format, NotifyJSON, NotifySlack)
	for i, kind := range n.On {
		oneOf(at, index("on", i), kind, NoticeKinds()...)
		at.check(!slices.Contains(n.On[:i], kind), index("on", i), "", "%q is listed twice", kind)
	}
}

// checkReceiver never writes the address: it may be the secret.
func (s section) checkReceiver(address string) {
	const hint = "write https://…, or env:NAME or file:PATH of a secret on the worker"
	if !s.required("url", address, "https://…, env:NAME or file:PATH") {
		return
	}
	if name, ok := strings.CutPrefix(address, SecretFromEnv); ok {
		s.check(variablePattern.MatchString(name), "url", hint, "refers to %q, which is no name of an environment variable", name)
		return
	}
	if file, ok := strings.CutPrefix(address, SecretFromFile); ok {
		s.check(path.IsAbs(file), "url", hint, "refers to %q; the path on the worker must be absolute", file)
		return
	}
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" {
		s.add("url", hint, "is neither an address nor a reference")
		return
	}
	secret := at.User != nil || at.Hostname() == "hooks.slack.com"
	s.check(!secret, "url", "write env:NAME or file:PATH", "is a secret, and the spec is kept in histories and logs")
}

// checkRetrainHoldout wants none where a hash splits: the same values are held
// out of the newer rows. One that equals the data's is judged there.
func (d DataSpec) checkRetrainHoldout(at section, holdout Duration) {
	at.check(d.Split.By != SplitByHash || holdout == d.Holdout, "retrain.holdout", "drop it", "is given, but data.split.by is hash")
}

// checkWatched holds a monitor against the rest of its spec.
func (s LifecycleSpec) checkWatched(at section) {
	if !slices.Equal(s.Monitor.Slices, s.Evaluate.Slices) { // else they are judged there
		EvaluateSpec{Slices: s.Monitor.Slices}.checkSlices(at, s.Data.Task)
		s.Data.checkSlices(at, s.Monitor.Slices)
	}
	s.Data.checkRetrainHoldout(at, s.Monitor.Retrain.Holdout)
	// One that equals the data's is judged there.
	if block, holdout := s.Evaluate.Champion.Block, s.Monitor.Retrain.Holdout; block > 0 && holdout > 0 && holdout != s.Data.Holdout {
		at.check(holdout >= 2*block, "retrain.holdout", "make it longer or the block shorter",
			"is %s; it must hold at least two blocks of evaluate.champion.block (%s)", holdout, block)
	}
	for i, feature := range s.Monitor.Inputs.Features {
		at.checkColumn(index("inputs.features", i), feature, s.Data.Features)
	}
	for i, d := range s.Monitor.Detectors {
		if d.Column != "" {
			at.check(slices.ContainsFunc(s.Monitor.Slices, func(p SliceSpec) bool { return p.Column == d.Column }),
				index("detectors", i)+".column", "add it to monitor.slices", "%q is no column of monitor.slices", d.Column)
		}
		at.check(d.Kind != DetectorEstimated || s.Data.Task != TaskRegression, index("detectors", i)+".kind", "use conformal or level",
			"is estimated, and a regression's predictions say nothing about their error")
	}
}
