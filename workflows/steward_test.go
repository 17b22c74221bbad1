package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// judging replaces the Rollout child by its result.
func (h *house) judging(results ...models.RolloutResult) {
	for _, r := range results {
		h.OnWorkflow(models.RolloutWorkflow, mock.Anything, mock.Anything).Return(r, nil).Once()
	}
}

func candidate(lifecycle string) models.RegisterRequest {
	v := version("x")
	v.Candidate.Lifecycle = lifecycle
	return models.RegisterRequest{RequestID: lifecycle + "/register", ReplyTo: lifecycle, Spec: v.Spec, Candidate: v.Candidate}
}

func (h *house) runSteward(state models.StewardState, lasts time.Duration) {
	h.RegisterDelayedCallback(h.CancelWorkflow, lasts)
	h.ExecuteWorkflow(models.ModelStewardWorkflow, state)
}

// suggestNewRun is what a server does when a history grows long, and something
// that makes the steward look.
func (h *house) suggestNewRun(after time.Duration) {
	h.RegisterDelayedCallback(func() { h.SetContinueAsNewSuggested(true) }, after)
	h.at(after+time.Second, models.SignalLifecycleClosed, models.LifecycleClosed{LifecycleID: "somebody else's"})
}

func replies[T any](h *house, signal string) (found []T) {
	for _, s := range h.sent(signal) {
		var m T
		decode(s.Arg, &m)
		found = append(found, m)
	}
	return found
}

func TestStewardRegistersOnceAndPromotes(t *testing.T) {
	h := newHouse(t)
	h.route = models.Route{Generation: 3}
	h.judging(models.RolloutResult{Verdict: models.VerdictPass, Reason: "safe", Generation: 3})
	request := candidate("lifecycle/m/a")
	h.at(1*time.Second, models.SignalRegister, request)
	h.at(2*time.Second, models.SignalRegister, request) // repeats itself
	release := models.RollOutRequest{RequestID: "lifecycle/m/a/roll-out", ReplyTo: "lifecycle/m/a", Version: "1"}
	h.at(3*time.Second, models.SignalRollOut, release)
	h.at(60*time.Second, models.SignalRollOut, release)
	h.runSteward(models.StewardState{Model: "m"}, 2*time.Minute)

	require.Len(t, h.registered, 1)
	answers := replies[models.RegisterReply](h, models.SignalRegistered)
	require.Len(t, answers, 2)
	require.Equal(t, answers[0], answers[1])
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 2, "a repeated request gets the same answer, without a second rollout")
	require.True(t, released[0].Promoted)

	s := status[models.StewardStatus](t, h)
	require.Equal(t, "1", s.Champion)
	require.Equal(t, "1", h.aliases[models.AliasChampion])
	require.Empty(t, h.aliases[models.AliasChallenger])
	require.Equal(t, int64(4), h.route.Generation)
	require.Equal(t, []models.Arm{{Version: "1", Role: models.RoleChampion, Weight: 1}}, h.route.Arms)
	require.Equal(t, "1", h.monitor[0].Watch.Version)
	requireChained(t, s.Records)
}

func requireChained(t *testing.T, records []models.Record) {
	t.Helper()
	previous := ""
	for i, r := range records {
		require.Equal(t, previous, r.Previous, "record %d", i)
		require.NotEmpty(t, r.Hash)
		previous = r.Hash
	}
}

func TestStewardRollsBackToTheChampion(t *testing.T) {
	h := newHouse(t)
	h.route = models.Route{Generation: 6}
	h.judging(models.RolloutResult{Verdict: models.VerdictFail, Reason: "errors", Generation: 6, RefusedBy: models.RefusedByCanary})
	state := models.StewardState{Model: "m", Champion: "1", Challenger: "2", Versions: []models.ModelVersion{version("1"), version("2")}}
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "2"})
	h.runSteward(h.holding(state), time.Minute)

	require.Equal(t, "1", status[models.StewardStatus](t, h).Champion)
	require.Equal(t, models.RefusedByCanary, replies[models.RollOutReply](h, models.SignalRolledOut)[0].RefusedBy)
	require.Equal(t, "1", h.route.Arms[0].Version)
	require.Equal(t, int64(7), h.route.Generation)
	require.Equal(t, "1", h.aliases[models.AliasChampion])
	stops := h.sent(models.SignalStop)
	require.Len(t, stops, 1)
	require.Equal(t, models.ServeID("flights", "2"), stops[0].To)
	require.Empty(t, h.monitor)
}

func TestStewardTreatsInconclusiveAsNo(t *testing.T) {
	h := newHouse(t)
	h.judging(models.RolloutResult{Verdict: models.VerdictInconclusive, Reason: "no traffic"})
	state := models.StewardState{Model: "m", Champion: "1", Versions: []models.ModelVersion{version("1"), version("2")}}
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "2"})
	h.runSteward(h.holding(state), time.Minute)
	require.Equal(t, "1", status[models.StewardStatus](t, h).Champion)
	require.False(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted)
}

func TestStewardContinuesAsNewAndKnowsItsVersions(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.suggestNewRun(time.Minute)
	state := models.StewardState{Model: "m", Champion: "1", Versions: []models.ModelVersion{version("1")}}
	for _, v := range []string{"2", "3", "4", "5", "6"} {
		state.Versions = append(state.Versions, version(v))
	}
	h.ExecuteWorkflow(models.ModelStewardWorkflow, h.holding(state))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.StewardState
	decodePayloads(t, next, &carried)
	require.Equal(t, "1", carried.Versions[0].Version, "the champion is carried however old it is")
	require.LessOrEqual(t, len(carried.Versions), 6)

	second := newHouse(t)
	second.route = models.Route{Generation: 9}
	second.judging(models.RolloutResult{Verdict: models.VerdictFail, Reason: "errors"})
	second.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "1"})
	second.runSteward(second.holding(carried), time.Minute)
	require.Len(t, replies[models.RollOutReply](second, models.SignalRolledOut), 1)
}
