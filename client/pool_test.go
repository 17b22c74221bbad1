package client

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

func TestOperateSendsTheOrderAsAnUpdate(t *testing.T) {
	server := newFakeServer()
	server.answer = models.PoolOrderResult{Done: "host a is cordoned"}
	order := models.PoolOrder{Action: models.ActionCordon, Node: "a", By: "kim"}
	result, err := newTestClient(t, server).Operate(t.Context(), "default", order)
	require.NoError(t, err)
	require.Equal(t, "host a is cordoned", result.Done)
	require.Equal(t, "pool/default", server.updated.WorkflowID)
	require.Equal(t, "operate", server.updated.UpdateName)
	require.Equal(t, []any{order}, server.updated.Args)
}

func TestOperateSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"bad order": {temporal.NewApplicationError("drain: pool default has no host \"z\" (its hosts are a, b)", "InvalidSpec"), `has no host "z" (its hosts are a, b)`},
		"no pool":   {serviceerror.NewNotFound("workflow not found"), "mainspring worker --pool default"},
		"no worker": {serviceerror.NewDeadlineExceeded("late"), "is `mainspring worker` running?"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeServer()
			server.updateErr = c.err
			_, err := newTestClient(t, server).Operate(t.Context(), "default", models.PoolOrder{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestPoolThatIsNotThere(t *testing.T) {
	_, err := newTestClient(t, newFakeServer(scene{})).Pool(t.Context(), "gpus")
	require.ErrorContains(t, err, "there is no pool gpus")
}
