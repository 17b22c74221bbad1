package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func TestRegistrationSignsTagsAndRecords(t *testing.T) {
	h := newHouse(t)
	h.registry.signing = func() (models.SignModelResult, error) {
		return models.SignModelResult{Signature: &models.Signature{KeyID: "c0ffee00c0ffee00", Bundle: models.Ref{SHA256: "b00d"}}}, nil
	}
	request := candidate("lifecycle/m/a")
	request.Candidate.LifecycleRun, request.Candidate.Devices = "run-of-a", []string{"GPU-1", "GPU-2"}
	request.Candidate.Snapshot, request.Candidate.CodeSHA256, request.Candidate.SpecSHA256 = "5a4b", "c0de", "59ec"
	request.Candidate.Artifact.Manifest.SHA256 = "ab12"
	request.Candidate.Gate = models.GateVerdict{Verdict: models.VerdictPass, Reason: "better than the champion"}
	request.Candidate.Evidence = []models.EvidenceFile{{Name: "evaluation/evaluation.json", Ref: models.Ref{SHA256: "e7a1"}}}
	h.at(time.Second, models.SignalRegister, request)
	h.runSteward(models.StewardState{Model: "m"}, time.Minute)

	require.Len(t, h.registered, 1)
	made := h.registered[0]
	require.Equal(t, h.registry.owner, made.Owner)
	require.Equal(t, "run-of-a", made.LifecycleRun)
	require.Equal(t, map[string]string{
		"mainspring.lifecycle": "lifecycle/m/a", "mainspring.lifecycle_run": "run-of-a", "mainspring.snapshot_sha256": "5a4b",
		"mainspring.code_sha256": "c0de", "mainspring.spec_sha256": "59ec", "mainspring.model_sha256": "ab12",
		"mainspring.devices": "GPU-1,GPU-2", "mainspring.gate": "pass", "mainspring.gate_reason": "better than the champion",
		"mainspring.signing_key": "c0ffee00c0ffee00", "mainspring.owner": h.registry.owner,
	}, made.Tags)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, []models.Action{models.ActionClaimed, models.ActionRegistered}, actionsOf(s.Records))
	require.Equal(t, "better than the champion; signed with key c0ffee00c0ff", s.Records[1].Reason)
	require.Equal(t, models.RecordEvidence{Verdict: models.VerdictPass, RunID: request.Candidate.RunID, Snapshot: "5a4b", Model: "ab12", Code: "c0de",
		Spec: "59ec", Signature: "b00d", Evaluation: "e7a1"}, *s.Records[1].Evidence)
	require.Equal(t, map[string]string{"challenger": "1"}, s.Records[1].Aliases)
	require.NotNil(t, s.Versions[0].Signature)
}

func TestRegistrationEndsAsAnAnswerWhateverIsWrong(t *testing.T) {
	tests := map[string]struct {
		arrange func(*house)
		says    string
	}{
		"held by another": {func(h *house) { h.registry.owner = "other/model/m/run" }, "held by other/model/m/run"},
		"refused by MLflow": {func(h *house) {
			h.registry.createAs = func() (models.RegisteredVersion, error) {
				return models.RegisteredVersion{}, fail(models.KindInvalidSpec, "the source has 9000 characters")
			}
		}, "9000 characters"},
		"an answer without a version": {func(h *house) {
			h.registry.createAs = func() (models.RegisteredVersion, error) { return models.RegisteredVersion{}, nil }
		}, "names no version"},
		"tampered with": {func(h *house) {
			h.registry.signing = func() (models.SignModelResult, error) {
				return models.SignModelResult{}, fail(models.KindModelRejected, "model.onnx has another digest")
			}
		}, "another digest"},
		"deleted at once": {func(h *house) {
			h.registry.createAs = func() (models.RegisteredVersion, error) {
				h.registry.deleted = []string{"7"}
				return models.RegisteredVersion{Version: "7"}, nil
			}
		}, "version 7 does not exist"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			test.arrange(h)
			h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
			h.RegisterDelayedCallback(func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.registry = fakeRegistry{}
			}, time.Minute)
			h.at(2*time.Minute, models.SignalRegister, candidate("lifecycle/m/b"))
			h.runSteward(models.StewardState{Model: "m"}, 10*time.Minute)
			answers := replies[models.RegisterReply](h, models.SignalRegistered)
			require.Len(t, answers, 2)
			require.Contains(t, answers[0].Error, test.says)
			require.Empty(t, answers[0].Version)
			require.Empty(t, answers[1].Error, "the steward is not stuck")
			s := status[models.StewardStatus](t, h)
			require.Contains(t, actionsOf(s.Records), models.ActionRefused)
			require.NoError(t, models.VerifyRecords(s.Records, 0, ""))
		})
	}
}

