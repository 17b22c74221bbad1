package models

import (
	"context"
	"time"
)

// RolloutInput is the input of the Rollout workflow; only a steward starts it.
type RolloutInput struct {
	Model     string       `json:"model"`
	Deploy    DeploySpec   `json:"deploy"`
	Candidate ModelVersion `json:"candidate"`
	Champion  string       `json:"champion,omitempty"` // version; empty: there is none
	// Traffic is that of the champion's spec, which the endpoint keeps until the
	// candidate owns it; nil: the candidate's.
	Traffic *TrafficSpec `json:"traffic,omitempty"`
	// Generation is that of the route in place; the rollout's routes follow it.
	Generation int64 `json:"generation"`
	// Prior is what an earlier run of the same rollout carried over.
	Prior *RolloutState `json:"prior,omitempty"`
}

// RolloutState survives continue-as-new.
type RolloutState struct {
	Generation int64        `json:"generation"`
	Step       int          `json:"step"` // index into Steps
	Steps      []CanaryStep `json:"steps"`
	Serving    bool         `json:"serving"` // the candidate's replicas are ready
	Judge      JudgeState   `json:"judge,omitzero"`
	// Orders are what people told this rollout, oldest first; of many, the newest.
	Orders []RolloutOrder `json:"orders,omitempty"`
	// Paused keeps the weight until a person resumes. Harm still rolls back, and
	// the step's deadline waits.
	Paused      bool      `json:"paused,omitempty"`
	PausedSince time.Time `json:"paused_since,omitzero"` // wall clock
	// Since is when the first route was published, by the wall clock.
	Since time.Time `json:"since,omitzero"`
	// LastRequest is the look that last found new requests of either arm in the
	// current step, by the wall clock; at first, the step's start.
	LastRequest time.Time `json:"last_request,omitzero"`
	// BlocksFrom and LossesFrom are where the next readings of blocks and of
	// losses begin.
	BlocksFrom time.Time `json:"blocks_from,omitzero"`
	LossesFrom time.Time `json:"losses_from,omitzero"`
	// LossesNext is when the labels are looked at next, LossesPause how long after
	// the last time.
	LossesNext  time.Time `json:"losses_next,omitzero"`
	LossesPause Duration  `json:"losses_pause,omitempty"`
	// Labels says what the next block of losses waits for.
	Labels string `json:"labels,omitempty"`
}

// CanaryStep is one weight and the evidence it gave.
type CanaryStep struct {
	Weight     float64   `json:"weight"`           // 0 to 1
	Shadow     float64   `json:"shadow,omitempty"` // above 0: a step of copies, without weight
	Generation int64     `json:"generation"`
	StartedAt  time.Time `json:"started_at"` // wall clock
	// Paused is how long people held the step; its deadline is as much later.
	Paused   Duration      `json:"paused,omitempty"`
	Champion ArmCounts     `json:"champion"`
	Canary   ArmCounts     `json:"canary"`
	Verdict  CanaryVerdict `json:"verdict"`
	// History is the evidence at each look, thinned to at most 24 points; the
	// last few steps before the current one share 16, those before have one.
	History []CanaryLook `json:"history"`
}

// CanaryLook is the evidence at one look.
type CanaryLook struct {
	Requests int64   `json:"requests"` // the canary's
	Harm     float64 `json:"harm"`     // e-value
	Safe     float64 `json:"safe"`     // e-value
	// Metrics has the evidence of each metric, in the order of the verdict's.
	Metrics []MetricLook `json:"metrics,omitempty"`
}

// MetricLook is the evidence of one metric at one look.
type MetricLook struct {
	Harm float64 `json:"harm"`
	Safe float64 `json:"safe"`
}

// CanaryVerdict is the judge's answer on the evidence so far.
type CanaryVerdict struct {
	Verdict Verdict `json:"verdict"` // pass: safe; fail: harm; else inconclusive
	// Harm and Safe are e-values: evidence against "no worse than the champion"
	// and against "breaks the limits". Of several metrics it is the harm that is
	// nearest to its threshold, and the safety that is furthest from it.
	Harm          float64         `json:"harm"`
	Safe          float64         `json:"safe"`
	HarmThreshold float64         `json:"harm_threshold"`
	SafeThreshold float64         `json:"safe_threshold"`
	Reason        string          `json:"reason"`
	Metrics       []MetricVerdict `json:"metrics,omitempty"`
}

// MetricVerdict is the judge's answer on one metric: fail when its harm is
// proven, pass when its safety is.
type MetricVerdict struct {
	Metric        CanaryMetric `json:"metric"`
	Verdict       Verdict      `json:"verdict"`
	Harm          float64      `json:"harm"`
	Safe          float64      `json:"safe"`
	HarmThreshold float64      `json:"harm_threshold"`
	SafeThreshold float64      `json:"safe_threshold"`
	// Champion and Canary are the estimates: a rate, or a mean loss.
	Champion float64 `json:"champion"`
	Canary   float64 `json:"canary"`
	Reason   string  `json:"reason"`
}

