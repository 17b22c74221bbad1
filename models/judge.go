package models

// JudgeState is what the judge of a rollout remembers between two looks. Its
// zero value is that before the first step. It does not grow with the evidence
// (about 3 KiB of JSON), and only the judge reads its capitals.
type JudgeState struct {
	Steps  int     `json:"steps,omitempty"`  // begun so far
	Weight float64 `json:"weight,omitempty"` // of the step at hand
	Shadow bool    `json:"shadow,omitempty"` // the step at hand is one of copies
	// Champion and Canary are the totals of the step at hand: of its blocks, or
	// of all its requests when these are what is weighed.
	Champion BlockCounts `json:"champion,omitzero"`
	Canary   BlockCounts `json:"canary,omitzero"`
	Blocks   int64       `json:"blocks,omitempty"` // of the step at hand

	Errors  RateEvidence `json:"errors,omitzero"`
	Latency RateEvidence `json:"latency,omitzero"`
	Quality LossEvidence `json:"quality,omitzero"`
	// Slower is whether the canary's quantile of latency was proven higher.
	Slower bool `json:"slower,omitempty"`
}

// RateEvidence is the capital of each bet on a share of answers, as a logarithm.
type RateEvidence struct {
	Harm []float64 `json:"harm,omitempty"` // over all steps, the last one's start included
	Safe []float64 `json:"safe,omitempty"` // of the step at hand
}

// LossEvidence is the evidence on the loss, over all steps.
type LossEvidence struct {
	Harm   []float64 `json:"harm,omitempty"` // logarithms of the capitals
	Safe   []float64 `json:"safe,omitempty"`
	Blocks int64     `json:"blocks,omitempty"` // weighed so far
	// Scales are those of the differences between block means.
	Paired   LossScale `json:"paired,omitzero"`
	Unpaired LossScale `json:"unpaired,omitzero"`
	// Seen are the sums over all blocks, both arms weighed as the canary's labels,
	// for the estimates.
	Seen LossBlock `json:"seen,omitzero"`
	// Pending are blocks with too few labels to be weighed by themselves.
	Pending LossBlock `json:"pending,omitzero"`
}

// LossScale has the sums of squared scores of the blocks so far.
type LossScale struct {
	Blocks int64   `json:"blocks,omitempty"`
	Harm   float64 `json:"harm,omitempty"`
	Safe   float64 `json:"safe,omitempty"`
}