// A candidate that is being registered is in the queue no more, and no version yet:
// whoever asks what is needed must hear of it.
func TestTheStewardNamesTheTaskThatItCarriesOut(t *testing.T) {
	h := newHouse(t)
	h.registry.signing = func() (models.SignModelResult, error) {
		return models.SignModelResult{}, fail(models.KindUnavailable, "the store does not answer")
	}
	request := candidate("lifecycle/m/a")
	request.Candidate.Snapshot = "5a4b"
	h.at(time.Second, models.SignalRegister, request)
	var meanwhile models.StewardStatus
	h.RegisterDelayedCallback(func() {
		meanwhile = status[models.StewardStatus](t, h)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.registry.signing = nil
	}, time.Minute)
	h.runSteward(models.StewardState{Model: "m"}, time.Hour)
	require.NotNil(t, meanwhile.Current)
	require.Equal(t, "5a4b", meanwhile.Current.Register.Candidate.Snapshot)
	require.Len(t, h.registered, 1)
	require.Nil(t, status[models.StewardStatus](t, h).Current)
}

func TestAnOperatorTakesAModelOver(t *testing.T) {
	h := newHouse(t)
	h.registry.owner = "other/model/m/run"
	over := order[models.AliasReport](h, time.Minute, models.UpdateAliases, aliasOrder(models.AliasTakeOver))
	h.at(2*time.Minute, models.SignalRegister, candidate("lifecycle/m/a"))
	h.runSteward(models.StewardState{Model: "m"}, 10*time.Minute)
	require.NoError(t, over.err)
	require.Empty(t, replies[models.RegisterReply](h, models.SignalRegistered)[0].Error)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, "ada", s.Records[0].By)
	require.Contains(t, s.Records[0].Reason, "taken over from other/model/m/run")
	require.Len(t, h.registry.claims, 1)
}

func TestAStewardThatLostItsModelSaysSoAndWritesNothing(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.RegisterDelayedCallback(func() { h.registry.owner = "other/model/m/run" }, time.Minute) // taken over
	h.at(2*time.Minute, models.SignalRegister, candidate("lifecycle/m/b"))
	h.runSteward(models.StewardState{Model: "m"}, 10*time.Minute)
	answers := replies[models.RegisterReply](h, models.SignalRegistered)
	require.Empty(t, answers[0].Error)
	require.Contains(t, answers[1].Error, "held by other/model/m/run")
	require.Len(t, h.registered, 1)
	require.Equal(t, map[string]string{"challenger": "1"}, h.aliases)
}

func TestAStewardThatLosesItsModelMidwayWritesNothingMore(t *testing.T) {
	h := newHouse(t)
	h.registry.after = func(alias, _ string) { // taken over between two aliases, one of which is moved as well
		if alias == "champion" {
			h.registry.after = nil
			h.registry.owner = "other/model/m/run"
			h.aliases["previous"] = "3"
			h.registry.refuse = fail(models.KindAliasMoved, "previous is at 3")
		}
	}
	h.releaseThree(time.Second)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.Contains(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Reason, "held by other/model/m/run")
	for _, move := range h.registry.moves {
		require.NotEmpty(t, move.Owner, "a move in nobody's name would go through")
	}
	require.Equal(t, "3", h.aliases["previous"], "what the new owner has is left alone")
}

func TestAClaimThatWasDeletedIsMadeAgainBeforeAliasesAreRestored(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.RegisterDelayedCallback(func() {
		h.registry.owner = ""
		h.byHand("challenger", "")
	}, time.Minute)
	restored := order[models.AliasReport](h, 2*time.Minute, models.UpdateAliases, aliasOrder(models.AliasRestore))
	h.runSteward(models.StewardState{Model: "m"}, 10*time.Minute)
	require.NoError(t, restored.err)
	require.Equal(t, map[string]string{"challenger": "1"}, h.aliases)
	require.Len(t, h.registry.claims, 2)
}

func TestTheModelIsCreatedWithItsDescription(t *testing.T) {
	h := newHouse(t)
	request := candidate("lifecycle/m/a")
	request.Spec.Model.Description = "Delays of departures"
	h.at(time.Second, models.SignalRegister, request)
	h.runSteward(models.StewardState{Model: "m"}, time.Minute)
	require.Equal(t, "Delays of departures", h.registry.claims[0].ModelNote)
}

