// Package workflows is the engine: one file per workflow type of package
// models. A workflow is an exported function, a private struct and steps named
// by what they do. It decides with the pure cores (placement, canary, drift,
// gate) and acts through activities, named by interface method expression (see
// call.go) with options chosen by name (see options.go).
//
// Who talks to whom:
//
//	Lifecycle ── children ──▶ PrepareData, Train, Evaluate
//	Lifecycle ── register, request-approval, roll-out ──▶ ModelSteward ── child ──▶ Rollout ── child ──▶ Serve
//	Train, Serve ── request-lease, release-lease ──▶ GPUPool ◀── node-up, node-down ── Node
//	Monitor ── retrain ──▶ ModelSteward ── child ──▶ Lifecycle
//	ModelSteward ── watch, retrain-settled ──▶ Monitor
//	Schedule ── starts ──▶ Retrain ── retrain ──▶ ModelSteward ── retrain-settled ──▶ Retrain
//
// Requests carry an ID and are answered by signal; receivers drop what they
// have seen, so every sender may repeat itself.
package workflows
