package rollouts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

// Outcome is what became of a scenario.
type Outcome struct {
	Scenario string          `json:"scenario"`
	Did      string          `json:"did"`
	Verdict  models.Verdict  `json:"verdict"`
	Reason   string          `json:"reason"`
	Promoted bool            `json:"promoted"`
	Seconds  float64         `json:"seconds"` // from the first route of the rollout to its end
	Exposed  models.Exposure `json:"exposed"`
	// Seen is the candidate's share of what callers were answered meanwhile.
	Seen    float64           `json:"seen_share"`
	Shares  []Share           `json:"shares"`
	Aliases map[string]string `json:"aliases"` // alias → champion, candidate or nothing
	Traffic traffic.Counts    `json:"traffic"`

	champion, candidate string
	result              models.RolloutResult
	lifecycle           models.LifecycleResult
	route               models.Route
	logged              Logged
	report              traffic.Report
	last                map[string]int // versions that answered after all was over
}

// Share is what one step gave the candidate, counted in the inference log.
type Share struct {
	Weight   float64 `json:"weight"`
	Shadow   float64 `json:"shadow,omitempty"`
	Requests int     `json:"requests"`
	Share    float64 `json:"share"`
	Most     float64 `json:"most"` // four standard errors above the weight
}

// settle is how long gateways usually need to follow the last route.
const settle = 3 * time.Second

// Run carries a scenario out. Its error says that there is no outcome; whether
// the outcome is the right one, Check says.
func (b *Bench) Run(ctx context.Context, s Scenario) (o Outcome, err error) {
	o = Outcome{Scenario: s.Name, Did: s.Did}
	endpoint := s.endpoint()
	champion := Release{Endpoint: endpoint, Key: "champion", Behaviour: s.Champion, Canary: s.Canary}
	candidate := Release{Endpoint: endpoint, Key: "candidate", Behaviour: s.Candidate, Canary: s.Canary}
	if o.champion, err = b.Promote(ctx, champion); err != nil {
		return o, err
	}
	var run *traffic.Run
	if s.Rate > 0 {
		run = b.Traffic(ctx, endpoint, func(c *traffic.Config) {
			if s.Labelled {
				c.EventTime, c.Labels = replayed(time.Now()), labels()
			}
		}, s.Rate)
		defer run.Stop()
	}
	if err := b.Submit(ctx, candidate); err != nil {
		return o, err
	}
	if o.lifecycle, err = b.Await(ctx, candidate); err != nil {
		return o, err
	}
	o.candidate, o.Promoted = o.lifecycle.Version, o.lifecycle.Promoted
	if o.candidate == "" {
		return o, fmt.Errorf("%s has no version: %s", candidate.ID(), o.lifecycle.Reason)
	}
	if err := b.look(ctx, endpoint, &o); err != nil {
		return o, err
	}
	if run != nil {
		err = b.count(ctx, endpoint, run, &o)
	}
	return o, err
}

// Running is a scenario under way.
type Running struct {
	ended   chan struct{}
	outcome Outcome
	err     error
}

// Begin carries a scenario out while the caller does something else.
func (b *Bench) Begin(ctx context.Context, s Scenario) *Running {
	r := &Running{ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.outcome, r.err = b.Run(ctx, s)
	}()
	return r
}

// Outcome waits for it.
func (r *Running) Outcome() (Outcome, error) {
	<-r.ended
	return r.outcome, r.err
}

// look reads what the engine says of it.
func (b *Bench) look(ctx context.Context, endpoint string, o *Outcome) error {
	err := b.Laptop.Temporal.GetWorkflow(ctx, models.RolloutID(endpoint, o.candidate), "").Get(ctx, &o.result)
	if err != nil {
		return fmt.Errorf("the rollout has no result: %w", err)
	}
	o.Verdict, o.Reason, o.Exposed = o.result.Verdict, o.result.Reason, o.result.Exposed
	if len(o.result.Steps) > 0 {
		o.Seconds = math.Round(10*time.Since(o.result.Steps[0].StartedAt).Seconds()) / 10
	}
	text, _, err := artifact.GetBytes(ctx, b.Store, models.RouteKey(endpoint), 1<<20)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &o.route); err != nil {
		return err
	}
	model, err := b.Laptop.MLflow.GetRegisteredModel(ctx, endpoint)
	if err != nil {
		return err
	}
	o.Aliases = map[string]string{}
	for alias, version := range model.Aliases {
		o.Aliases[alias] = o.name(version)
	}
	return nil
}

func (o *Outcome) name(version string) string {
	switch version {
	case o.champion:
		return "champion"
	case o.candidate:
		return "candidate"
	default:
		return "version " + version
	}
}

// count reads what callers and the log say of it.
func (b *Bench) count(ctx context.Context, endpoint string, run *traffic.Run, o *Outcome) error {
	over := time.Now()
	last, err := awaitOne(ctx, run)
	o.report = run.Stop()
	if err != nil {
		return err
	}
	o.last = map[string]int{}
	for version, n := range last {
		o.last[o.name(version)] = n
	}
	o.Traffic = o.report.Counts()
	began := over
	if len(o.result.Steps) > 0 {
		began = o.result.Steps[0].StartedAt
	}
	seen, all := 0, 0
	for _, r := range o.report.Requests {
		if r.Version != "" && r.Sent.After(began) && r.Sent.Before(over) {
			all++
			if r.Version == o.candidate {
				seen++
			}
		}
	}
	o.Seen = float64(seen) / max(1, float64(all))
	if o.logged, err = b.AwaitLog(ctx, endpoint, o.report); err != nil {
		return err
	}
	for _, step := range o.result.Steps {
		o.Shares = append(o.Shares, o.logged.share(step, o.candidate))
	}
	return nil
}

