package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// given is what became of an update.
type given[T any] struct {
	result   T
	err      error // refused by the validator, or failed
	answered bool
}

// order sends an update to the workflow under test.
func order[T any](h *house, after time.Duration, update string, argument any) *given[T] {
	g := &given[T]{}
	h.RegisterDelayedCallback(func() {
		h.UpdateWorkflow(update, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(err error) { g.err, g.answered = err, true },
			OnComplete: func(result any, err error) {
				g.err, g.answered = err, true
				if err == nil {
					g.result = result.(T)
				}
			},
		}, argument)
	}, after)
	return g
}

// servers plays Serve workflows whose servers answer soon, or fail for a
// reason, or do nothing at all.
func (h *house) servers(fate string) (started *[]models.ServeInput) {
	started = &[]models.ServeInput{}
	h.OnWorkflow(models.ServeWorkflow, mock.Anything, mock.Anything).Return(
		func(_ workflow.Context, input models.ServeInput) error {
			*started = append(*started, input)
			switch fate {
			case "ready":
				h.reply(input.Notify, models.SignalServeReady, models.ServeReady{Version: input.Version})
			case "silent":
			default:
				h.reply(input.Notify, models.SignalServeFailed, models.ServeFailed{Version: input.Version, Reason: fate})
			}
			return nil
		})
	return started
}

// threeVersions: 2 is champion, 1 was, 3 is challenger.
func threeVersions() models.StewardState {
	return models.StewardState{Model: "m", Champion: "2", Previous: "1", Challenger: "3",
		Versions: []models.ModelVersion{version("1"), version("2"), version("3")}}
}

var goBack = models.RollBackOrder{RequestID: "back-1", By: "ada", Reason: "complaints since noon"}

func actionsOf(records []models.Record) (all []models.Action) {
	for _, r := range records {
		all = append(all, r.Action)
	}
	return all
}

func TestOperatorRollsBackToThePrevious(t *testing.T) {
	h := newHouse(t)
	h.route = models.Route{Generation: 4}
	started := h.servers("ready")
	done := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, goBack)
	again := order[models.RollBackResult](h, time.Minute, models.UpdateRollBack, goBack)
	h.runSteward(h.holding(threeVersions()), 10*time.Minute)

	require.NoError(t, done.err)
	require.Equal(t, "2", done.result.From)
	require.Equal(t, "1", done.result.To)
	require.Equal(t, done.result, again.result, "a repeated order gets the same answer")
	require.Len(t, *started, 1)
	require.Equal(t, testWorkflowID, (*started)[0].Notify)
	require.Equal(t, map[string]string{"champion": "1", "previous": "2", "challenger": "3"}, h.aliases)
	require.Equal(t, []models.Arm{{Version: "1", Role: models.RoleChampion, Weight: 1}}, h.route.Arms)
	stops := h.sent(models.SignalStop)
	require.Len(t, stops, 1)
	require.Equal(t, models.ServeID("flights", "2"), stops[0].To)
	require.Equal(t, "1", h.monitor[0].Watch.Version)

	s := status[models.StewardStatus](t, h)
	last := s.Records[len(s.Records)-1]
	require.Equal(t, models.ActionRolledBack, last.Action)
	require.Equal(t, done.result.Record, last.Sequence)
	require.Equal(t, "ada", last.By)
	require.Equal(t, h.aliases, last.Aliases)
	require.Equal(t, "run-1", last.Evidence.RunID)
	require.NoError(t, models.VerifyRecords(s.Records, 0, ""))
}

func TestAVersionMayBeChampionMoreThanOnceForTheMonitor(t *testing.T) {
	h := newHouse(t)
	h.servers("ready")
	back := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, goBack)
	forth := order[models.RollBackResult](h, time.Minute, models.UpdateRollBack, models.RollBackOrder{RequestID: "forth", By: "ada", Reason: "it was the network"})
	h.runSteward(h.holding(threeVersions()), 10*time.Minute)
	require.NoError(t, back.err)
	require.NoError(t, forth.err)
	require.Equal(t, "2", forth.result.To)
	require.Len(t, h.monitor, 2)
	require.NotEqual(t, h.monitor[0].Watch.RequestID, h.monitor[1].Watch.RequestID, "a monitor drops what it has seen")
}

// TestAMonitorIsToldThatItHasNobodyToWatch: else it would watch the version of
// before for ever.
func TestAMonitorIsToldThatItHasNobodyToWatch(t *testing.T) {
	h := newHouse(t)
	h.servers("ready")
	state := threeVersions()
	state.Versions[0].Spec.Monitor = nil
	back := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, goBack)
	h.runSteward(h.holding(state), 10*time.Minute)
	require.NoError(t, back.err)
	require.Len(t, h.monitor, 1)
	require.Equal(t, "1", h.monitor[0].Watch.Version)
	require.True(t, h.monitor[0].Watch.Unwatched)
}

// TestATerminatedMonitorIsBegunAnew: else nobody watches until the next champion.
func TestATerminatedMonitorIsBegunAnew(t *testing.T) {
	h := newHouse(t)
	h.closed = []string{models.MonitorID("flights")}
	h.runSteward(h.holding(threeVersions()), 6*time.Minute)
	require.Len(t, h.monitor, 1)
	require.Equal(t, "2", h.monitor[0].Watch.Version)
}

