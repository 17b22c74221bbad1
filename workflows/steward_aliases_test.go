package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func aliasOrder(action models.AliasAction) models.AliasOrder {
	return models.AliasOrder{Action: action, By: "ada", Reason: "agreed with grace"}
}

func (h *house) releaseThree(after time.Duration) {
	h.judging(models.RolloutResult{Verdict: models.VerdictPass, Reason: "safe", Generation: 3})
	h.at(after, models.SignalRollOut, models.RollOutRequest{RequestID: "lifecycle/m/3/roll-out", ReplyTo: "lifecycle/m/3", Version: "3"})
}

func TestAnAliasMovedByHandIsRecordedOnceAndGoesAgain(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("challenger", "1") }, time.Minute)
	look := order[models.AliasReport](h, 2*time.Minute, models.UpdateAliases, models.AliasOrder{Action: models.AliasLook})
	h.RegisterDelayedCallback(func() {
		require.Len(t, status[models.StewardStatus](t, h).Differences, 1)
		h.byHand("challenger", "3")
	}, 20*time.Minute)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.NoError(t, look.err)
	require.Equal(t, []models.AliasDifference{{Alias: "challenger", Recorded: "3", Found: "1", Seen: look.result.Differences[0].Seen}}, look.result.Differences)
	require.Equal(t, "1", look.result.Found["challenger"])
	s := status[models.StewardStatus](t, h)
	require.Equal(t, []models.Action{models.ActionAliasMoved}, actionsOf(s.Records), "once, not at each look")
	require.Empty(t, s.Differences)
	require.Empty(t, h.registry.moves)
}

func TestAPromotionWaitsWhileTheChampionIsMovedByHand(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("champion", "1") }, time.Second)
	h.releaseThree(2 * time.Second)
	h.at(time.Minute, models.SignalRegister, candidate("lifecycle/m/later"))
	h.RegisterDelayedCallback(func() {
		s := status[models.StewardStatus](t, h)
		require.Contains(t, s.Waiting, "the promotion of version 3 waits: alias champion is at version 1 in MLflow and at 2 in the record")
		require.Equal(t, "1", h.aliases["champion"], "nothing is overwritten")
		require.Empty(t, replies[models.RollOutReply](h, models.SignalRolledOut))
		require.Len(t, replies[models.RegisterReply](h, models.SignalRegistered), 1, "registrations pass")
	}, 30*time.Minute)
	restored := order[models.AliasReport](h, 31*time.Minute, models.UpdateAliases, aliasOrder(models.AliasRestore))
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.NoError(t, restored.err)
	require.True(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, "3", s.Champion)
	require.Equal(t, "2", s.Previous)
	require.Equal(t, "3", h.aliases["champion"])
	require.Empty(t, s.Waiting)
	require.Contains(t, actionsOf(s.Records), models.ActionAliasesRestored)
	require.NoError(t, models.VerifyRecords(s.Records, 0, ""))
}

func TestAnAdoptedChampionGetsTheTrafficAndBecomesPrevious(t *testing.T) {
	h := newHouse(t)
	h.servers("ready")
	h.RegisterDelayedCallback(func() { h.byHand("champion", "1") }, time.Second)
	h.releaseThree(2 * time.Second)
	adopted := order[models.AliasReport](h, time.Minute, models.UpdateAliases, aliasOrder(models.AliasAdopt))
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.NoError(t, adopted.err)
	require.Empty(t, adopted.result.Differences)
	require.Len(t, h.routes, 2)
	require.Equal(t, "1", h.routes[0].Arms[0].Version, "the adopted one first")
	require.Equal(t, "3", h.routes[1].Arms[0].Version, "then the one that waited")
	require.Equal(t, map[string]string{"champion": "3", "previous": "1"}, h.aliases)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, []models.Action{models.ActionRolloutStarted, models.ActionClaimed, models.ActionAliasMoved, models.ActionAliasesAdopted, models.ActionPromoted}, actionsOf(s.Records))
}

func TestAnUnknownChampionIsNotAdopted(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("champion", "17") }, time.Second)
	adopted := order[models.AliasReport](h, time.Minute, models.UpdateAliases, aliasOrder(models.AliasAdopt))
	nobody := order[models.AliasReport](h, time.Minute, models.UpdateAliases, models.AliasOrder{Action: models.AliasAdopt})
	odd := order[models.AliasReport](h, time.Minute, models.UpdateAliases, models.AliasOrder{Action: "swap"})
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.ErrorContains(t, adopted.err, "version 17 was not registered by this steward")
	require.ErrorContains(t, nobody.err, "--reason")
	require.ErrorContains(t, odd.err, `"swap"`)
	require.Equal(t, "17", h.aliases["champion"])
	require.Equal(t, "2", status[models.StewardStatus](t, h).Champion)
}