// awaitOne waits until the traffic of now is answered by one version, and counts
// what each has answered of it.
func awaitOne(ctx context.Context, run *traffic.Run) (answered map[string]int, err error) {
	const enough = 50 // requests
	for asked := time.Now(); time.Since(asked) < laptop.Patience; {
		from := time.Now().Add(settle)
		answered = map[string]int{}
		err = laptop.Eventually(laptop.Patience, func() (bool, any) {
			clear(answered)
			n := 0
			for _, r := range run.Report().Requests {
				if r.Sent.After(from) {
					answered[r.Version]++
					n++
				}
			}
			return ctx.Err() != nil || n >= enough, answered
		})
		if err = errors.Join(err, ctx.Err()); err != nil || len(answered) == 1 {
			break
		}
	}
	return answered, err
}

// AwaitLog reads the inference log once every answered request is in it, or
// when it has stopped growing without.
func (b *Bench) AwaitLog(ctx context.Context, endpoint string, report traffic.Report) (logged Logged, err error) {
	const still = 30 * time.Second
	answered := 0
	for _, r := range report.Requests {
		if r.Answered() {
			answered++
		}
	}
	grew, rows := time.Now(), -1
	late := laptop.Eventually(laptop.Patience, func() (bool, any) {
		logged, err = b.ReadLog(ctx, endpoint)
		if len(logged.Rows) != rows {
			grew, rows = time.Now(), len(logged.Rows)
		}
		return ctx.Err() != nil || err == nil && (len(logged.ByID) >= answered || time.Since(grew) > still), []any{rows, err}
	})
	return logged, errors.Join(err, late)
}

// Check returns what is not as the scenario wants it.
func (o Outcome) Check(s Scenario) error {
	broken := o.checkEngine(s)
	if s.Rate > 0 {
		broken = errors.Join(broken, o.checkTraffic(s))
	}
	return broken
}

// winner is who serves in the end.
func (s Scenario) winner() string {
	if s.Want == models.VerdictPass {
		return "candidate"
	}
	return "champion"
}

// complaints are about one scenario.
type complaints struct {
	scenario string
	all      []error
}

func (c *complaints) unless(ok bool, format string, arguments ...any) {
	if !ok {
		c.all = append(c.all, fmt.Errorf(c.scenario+": "+format, arguments...))
	}
}

// checkEngine is about the verdict and what the engine made of it.
func (o Outcome) checkEngine(s Scenario) error {
	c, winner := complaints{scenario: s.Name}, s.winner()
	c.unless(o.Verdict == s.Want, "the verdict is %s (%s), not %s", o.Verdict, o.Reason, s.Want)
	c.unless(o.Promoted == (s.Want == models.VerdictPass), "promoted: %t", o.Promoted)
	c.unless(s.Metric == "" || o.decidedBy(s.Metric), "%s did not decide: %+v", s.Metric, o.metrics())
	for _, words := range s.Says {
		c.unless(contains(o.Reason, words), "the reason does not say %q: %s", words, o.Reason)
	}
	c.unless(o.Aliases[models.AliasChampion] == winner, "the alias champion names %q", o.Aliases[models.AliasChampion])
	c.unless(o.Aliases[models.AliasChallenger] == "", "the alias challenger still names %q", o.Aliases[models.AliasChallenger])
	whole := len(o.route.Arms) == 1 && o.route.Arms[0].Weight == 1 && o.name(o.route.Arms[0].Version) == winner
	c.unless(whole, "the route is not all the %s's: %+v", winner, o.route.Arms)
	return errors.Join(c.all...)
}

// checkTraffic is about what callers and the log saw.
func (o Outcome) checkTraffic(s Scenario) error {
	c, winner, counts := complaints{scenario: s.Name}, s.winner(), o.Traffic
	c.unless(counts.Lost == 0 && counts.Unsent == 0 && counts.Refused == 0, "requests are missing: %s", counts)
	c.unless(s.Candidate.ErrorRate > 0 || counts.Failed == 0, "requests failed that nobody was told to fail: %s", counts)
	c.unless(len(o.last) == 1 && o.last[winner] > 0, "after the end %v answer, not only the %s", o.last, winner)
	for _, share := range o.Shares {
		c.unless(share.Share <= share.Most, "a step of weight %v gave the candidate %.4f of %d requests, more than %.4f",
			share.Weight, share.Share, share.Requests, share.Most)
		c.unless(share.Requests > 0, "a step of weight %v has no requests in the log", share.Weight)
	}
	c.unless(len(o.Shares) > 0, "there was no step")
	return errors.Join(append(c.all, o.logged.Check(o.report))...)
}

func (o Outcome) metrics() []models.MetricVerdict {
	if len(o.result.Steps) == 0 {
		return nil
	}
	return o.result.Steps[len(o.result.Steps)-1].Verdict.Metrics
}

func (o Outcome) decidedBy(metric models.CanaryMetric) bool {
	for _, m := range o.metrics() {
		if m.Metric == metric {
			return m.Verdict == models.VerdictFail
		}
	}
	return false
}