func TestALifecycleIDUsedAgainGetsItsOwnAnswer(t *testing.T) {
	h := newHouse(t)
	h.judging(models.RolloutResult{Verdict: models.VerdictPass}, models.RolloutResult{Verdict: models.VerdictFail, Reason: "errors"})
	release := func(version string) models.RollOutRequest {
		return models.RollOutRequest{RequestID: "lifecycle/m/a/roll-out", ReplyTo: "lifecycle/m/a", Version: version}
	}
	again := candidate("lifecycle/m/a")
	again.Candidate.RunID = "another training"
	h.at(1*time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.at(2*time.Second, models.SignalRollOut, release("1"))
	h.at(3*time.Second, models.SignalRegister, again)
	h.at(4*time.Second, models.SignalRollOut, release("2"))
	h.runSteward(models.StewardState{Model: "m"}, time.Minute)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 2)
	require.True(t, released[0].Promoted)
	require.False(t, released[1].Promoted, "the answer to the run of before is not this one's")
}

func TestOpenLifecyclesKeepTheirVersionsInTheNextRun(t *testing.T) {
	h := newHouse(t)
	for i := range 12 {
		h.at(time.Second, models.SignalRegister, candidate(fmt.Sprintf("lifecycle/m/%d", i)))
	}
	h.at(2*time.Second, models.SignalLifecycleClosed, models.LifecycleClosed{LifecycleID: "lifecycle/m/1"})
	h.suggestNewRun(time.Minute)
	h.ExecuteWorkflow(models.ModelStewardWorkflow, models.StewardState{Model: "m"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.StewardState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Versions, 11, "all but the one that is closed and old")

	second := newHouse(t)
	second.aliases, second.registered, second.registry.owner = h.aliases, h.registered, h.registry.owner
	second.judging(models.RolloutResult{Verdict: models.VerdictPass})
	second.at(time.Second, models.SignalRegister, candidate("lifecycle/m/0")) // did not get its answer
	second.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "1"})
	second.runSteward(carried, time.Minute)
	require.Len(t, second.registered, 12)
	require.True(t, replies[models.RollOutReply](second, models.SignalRolledOut)[0].Promoted)
}

func TestAWithdrawnLifecyclesVersionIsNoChallenger(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.at(time.Minute, models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/a", Reason: "the lifecycle was cancelled"})
	h.runSteward(models.StewardState{Model: "m"}, time.Hour)
	require.Empty(t, h.aliases)
	s := status[models.StewardStatus](t, h)
	require.Empty(t, s.Challenger)
	require.True(t, s.Versions[0].Closed)
	require.NotNil(t, s.Records[len(s.Records)-1].Aliases, "none is left, which is something to record")
}

func TestALifecycleThatLeavesWhileItsVersionIsMadeLeavesNoChallenger(t *testing.T) {
	h := newHouse(t)
	h.registry.signing = func() (models.SignModelResult, error) {
		h.SignalWorkflow(models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/a", Reason: "the lifecycle was cancelled"})
		h.SignalWorkflow(models.SignalLifecycleClosed, models.LifecycleClosed{LifecycleID: "lifecycle/m/a"})
		return models.SignModelResult{}, nil
	}
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.runSteward(models.StewardState{Model: "m"}, time.Minute)
	require.Empty(t, h.aliases)
	require.True(t, status[models.StewardStatus](t, h).Versions[0].Closed)
}

func TestALifecycleThatFailedLeavesNoChallenger(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.at(time.Minute, models.SignalLifecycleClosed, models.LifecycleClosed{LifecycleID: "lifecycle/m/a", Error: "it failed"})
	h.runSteward(models.StewardState{Model: "m"}, time.Hour)
	require.Empty(t, h.aliases)
}

func TestARegistrationThatFailsSaysOfWhatKind(t *testing.T) {
	h := newHouse(t)
	h.registry.owner = "other/model/m/run"
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.runSteward(models.StewardState{Model: "m"}, time.Minute)
	require.Equal(t, models.KindNotOwner, replies[models.RegisterReply](h, models.SignalRegistered)[0].Kind)
}

func TestAStewardOfManyVersionsStaysSmall(t *testing.T) {
	h := newHouse(t)
	for i := range 60 {
		request := candidate(fmt.Sprintf("lifecycle/m/%d", i))
		request.Candidate.Summary.AllSlices = 7
		h.at(time.Second, models.SignalRegister, request)
		h.at(time.Minute, models.SignalLifecycleClosed, models.LifecycleClosed{LifecycleID: request.ReplyTo})
	}
	h.at(2*time.Minute, models.SignalRegister, candidate("lifecycle/m/last"))
	h.runSteward(models.StewardState{Model: "m"}, time.Hour)
	s := status[models.StewardStatus](t, h)
	require.LessOrEqual(t, len(s.Versions), 6, "without a new run")
	require.Equal(t, "61", s.Challenger)
	require.Zero(t, s.Versions[0].Candidate.Summary, "the version's page has it")
	require.Contains(t, h.registered[0].Description, "Gate")
}
