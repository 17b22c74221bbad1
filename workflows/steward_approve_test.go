package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func question(version string, approvers ...string) models.ApprovalRequest {
	return models.ApprovalRequest{RequestID: "lifecycle/m/" + version + "/approve", ReplyTo: "lifecycle/m/" + version, Version: version,
		Spec: models.ApprovalSpec{Timeout: models.Duration(time.Hour), Approvers: approvers}}
}

func approve(version string) models.ApprovalDecision {
	return models.ApprovalDecision{Version: version, Approve: true, By: "ada", Reason: "the slices look right"}
}

func TestAPersonApproves(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("3", "ada", "grace"))
	h.at(2*time.Second, models.SignalRequestApproval, question("3", "ada", "grace")) // repeats itself
	stranger := order[models.Approval](h, 3*time.Second, models.UpdateDecide, models.ApprovalDecision{Approve: true, By: "mallory", Reason: "why not"})
	unsigned := order[models.Approval](h, 3*time.Second, models.UpdateDecide, models.ApprovalDecision{Approve: true, By: "ada"})
	h.RegisterDelayedCallback(func() {
		require.Contains(t, status[models.StewardStatus](t, h).Waiting, "version 3 waits for an approval by ada, grace until")
	}, 4*time.Second)
	yes := order[models.Approval](h, time.Minute, models.UpdateDecide, approve(""))
	twice := order[models.Approval](h, 2*time.Minute, models.UpdateDecide, approve("3"))
	h.at(3*time.Minute, models.SignalRequestApproval, question("3")) // repeats itself late
	h.runSteward(h.holding(threeVersions()), 2*time.Hour)

	require.ErrorContains(t, stranger.err, "not among the approvers")
	require.ErrorContains(t, unsigned.err, "--reason")
	require.NoError(t, yes.err)
	require.Equal(t, models.VerdictPass, yes.result.Verdict)
	require.ErrorContains(t, twice.err, "approved by ada")
	told := replies[models.ApprovalReply](h, models.SignalApproved)
	require.Len(t, told, 2)
	require.Equal(t, told[0].Approval, told[1].Approval)
	require.Equal(t, "the slices look right", told[0].Approval.Reason)
	require.Equal(t, "ada", h.registry.tags["3"]["mainspring.approval_by"])
	require.Equal(t, "3", h.aliases["challenger"])

	s := status[models.StewardStatus](t, h)
	require.Empty(t, s.Approvals)
	require.Empty(t, s.Waiting)
	require.Equal(t, []models.Action{models.ActionApprovalAsked, models.ActionApproved}, actionsOf(s.Records))
	require.Equal(t, "ada", s.Records[1].By)
}

func TestAPersonRejects(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("3"))
	no := order[models.Approval](h, time.Minute, models.UpdateDecide, models.ApprovalDecision{By: "ada", Reason: "too slow at night"})
	h.runSteward(h.holding(threeVersions()), 2*time.Hour)
	require.NoError(t, no.err)
	require.Equal(t, models.VerdictFail, replies[models.ApprovalReply](h, models.SignalApproved)[0].Approval.Verdict)
	require.Equal(t, map[string]string{"champion": "2", "previous": "1"}, h.aliases, "a rejected version is no challenger")
	s := status[models.StewardStatus](t, h)
	require.Equal(t, h.aliases, s.Records[len(s.Records)-1].Aliases, "a record says what the aliases are after each move")
}

func TestAQuestionThatNobodyAnswersIsInconclusive(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("3"))
	late := order[models.Approval](h, 61*time.Minute, models.UpdateDecide, approve("3"))
	h.runSteward(h.holding(threeVersions()), 2*time.Hour)
	told := replies[models.ApprovalReply](h, models.SignalApproved)
	require.Len(t, told, 1)
	require.Equal(t, models.VerdictInconclusive, told[0].Approval.Verdict)
	require.Contains(t, told[0].Approval.Reason, "nobody answered within 1h0m0s")
	require.ErrorContains(t, late.err, "nobody answered")
}

func TestSeveralQuestionsNeedTheVersion(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("1"))
	h.at(2*time.Second, models.SignalRequestApproval, question("3"))
	which := order[models.Approval](h, time.Minute, models.UpdateDecide, approve(""))
	h.at(2*time.Minute, models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/1", Reason: "the lifecycle was cancelled"})
	only := order[models.Approval](h, 3*time.Minute, models.UpdateDecide, approve(""))
	h.at(4*time.Minute, models.SignalRequestApproval, question("9"))
	h.runSteward(h.holding(threeVersions()), 2*time.Hour)
	require.ErrorContains(t, which.err, "versions 1, 3 wait")
	require.Equal(t, "3", only.result.Version)
	told := replies[models.ApprovalReply](h, models.SignalApproved)
	require.Len(t, told, 2, "who withdrew is not told")
	require.Equal(t, models.VerdictFail, told[1].Approval.Verdict)
	require.Contains(t, told[1].Approval.Reason, "not known here")
}

func TestAQuestionKeepsItsDeadlineInTheNextRun(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("3"))
	h.suggestNewRun(30 * time.Minute)
	h.ExecuteWorkflow(models.ModelStewardWorkflow, h.holding(threeVersions()))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.StewardState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Approvals, 1)

	second := newHouse(t)
	second.SetStartTime(carried.Approvals[0].Asked.Add(30 * time.Minute))
	second.runSteward(second.holding(carried), 29*time.Minute)
	require.Empty(t, replies[models.ApprovalReply](second, models.SignalApproved))
	third := newHouse(t)
	third.SetStartTime(carried.Approvals[0].Asked.Add(30 * time.Minute))
	third.runSteward(third.holding(carried), 31*time.Minute)
	require.Len(t, replies[models.ApprovalReply](third, models.SignalApproved), 1)
	require.NoError(t, models.VerifyRecords(status[models.StewardStatus](t, third).Records, 0, ""))
}

func TestAVersionThatNeedsAnApprovalGetsNoTrafficWithoutOne(t *testing.T) {
	h := newHouse(t)
	state := threeVersions()
	state.Versions[2].Spec.Evaluate.Approval = &models.ApprovalSpec{}
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "3"})
	h.runSteward(h.holding(state), time.Minute)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 1)
	require.Contains(t, released[0].Reason, "approval")
	require.Empty(t, h.routes)
}

func TestAnApprovalIsInForceWhileMLflowIsAway(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("3"))
	h.RegisterDelayedCallback(func() { h.registry.down = true }, 2*time.Second)
	yes := order[models.Approval](h, 3*time.Second, models.UpdateDecide, approve("3"))
	h.RegisterDelayedCallback(func() {
		require.True(t, yes.answered)
		require.Len(t, replies[models.ApprovalReply](h, models.SignalApproved), 1)
		h.registry.down = false
	}, 30*time.Second)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.Equal(t, "pass", h.registry.tags["3"]["mainspring.approval"])
}

func TestNobodyIsAskedForALifecycleThatWasTerminated(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalRequestApproval, question("3"))
	h.closed = []string{"lifecycle/m/3"}
	late := order[models.Approval](h, 20*time.Minute, models.UpdateDecide, approve("3"))
	h.runSteward(h.holding(threeVersions()), 30*time.Minute)
	require.ErrorContains(t, late.err, "waits for no approval", "an approval that releases nothing is refused")
}