func TestAWithdrawnPromotionThatWaitsGivesItsTrafficBack(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("champion", "1") }, time.Second)
	h.releaseThree(2 * time.Second)
	h.at(time.Minute, models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/3", Reason: "the lifecycle was cancelled"})
	h.runSteward(h.holding(threeVersions()), time.Hour)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 1)
	require.False(t, released[0].Promoted)
	require.Equal(t, "2", h.route.Arms[0].Version)
	require.Equal(t, "1", h.aliases["champion"])
	require.NotContains(t, h.aliases, "challenger")
}

func TestAnAliasMovedByHandDoesNotStandInForAnApproval(t *testing.T) {
	h := newHouse(t)
	started := h.servers("ready")
	state := threeVersions()
	state.Versions[2].Spec.Evaluate.Approval = &models.ApprovalSpec{Approvers: []string{"grace"}}
	h.RegisterDelayedCallback(func() { h.byHand("champion", "3") }, time.Second)
	adopted := order[models.AliasReport](h, time.Minute, models.UpdateAliases, aliasOrder(models.AliasAdopt))
	h.runSteward(h.holding(state), time.Hour)
	require.ErrorContains(t, adopted.err, "asks for a person's approval")
	require.Empty(t, *started)
}

func TestAPromotionWithdrawnBeforeItHadToWaitIsTakenBack(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("champion", "1") }, time.Second)
	h.releaseThree(2 * time.Second)
	h.OnActivity("TagModelVersion", mock.Anything, mock.Anything).Return(func(context.Context, models.TagModelVersionRequest) error {
		h.SignalWorkflow(models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/3", Reason: "the lifecycle was cancelled"})
		return nil
	})
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.False(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted)
	require.Empty(t, status[models.StewardStatus](t, h).Queue)
	require.NotContains(t, h.aliases, "challenger")
}

func TestARollBackEndsAPromotionThatWaits(t *testing.T) {
	h := newHouse(t)
	h.servers("ready")
	h.RegisterDelayedCallback(func() { h.byHand("champion", "1") }, time.Second)
	h.releaseThree(2 * time.Second)
	back := order[models.RollBackResult](h, time.Minute, models.UpdateRollBack, models.RollBackOrder{To: "1", By: "ada", Reason: "complaints"})
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.NoError(t, back.err)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 1)
	require.Contains(t, released[0].Reason, "an operator rolls back to version 1")
	require.Equal(t, map[string]string{"champion": "1", "previous": "2"}, h.aliases)
	require.Equal(t, "1", h.route.Arms[0].Version)
}

func TestAPromotionThatWaitsSurvivesANewRun(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("champion", "1") }, time.Second)
	h.releaseThree(2 * time.Second)
	h.at(3*time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "lifecycle/m/1/roll-out", ReplyTo: "lifecycle/m/1", Version: "1"})
	h.suggestNewRun(time.Minute)
	h.ExecuteWorkflow(models.ModelStewardWorkflow, h.holding(threeVersions()))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.StewardState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Queue, 2)

	second := newHouse(t)
	second.aliases, second.registry.owner = h.aliases, h.registry.owner
	second.judging(models.RolloutResult{Verdict: models.VerdictInconclusive, Reason: "no traffic"})
	order[models.AliasReport](second, time.Minute, models.UpdateAliases, aliasOrder(models.AliasRestore))
	second.runSteward(carried, time.Hour)
	released := replies[models.RollOutReply](second, models.SignalRolledOut)
	require.Len(t, released, 2)
	require.Equal(t, "3", released[0].Version, "the promotion first")
	require.True(t, released[0].Promoted)
	require.Equal(t, models.VerdictInconclusive, released[1].Verdict)
	require.Equal(t, map[string]string{"champion": "3", "previous": "2"}, second.aliases)
	require.NoError(t, models.VerifyRecords(status[models.StewardStatus](t, second).Records, 0, ""))
}

func TestAVersionDeletedInMLflowIsNotPromoted(t *testing.T) {
	h := newHouse(t)
	h.OnWorkflow(models.RolloutWorkflow, mock.Anything, mock.Anything).Return(
		func(workflow.Context, models.RolloutInput) (models.RolloutResult, error) {
			h.deleteVersion("3")
			return models.RolloutResult{Verdict: models.VerdictPass, Reason: "safe"}, nil
		})
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "3"})
	h.runSteward(h.holding(threeVersions()), time.Minute)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 1)
	require.False(t, released[0].Promoted)
	require.Contains(t, released[0].Reason, "version 3 was deleted in MLflow before it was promoted")
	require.Equal(t, "2", h.route.Arms[0].Version)
	require.Equal(t, map[string]string{"champion": "2", "previous": "1"}, h.aliases)
}

func TestADeletedChampionDoesNotBlockAndNeverBecomesPrevious(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.deleteVersion("2") }, time.Second)
	h.releaseThree(10 * time.Minute)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.True(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted)
	require.Equal(t, map[string]string{"champion": "3", "previous": "1"}, h.aliases)
	s := status[models.StewardStatus](t, h)
	require.Contains(t, actionsOf(s.Records), models.ActionAliasMoved)
	require.Empty(t, s.Differences)
	require.Equal(t, "1", s.Previous)
}

