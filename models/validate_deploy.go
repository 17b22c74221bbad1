package models

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

func (d DeploySpec) check(at section) {
	at.name("endpoint", d.Endpoint)
	at.atLeast("replicas", int64(d.Replicas), 1)
	d.Resources.check(at.sub("resources"))
	at.check(d.Resources.Nodes <= 1, "resources.nodes", "set replicas for more servers",
		"is %d; one replica runs on one host", d.Resources.Nodes)
	at.check(d.Resources.GPUs == 0, "resources.gpus", "write gpus_per_node", "is %d; it may span hosts, and one replica runs on one host", d.Resources.GPUs)
	d.Server.check(at.sub("server"))
	d.Traffic.check(at.sub("traffic"))
	d.Canary.check(at.sub("canary"))
}

// checkServed wants the gate to judge the runtime that will answer.
func (s LifecycleSpec) checkServed(root section) {
	runtime, command := s.Evaluate.Predict.Runtime, len(s.Deploy.Server.Command) > 0
	if !command && (runtime == RuntimePyfunc || runtime == RuntimeCommand) {
		root.add("evaluate.predict.runtime", "use onnx, name a server in deploy.server.command, or drop deploy",
			"is %s, and deploy serves with onnx: the gate would judge another runtime than the one that answers", runtime)
	}
	if q := s.Deploy.Canary.Quality; q != nil && s.Data.Task.known() {
		at := root.sub("deploy.canary.quality")
		oneOf(at, "metric", q.Metric, s.Data.Task.losses()...)
	}
}

// losses are the metrics that are a mean over single predictions.
func (t Task) losses() []Metric {
	switch t {
	case TaskMulticlass:
		return []Metric{LogLoss}
	case TaskRegression:
		return []Metric{MAE, RMSE}
	default:
		return []Metric{LogLoss, Brier}
	}
}

func (s ServerSpec) check(at section) {
	at.positive("start_within", s.StartWithin)
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		at.sub("env").checkVariable(name, s.Env[name])
	}
	if len(s.Command) == 0 {
		const hint = "name a command, or drop the field"
		at.check(s.Protocol == "", "protocol", hint, "is %q, and there is no command", s.Protocol)
		at.check(s.Model == "", "model", hint, "is %q, and there is no command", s.Model)
		at.check(s.Code.IsZero(), "code", hint, "is set, and there is no command")
		at.check(s.Environment == Environment{}, "environment", hint, "is set, and there is no command")
		at.atLeast("threads", int64(s.Threads), 1)
		at.atLeast("batch.max_rows", int64(s.Batch.MaxRows), 0)
		at.check(s.Batch.MaxRows <= 4096, "batch.max_rows", "", "is %d; the largest batch is 4096", s.Batch.MaxRows)
		at.check(s.Batch.MaxDelay >= 0 && s.Batch.MaxDelay.Std() <= time.Second, "batch.max_delay", "a request waits so long for others",
			"is %s; it must be between 0 and 1s", s.Batch.MaxDelay)
		at.atLeast("max_body", int64(s.MaxBody), 1)
		return
	}
	const builtIn = "drop it: it is a setting of the built-in server"
	at.check(s.Threads == 0, "threads", builtIn, "is %d, and a command serves", s.Threads)
	at.check(s.Batch == BatchSpec{}, "batch", builtIn, "is set, and a command serves")
	at.check(s.MaxBody == 0, "max_body", builtIn, "is set, and a command serves")
	oneOf(at, "protocol", s.Protocol, ProtocolV2, ProtocolMLflow)
	at.check(s.Protocol != ProtocolMLflow || s.Model == "", "model", "drop it", "is %q, and MLflow's server has one model, without a name", s.Model)
	checkPlaceholders(at, s.Command)
	at.checkCommand(s.Command, "[python, server.py, --port, '{port}']")
	at.sub("code").checkSource(s.Code)
	at.sub("environment.requirements").checkSource(s.Environment.Requirements)
}

