package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// withSteward is a server on which the model delay has a steward.
func withSteward(status models.StewardStatus) *fakeServer {
	return newFakeServer(scene{status: map[string]any{"model/delay": status}})
}

func TestDecideSendsTheDecision(t *testing.T) {
	server := newFakeServer()
	server.answer = models.Approval{Version: "3", Verdict: models.VerdictPass, By: "kim"}
	decision := models.ApprovalDecision{Version: "3", Approve: true, By: "kim", Reason: "read it"}
	approval, err := newTestClient(t, server).Decide(t.Context(), "delay", decision)
	require.NoError(t, err)
	require.Equal(t, server.answer, approval)
	require.Equal(t, "model/delay", server.updated.WorkflowID)
	require.Equal(t, "decide", server.updated.UpdateName)
	require.Equal(t, []any{decision}, server.updated.Args)
	require.Equal(t, sdk.WorkflowUpdateStageAccepted, server.updated.WaitForStage, "or a slow order would run into the time-out for an absent worker")
}

// TestRollBackTellsAndWaits: what the steward does is told once each, a look
// that fails is nothing, and the request's ID is the update's.
func TestRollBackTellsAndWaits(t *testing.T) {
	server := newFakeServer(
		scene{status: map[string]any{"model/delay": models.StewardStatus{Doing: "rolling back to version 2"}}},
		scene{err: serviceerror.NewUnavailable("down")},
		scene{status: map[string]any{"model/delay": models.StewardStatus{Doing: "rolling back to version 2"}}},
		scene{status: map[string]any{"model/delay": models.StewardStatus{Waiting: "version 4 waits for an approval"}}},
	)
	server.watched, server.answered = "model/delay", make(chan struct{})
	server.answer = models.RollBackResult{From: "3", To: "2", Record: 9}
	var told []string
	back := models.RollBackOrder{RequestID: "once", By: "kim", Reason: "wrong"}
	c := newTestClient(t, server)
	result, err := c.RollBack(t.Context(), "delay", back, func(now string) {
		told = append(told, now)
		if len(told) == 2 {
			close(server.answered)
		}
	})
	require.NoError(t, err)
	require.Equal(t, models.RollBackResult{From: "3", To: "2", Record: 9}, result)
	require.Equal(t, "once", server.updated.UpdateID)
	require.Equal(t, []string{"rolling back to version 2", "version 4 waits for an approval"}, told)
}

// TestAnOrderThatMLflowHoldsUpSaysSo: what the steward does is not enough.
func TestAnOrderThatMLflowHoldsUpSaysSo(t *testing.T) {
	at := map[string]any{"model/delay": models.StewardStatus{Doing: "making version 2 the champion again"}}
	server := newFakeServer(scene{status: at, failing: map[string]string{"model/delay": "no answer from 127.0.0.1:5000"}}, scene{status: at})
	c := newTestClient(t, server)
	require.Equal(t, "making version 2 the champion again; PredictRows waits and is tried again: no answer from 127.0.0.1:5000", c.doing(t.Context(), "delay"))

	server = newFakeServer(scene{status: at, running: map[string]time.Time{"model/delay": time.Now().Add(-time.Minute)}}, scene{status: at})
	require.Equal(t, "making version 2 the champion again; PredictRows has had no answer for longer than 10s", newTestClient(t, server).doing(t.Context(), "delay"))

	server = newFakeServer(scene{status: at, running: map[string]time.Time{"model/delay": time.Now()}}, scene{status: at})
	require.Equal(t, "making version 2 the champion again", newTestClient(t, server).doing(t.Context(), "delay"))
}

func TestAnOrderGoesOnWhenNobodyWaits(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	server := withSteward(models.StewardStatus{Doing: "restoring"})
	server.answered = make(chan struct{})
	_, err := newTestClient(t, server).Aliases(ctx, "delay", models.AliasOrder{Action: models.AliasRestore}, func(string) { stop() })
	require.ErrorIs(t, err, ErrStoppedFollowing)
}