func TestRollBackIsUndoneWhenTheServersDoNotAnswer(t *testing.T) {
	for _, fate := range []string{"silent", "unknown operator"} {
		t.Run(fate, func(t *testing.T) {
			h := newHouse(t)
			h.servers(fate)
			done := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, goBack)
			h.runSteward(h.holding(threeVersions()), time.Hour)
			require.ErrorContains(t, done.err, "nothing was changed")
			require.Equal(t, "2", h.aliases["champion"])
			require.Empty(t, h.routes)
			s := status[models.StewardStatus](t, h)
			require.Equal(t, "2", s.Champion)
			last := s.Records[len(s.Records)-1]
			require.Equal(t, models.ActionRefused, last.Action)
			require.Contains(t, last.Reason, "not rolled back: version 1 is not served, nothing was changed: ")
		})
	}
}

func TestRollBackIsRefusedBeforeItBegins(t *testing.T) {
	deleted := threeVersions()
	deleted.Versions[0].Deleted = true
	never := threeVersions()
	never.Versions[2].Spec.Evaluate.Approval = &models.ApprovalSpec{Approvers: []string{"grace"}}
	none := threeVersions()
	none.Previous = ""
	rejected := threeVersions()
	rejected.Versions[2].Approval = &models.Approval{Version: "3", Verdict: models.VerdictFail, By: "grace", Reason: "too slow"}
	expired := threeVersions()
	expired.Versions[2].Approval = &models.Approval{Version: "3", Verdict: models.VerdictInconclusive, Reason: "nobody answered within 1h"}
	asked := threeVersions()
	asked.Approvals = []models.PendingApproval{{Request: question("3"), Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}}
	tests := map[string]struct {
		state models.StewardState
		order models.RollBackOrder
		says  string
	}{
		"nobody signs":     {threeVersions(), models.RollBackOrder{}, "--by and --reason"},
		"is the champion":  {threeVersions(), models.RollBackOrder{To: "2", By: "a", Reason: "r"}, "is the champion"},
		"unknown":          {threeVersions(), models.RollBackOrder{To: "9", By: "a", Reason: "r"}, "not known"},
		"deleted":          {deleted, models.RollBackOrder{By: "a", Reason: "r"}, "deleted in MLflow"},
		"never approved":   {never, models.RollBackOrder{To: "3", By: "a", Reason: "r"}, "asks for a person's approval"},
		"no previous":      {none, models.RollBackOrder{By: "a", Reason: "r"}, "no previous"},
		"rejected":         {rejected, models.RollBackOrder{To: "3", By: "a", Reason: "r"}, "version 3 was not approved: rejected by grace: too slow"},
		"not decided":      {expired, models.RollBackOrder{To: "3", By: "a", Reason: "r"}, "version 3 was not approved: nobody answered within 1h"},
		"still asked":      {asked, models.RollBackOrder{To: "3", By: "a", Reason: "r"}, "version 3 waits for an approval"},
		"never registered": {models.StewardState{Model: "m"}, models.RollBackOrder{By: "a", Reason: "r"}, "no previous"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			done := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, test.order)
			h.runSteward(h.holding(test.state), time.Minute)
			require.ErrorContains(t, done.err, test.says)
			require.Empty(t, status[models.StewardStatus](t, h).Records)
		})
	}
}

func TestOperatorsRollBackEndsARunningCanary(t *testing.T) {
	h := newHouse(t)
	h.servers("ready")
	h.OnActivity("ReadArms", mock.Anything, mock.Anything).After(time.Minute).Return(models.ArmReading{}, nil) // no traffic
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "3"})
	stay := order[models.RollBackResult](h, 30*time.Second, models.UpdateRollBack, models.RollBackOrder{RequestID: "stay", To: "2", By: "ada", Reason: "stay"})
	done := order[models.RollBackResult](h, time.Minute, models.UpdateRollBack, goBack)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.ErrorContains(t, stay.err, "version 2 is the champion (to end the rollout that is under way: temporal workflow cancel --workflow-id ")
	require.NoError(t, done.err)
	released := replies[models.RollOutReply](h, models.SignalRolledOut)
	require.Len(t, released, 1)
	require.False(t, released[0].Promoted)
	require.Contains(t, released[0].Reason, "an operator rolls back to version 1")
	require.Equal(t, map[string]string{"champion": "1", "previous": "2"}, h.aliases)
}

func TestRollBackThatCanNotRouteMovesTheAliasesBack(t *testing.T) {
	h := newHouse(t)
	h.servers("ready")
	h.OnActivity("PublishRoute", mock.Anything, mock.Anything).Return(fail(models.KindInvalidSpec, "no such endpoint"))
	done := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, goBack)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	require.ErrorContains(t, done.err, "the aliases are back")
	require.Equal(t, map[string]string{"champion": "2", "previous": "1", "challenger": "3"}, h.aliases)
	require.Equal(t, "2", status[models.StewardStatus](t, h).Champion)
}