func TestAChampionAndItsPredecessorDeletedLeaveNoPrevious(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() {
		h.deleteVersion("1") // noticed by no look before the promotion
		h.deleteVersion("2")
	}, time.Second)
	h.releaseThree(2 * time.Second)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.True(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted)
	require.Equal(t, map[string]string{"champion": "3"}, h.aliases)
	s := status[models.StewardStatus](t, h)
	require.Empty(t, s.Previous)
	told := ""
	for _, r := range s.Records {
		if r.Action == models.ActionAliasMoved {
			told += r.Reason + "\n"
		}
	}
	require.Contains(t, told, "alias champion is gone: version 2 was deleted in MLflow")
	require.NotContains(t, told, "at version 3", "the steward's own move, half done, is nobody else's")
}

func TestAPreviousMovedByHandStaysWhereItIs(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() { h.byHand("previous", "17") }, time.Second)
	h.releaseThree(2 * time.Second)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.True(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted, "only the champion's alias makes a promotion wait")
	require.Equal(t, map[string]string{"champion": "3", "previous": "17"}, h.aliases)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, "2", s.Previous)
	require.Len(t, s.Differences, 1)
	require.Equal(t, "2", s.Differences[0].Recorded)
}

func TestAStewardThatBeganAnewNeverOverwritesAChampionItDoesNotKnow(t *testing.T) {
	h := newHouse(t)
	h.aliases["champion"], h.registry.owner = "17", "model/m/run-before"
	h.registry.takes = true
	h.judging(models.RolloutResult{Verdict: models.VerdictPass, Reason: "first version on the endpoint", Generation: 3})
	h.at(time.Second, models.SignalRegister, candidate("lifecycle/m/a"))
	h.at(2*time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "lifecycle/m/a/roll-out", ReplyTo: "lifecycle/m/a", Version: "1"})
	h.RegisterDelayedCallback(func() {
		s := status[models.StewardStatus](t, h)
		require.Contains(t, s.Waiting, "alias champion is at version 17 in MLflow and at none in the record")
		require.Contains(t, s.Records[0].Reason, "taken over from model/m/run-before")
		require.Equal(t, "17", h.aliases["champion"])
		require.Empty(t, h.routes, "its traffic stays where it is")
	}, 30*time.Minute)
	order[models.AliasReport](h, 31*time.Minute, models.UpdateAliases, aliasOrder(models.AliasRestore))
	h.runSteward(models.StewardState{Model: "m"}, time.Hour)
	require.True(t, replies[models.RollOutReply](h, models.SignalRolledOut)[0].Promoted, "an operator let it pass")
	require.Equal(t, map[string]string{"champion": "1"}, h.aliases)
}

func TestARollBackDoesNotOverwriteAnAliasMovedByHand(t *testing.T) {
	h := newHouse(t)
	started := h.servers("ready")
	h.byHand("champion", "3")
	back := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, goBack)
	meant := order[models.RollBackResult](h, time.Minute, models.UpdateRollBack, models.RollBackOrder{To: "3", By: "ada", Reason: "it was me"})
	state := threeVersions()
	h.aliases["previous"], h.aliases["challenger"] = "1", "3"
	h.runSteward(state, time.Hour)
	require.ErrorContains(t, back.err, "alias champion is at version 3 in MLflow and at 2 in the record")
	require.NoError(t, meant.err, "the alias is where the order wants it")
	require.Len(t, *started, 1)
	require.Equal(t, map[string]string{"champion": "3", "previous": "2"}, h.aliases)
}

func TestARollBackToADeletedVersionStartsNoServers(t *testing.T) {
	h := newHouse(t)
	started := h.servers("ready")
	state := threeVersions()
	state.Versions = append(state.Versions, version("4"))
	h.deleteVersion("4")
	back := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, models.RollBackOrder{To: "4", By: "ada", Reason: "r"})
	h.runSteward(h.holding(state), time.Hour)
	require.ErrorContains(t, back.err, "version 4 was deleted in MLflow")
	require.Empty(t, *started)
}

func TestAMoveThatIsRefusedHalfWayIsTakenBack(t *testing.T) {
	h := newHouse(t)
	h.registry.after = func(alias, version string) { // the candidate is deleted the moment it is champion
		if alias == "champion" && version == "3" {
			h.registry.after = nil
			h.registry.deleted = append(h.registry.deleted, "3")
			delete(h.aliases, "champion")
			delete(h.aliases, "challenger")
			h.registry.refuse = fail(models.KindNotFound, "version 3 does not exist")
		}
	}
	h.releaseThree(time.Second)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 1)
	require.False(t, released[0].Promoted)
	require.Equal(t, map[string]string{"champion": "2", "previous": "1"}, h.aliases)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, "2", s.Champion)
	require.Empty(t, s.Differences)
}