func TestOrdersSayWhatIsWrong(t *testing.T) {
	refusal := temporal.NewNonRetryableApplicationError("model delay: version 9 is not known", string(models.KindInvalidSpec), nil)
	noSteward := serviceerror.NewNotFound("no workflow")
	for name, c := range map[string]struct {
		scene       scene
		err, handle error
		listed      []string
		want        string
	}{
		"refused at once":     {err: refusal, want: "model delay: version 9 is not known"},
		"refused when tried":  {handle: refusal, want: "model delay: version 9 is not known"},
		"no worker":           {err: serviceerror.NewDeadlineExceeded("late"), want: "no worker answers for model/delay: is `mainspring worker` running? The order may still arrive"},
		"no such model":       {scene: scene{missing: true}, err: noSteward, want: "there is no model delay at 127.0.0.1:7233: nothing has been registered under this name"},
		"a name like it":      {scene: scene{missing: true}, err: noSteward, listed: []string{"model/other", "model/delays"}, want: "did you mean delays?"},
		"other names":         {scene: scene{missing: true}, err: noSteward, listed: []string{"model/price", "model/churn"}, want: "there are price, churn"},
		"steward was ended":   {scene: scene{ended: true}, err: noSteward, want: "model/delay, the steward of delay, has ended (completed)"},
		"something else":      {err: serviceerror.NewPermissionDenied("no", ""), want: "roll-back delay: no"},
		"broken while waited": {handle: serviceerror.NewUnavailable("gone"), want: "roll-back delay: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeServer(c.scene)
			server.updateErr, server.handleErr, server.listed = c.err, c.handle, c.listed
			_, err := newTestClient(t, server).RollBack(t.Context(), "delay", models.RollBackOrder{}, nil)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func pending(version string) models.PendingApproval {
	return models.PendingApproval{Request: models.ApprovalRequest{Version: version},
		Asked: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
}

func TestQuestion(t *testing.T) {
	state := models.StewardState{Champion: "2", Approvals: []models.PendingApproval{pending("3")},
		Versions: []models.ModelVersion{{Version: "2"}, {Version: "3", URL: "http://mlflow/3"}}}
	for _, version := range []string{"", "3"} {
		q, err := newTestClient(t, withSteward(models.StewardStatus{StewardState: state})).Question(t.Context(), "delay", version)
		require.NoError(t, err)
		require.Equal(t, Question{Pending: pending("3"), Version: state.Versions[1], Champion: "2"}, q)
		require.Equal(t, models.ApprovalDecision{Version: "3", Approve: true, By: "kim", Reason: "ok"}, q.Answer(true, "kim", "ok"))
	}
	state.Approvals = append(state.Approvals, pending("4"))
	c := newTestClient(t, withSteward(models.StewardStatus{StewardState: state}))
	_, err := c.Question(t.Context(), "delay", "")
	require.ErrorContains(t, err, "several versions of delay wait for approval: 3, 4; name one of them")
	q, err := c.Question(t.Context(), "delay", "4")
	require.NoError(t, err)
	require.Equal(t, "4", q.Version.Version, "a version of which the steward keeps no more is still asked about")
}

func TestNothingWaits(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	rejected := &models.Approval{Version: "3", Verdict: models.VerdictFail, By: "kim", Reason: "JFK", At: at}
	state := models.StewardState{Champion: "2",
		Versions: []models.ModelVersion{{Version: "1"}, {Version: "2"}, {Version: "3", Approval: rejected}},
		Records:  []models.Record{{Version: "1", Action: models.ActionPromoted, At: at, Reason: "better"}}}
	for name, c := range map[string]struct {
		version string
		status  models.StewardStatus
		want    string
	}{
		"nothing": {"", models.StewardStatus{StewardState: state, Doing: "rolling out version 4", Waiting: "the promotion of version 4 waits"},
			"no version of delay waits for approval; its champion is version 2, and version 3, the newest, was rejected by kim on 2026-11-25 12:00:00Z: JFK; the steward is rolling out version 4; the promotion of version 4 waits"},
		"empty":    {"", models.StewardStatus{}, "no version of delay waits for approval; it has no champion"},
		"decided":  {"3", models.StewardStatus{StewardState: state}, "version 3 of delay does not wait for approval: it was rejected by kim on 2026-11-25 12:00:00Z: JFK; its champion is version 2"},
		"recorded": {"1", models.StewardStatus{StewardState: state}, `it has as its last record "promoted", 2026-11-25 12:00:00Z`},
		"silent":   {"2", models.StewardStatus{StewardState: state}, "it is registered, and nobody was asked about it"},
		"unknown":  {"9", models.StewardStatus{StewardState: state}, "it is not known to the steward"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newTestClient(t, withSteward(c.status)).Question(t.Context(), "delay", c.version)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDescribeApproval(t *testing.T) {
	require.Equal(t, "not decided: nobody answered for 3d", describeApproval(models.Approval{Verdict: models.VerdictInconclusive, Reason: "nobody answered for 3d"}))
	require.Equal(t, "approved by kim", describeApproval(models.Approval{Verdict: models.VerdictPass, By: "kim"}))
}
