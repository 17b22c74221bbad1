package models

import "time"

// RolloutInput is the input of the Rollout workflow; only a steward starts it.
type RolloutInput struct {
	Model     string       `json:"model"`
	Deploy    DeploySpec   `json:"deploy"`
	Candidate ModelVersion `json:"candidate"`
	Champion  string       `json:"champion,omitempty"` // version; empty: there is none
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
}

// CanaryStep is one weight and the evidence it gave.
type CanaryStep struct {
	Weight     float64       `json:"weight"` // 0 to 1
	Generation int64         `json:"generation"`
	StartedAt  time.Time     `json:"started_at"` // wall clock
	Champion   ArmCounts     `json:"champion"`
	Canary     ArmCounts     `json:"canary"`
	Verdict    CanaryVerdict `json:"verdict"`
	// History is the evidence at each look, thinned to at most 60 points.
	History []CanaryLook `json:"history"`
}

// CanaryLook is the evidence at one look.
type CanaryLook struct {
	Requests int64   `json:"requests"` // the canary's
	Harm     float64 `json:"harm"`     // e-value
	Safe     float64 `json:"safe"`     // e-value
}

// CanaryVerdict is the judge's answer on the evidence so far.
type CanaryVerdict struct {
	Verdict Verdict `json:"verdict"` // pass: safe; fail: harm; else inconclusive
	// Harm and Safe are e-values: evidence against "no worse than the champion"
	// and against "breaks the limits".
	Harm          float64 `json:"harm"`
	Safe          float64 `json:"safe"`
	HarmThreshold float64 `json:"harm_threshold"`
	SafeThreshold float64 `json:"safe_threshold"`
	Reason        string  `json:"reason"`
}

// RolloutResult is what a rollout returns. The canary's route is still in
// place: the steward publishes the final one, with the aliases.
type RolloutResult struct {
	Verdict    Verdict      `json:"verdict"`
	Reason     string       `json:"reason"`
	Generation int64        `json:"generation"` // of the last route published
	Steps      []CanaryStep `json:"steps"`
}

// RolloutStatus answers StatusQuery on a Rollout.
type RolloutStatus struct {
	RolloutState
	Version  string `json:"version"`
	Champion string `json:"champion,omitempty"`
	Waiting  string `json:"waiting"`
}
