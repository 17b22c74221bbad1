package rollouts

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/faulty"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

// Scenario is one kind of candidate.
type Scenario struct {
	Name string
	Did  string // what the candidate does, for people
	// Champion and Candidate differ in the fault only.
	Champion, Candidate faulty.Behaviour
	Canary              models.CanarySpec
	Rate                float64 // requests per second; 0: none
	Labelled            bool    // labels come later, in replayed event time
	Want                models.Verdict
	Metric              models.CanaryMetric // that must decide; empty: any
	Says                []string            // in the reason
	// Seed tells repetitions apart: others have other failures, latencies and
	// labels. 0: none.
	Seed int
}

// endpoint is the scenario's own.
func (s Scenario) endpoint() string {
	name := "canary-" + s.Name
	if s.Seed > 0 {
		name += fmt.Sprintf("-%d", s.Seed)
	}
	return name
}

// steps of all scenarios, in percent.
var steps = []float64{20, 50}

// quick is a canary whose blocks last seconds, so that a proof needs a minute.
func quick() models.CanarySpec {
	return models.CanarySpec{
		Steps: steps, Block: models.Duration(time.Second), Poll: models.Duration(time.Second),
		StepDeadline: models.Duration(4 * time.Minute),
	}
}

func with(change func(*models.CanarySpec)) models.CanarySpec {
	spec := quick()
	change(&spec)
	return spec
}

// Replayed event time runs a minute a second, so that labels mature while one
// looks on.
const (
	replaySpeed   = 60
	labelsAfter   = 2 * time.Second // wall clock
	matureAfter   = 5 * time.Minute // event time: 5 s
	qualityBlock  = time.Minute     // event time: 1 s
	replayedSince = "2024-04-01T00:00:00Z"
)

// replayed is the event time of a moment.
func replayed(began time.Time) func(time.Time) time.Time {
	origin, _ := time.Parse(time.RFC3339, replayedSince) // the constant is valid
	return func(at time.Time) time.Time { return origin.Add(replaySpeed * at.Sub(began)) }
}

// labels of all requests come a little later.
func labels() *traffic.Labels { return &traffic.Labels{Of: faulty.Label, After: labelsAfter} }

// Scenarios are all of them.
func Scenarios() []Scenario {
	const rate = 80
	sound := faulty.Behaviour{LatencyMS: 10, JitterMS: 10}
	// Long enough for a busy machine to be no matter.
	leisurely := faulty.Behaviour{LatencyMS: 40, JitterMS: 40}
	of := func(change func(*faulty.Behaviour)) faulty.Behaviour {
		b := sound
		change(&b)
		return b
	}
	quality := &models.QualitySpec{Metric: models.LogLoss, Tolerance: 0.2, Block: models.Duration(qualityBlock), Maturity: models.Duration(matureAfter)}
	return []Scenario{
		{
			Name: "fails", Did: "fails 2 % of the requests", Champion: sound, Rate: rate, Canary: quick(),
			Candidate: of(func(b *faulty.Behaviour) { b.ErrorRate = 0.02 }),
			Want:      models.VerdictFail, Metric: models.CanaryErrors,
		},
		{
			Name: "slow", Did: "is 30 % slower", Champion: leisurely, Rate: rate,
			Canary: with(func(c *models.CanarySpec) {
				// The champion's answers take 40 to 80 ms, the candidate's 52 to 104.
				c.Latency = &models.LatencySpec{SLO: models.Duration(85 * time.Millisecond)}
			}),
			Candidate: faulty.Behaviour{LatencyMS: 40, JitterMS: 40, Slower: 1.3},
			Want:      models.VerdictFail, Metric: models.CanaryLatency,
		},
		{
			Name: "biased", Did: "is worse on labels that come later", Champion: sound, Rate: rate, Labelled: true,
			Canary:    with(func(c *models.CanarySpec) { c.Quality = quality }),
			Candidate: of(func(b *faulty.Behaviour) { b.Bias = 1 }),
			Want:      models.VerdictFail, Metric: models.CanaryQuality,
		},
		{
			Name: "shadowed", Did: "is worse on labels that come later, and answers nobody before they do", Champion: sound, Rate: rate, Labelled: true,
			Canary: with(func(c *models.CanarySpec) {
				c.Quality, c.Shadow = quality, &models.ShadowSpec{Requests: 6000} // for 75 s, or until harm
			}),
			Candidate: of(func(b *faulty.Behaviour) { b.Bias = 1 }),
			Want:      models.VerdictFail, Metric: models.CanaryQuality,
		},
		{
			Name: "fine", Did: "is as good as the champion", Champion: sound, Candidate: sound, Rate: rate, Canary: quick(),
			Want: models.VerdictPass,
		},
		{
			Name: "idle", Did: "gets no traffic", Champion: sound, Candidate: sound,
			Canary: with(func(c *models.CanarySpec) { c.StepDeadline = models.Duration(15 * time.Second) }),
			Want:   models.VerdictInconclusive, Says: []string{"not enough evidence", "none sent yet"},
		},
	}
}

// Sound is the scenario with its fault switched off: what it must not find.
func (s Scenario) Sound() Scenario {
	s.Name, s.Candidate, s.Want, s.Metric, s.Says = s.Name+"-off", s.Champion, models.VerdictPass, "", nil
	return s
}