func (s ServerSpec) checkResolved(at section) {
	at.sub("code").checkSourceResolved(s.Code)
	at.sub("environment.requirements").checkSourceResolved(s.Environment.Requirements)
}

// placeholders of a server's command.
var placeholders = []string{"{model_dir}", "{host}", "{port}", "{grpc_port}", "{endpoint}", "{version}"}

func checkPlaceholders(at section, command []string) {
	for i, argument := range command {
		for _, found := range regexp.MustCompile(`\{[a-z_]+\}`).FindAllString(argument, -1) {
			at.check(slices.Contains(placeholders, found), index("command", i), fmt.Sprintf("use one of %v", placeholders), "has %s, which is nothing that is known here", found)
		}
	}
}

func (t TrafficSpec) check(at section) {
	set := 0
	for _, key := range []string{t.Sticky.Header, t.Sticky.Cookie, t.Sticky.Input} {
		if key != "" {
			set++
		}
	}
	at.check(set <= 1, "sticky", "keep one of header, cookie and input", "names %d keys", set)
	at.positive("timeout", t.Timeout)
	at.atLeast("breaker.max_pending", int64(t.Breaker.MaxPending), 1)
	at.atLeast("breaker.failures", int64(t.Breaker.Failures), 1)
	at.positive("breaker.open_for", t.Breaker.OpenFor)
	at.atLeast("eject.failures", int64(t.Eject.Failures), 1)
	at.positive("eject.for", t.Eject.For)
	at.percent("log.sample", t.Log.Sample)
	for i, name := range t.Log.Sensitive {
		at.check(name != "", index("log.sensitive", i), "", "is empty")
	}
}

func (s section) percent(field string, v float64) {
	s.check(v > 0 && v <= 100, field, "", "is %v; it must be above 0 and at most 100 percent", v)
}

func (c CanarySpec) check(at section) {
	previous := 0.0
	for i, step := range c.Steps {
		field := index("steps", i)
		switch {
		case !(step > 0 && step < 100):
			at.add(field, "the promotion itself is the step to 100", "is %v; a step is above 0 and below 100 percent", step)
		case step <= previous:
			at.add(field, "", "is %v after %v; steps must rise", step, previous)
		}
		previous = max(previous, step)
	}
	if c.Shadow != nil {
		at.percent("shadow.share", c.Shadow.Share)
		at.atLeast("shadow.requests", c.Shadow.Requests, 1)
	}
	at.fraction("false_rollback", c.FalseAlarm)
	at.fraction("false_promotion", c.FalsePass)
	oneOf(at, "evidence", c.Evidence, EvidenceBlocks, EvidenceRequests)
	at.check(c.Block.Std() >= time.Second, "block", "1m suits most endpoints", "is %s; it must be at least 1s", c.Block)
	at.check(c.Tolerance > 0, "tolerance", "0.5 calls a rise by half a regression", "is %v; it must be above 0", c.Tolerance)
	at.fraction("max_error_rate", c.MaxErrorRate)
	c.Latency.check(at.sub("latency"))
	c.Quality.check(at.sub("quality"))
	at.positive("step_deadline", c.StepDeadline)
	oneOf(at, "on_deadline", c.OnDeadline, PolicyRollBack, PolicyHold)
	at.positive("poll", c.Poll)
}

func (l *LatencySpec) check(at section) {
	if l == nil {
		return
	}
	at.positive("slo", l.SLO)
	at.check(l.Tolerance > 0, "tolerance", "0.5 calls a rise by half a regression", "is %v; it must be above 0", l.Tolerance)
	at.fraction("max_rate", l.MaxRate)
	at.fraction("quantile", l.Quantile)
}

func (q *QualitySpec) check(at section) {
	if q == nil {
		return
	}
	at.check(q.Tolerance > 0, "tolerance", "write the rise of the loss that matters, such as 0.02", "is %v; it must be above 0", q.Tolerance)
	at.positive("block", q.Block)
	at.positive("maturity", q.Maturity)
}