// CanaryMetric is what the judge judges.
type CanaryMetric string

// The metrics.
const (
	CanaryErrors  CanaryMetric = "errors"
	CanaryLatency CanaryMetric = "latency"
	CanaryQuality CanaryMetric = "quality"
)

// RolloutResult is what a rollout returns. The canary's route is still in
// place: the steward publishes the final one, with the aliases.
type RolloutResult struct {
	Verdict    Verdict      `json:"verdict"`
	Reason     string       `json:"reason"`
	Generation int64        `json:"generation"` // of the last route published
	Steps      []CanaryStep `json:"steps"`
	// Exposed is what the canary answered, of all requests of the rollout.
	Exposed Exposure `json:"exposed,omitzero"`
	// By is the person who decided instead of the judge; empty: the judge did.
	By     string         `json:"by,omitempty"`
	Orders []RolloutOrder `json:"orders,omitempty"`
	// RefusedBy is who said no; empty: it passed, or broke before it was judged.
	RefusedBy Refusal `json:"refused_by,omitempty"`
}

// Exposure is how much of the traffic met the canary.
type Exposure struct {
	Requests int64   `json:"requests"` // answered by the canary
	Errors   int64   `json:"errors"`   // of these, failed
	Total    int64   `json:"total"`    // answered by either
	Share    float64 `json:"share"`    // Requests of Total
}

// RolloutOrder is what a person tells a rollout, by UpdateRollout.
type RolloutOrder struct {
	Action RolloutAction `json:"action"`
	By     string        `json:"by"`
	Reason string        `json:"reason,omitempty"`
	At     time.Time     `json:"at,omitzero"` // set by the rollout
}

// RolloutAction is what a person may do to a rollout.
type RolloutAction string

// The actions.
const (
	RolloutPause   RolloutAction = "pause"
	RolloutResume  RolloutAction = "resume"
	RolloutAbort   RolloutAction = "abort"   // roll back now
	RolloutPromote RolloutAction = "promote" // release now, whatever the evidence
)

// CanaryBlock is what both arms did in one block of one step.
type CanaryBlock struct {
	Start    time.Time   `json:"start"`
	Champion BlockCounts `json:"champion"`
	Canary   BlockCounts `json:"canary"`
}

// BlockCounts are one arm's counts in a block.
type BlockCounts struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
	Slow     int64 `json:"slow"`
}

// LossBlock is what matured labels say about one block of event time and one
// route generation: only requests that were drawn with the same weights compare.
type LossBlock struct {
	Start      time.Time `json:"start"`
	Generation int64     `json:"generation,omitempty"`
	Champion   Moments   `json:"champion"` // losses of requests that it was drawn for
	Canary     Moments   `json:"canary"`
	Pairs      Moments   `json:"pairs"` // canary's minus champion's, on the same requests (shadow)
}

// Moments are sums over values.
type Moments struct {
	N          int64   `json:"n"`
	Sum        float64 `json:"sum"`
	SumSquares float64 `json:"sum_squares"`
}

// ReadLossesRequest asks for the mature blocks of one rollout.
type ReadLossesRequest struct {
	Endpoint    string      `json:"endpoint"`
	Champion    string      `json:"champion"`
	Canary      string      `json:"canary"`
	Generations []int64     `json:"generations"` // of the rollout, sorted
	Quality     QualitySpec `json:"quality"`
	Task        Task        `json:"task"`
	Classes     []string    `json:"classes,omitempty"`
	Prediction  string      `json:"prediction"` // output that holds it
	// After is where the last reading ended; zero: at the first request.
	After time.Time `json:"after,omitzero"`
	// Since is the wall clock at which the rollout's first route was published:
	// nothing older than that is read.
	Since time.Time `json:"since"`
}

// LossReading has mature blocks with labels of at least one arm, oldest first,
// at most a few hundred.
type LossReading struct {
	Blocks []LossBlock `json:"blocks"`
	Next   time.Time   `json:"next"` // what After has to be in the next request
	More   bool        `json:"more"`
	// Waiting says what the next block waits for, such as labels.
	Waiting string `json:"waiting,omitempty"`
}

// Losses reads what labels say about the arms of a rollout.
type Losses interface {
	// ReadLosses never returns a block twice for a growing After. A block is
	// mature when every gateway's watermark is past its end plus the maturity.
	ReadLosses(context.Context, ReadLossesRequest) (LossReading, error)
}

// RolloutStatus answers StatusQuery on a Rollout.
type RolloutStatus struct {
	RolloutState
	Version  string `json:"version"`
	Champion string `json:"champion,omitempty"`
	Waiting  string `json:"waiting"`
	Endpoint string `json:"endpoint,omitempty"`
	Model    string `json:"model,omitempty"`
	// Spec has its defaults filled in.
	Spec CanarySpec `json:"spec,omitzero"`
	// Deadline is when the current step's time is up; zero: no step has begun, or
	// the rollout is paused.
	Deadline time.Time `json:"deadline,omitzero"`
	Exposed  Exposure  `json:"exposed,omitzero"`
}
