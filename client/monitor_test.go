package client

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// watched is a monitor's status that tells endpoints apart.
func watched(endpoint string) models.MonitorStatus {
	return models.MonitorStatus{MonitorState: models.MonitorState{Endpoint: endpoint}, Waiting: "labels"}
}

func TestAMonitorIsFoundByItsEndpoint(t *testing.T) {
	server := newFakeServer(scene{status: map[string]any{"monitor/flights": watched("flights")}, typed: "Monitor"})
	c := newTestClient(t, server)
	found, err := c.Monitor(t.Context(), "flights")
	require.NoError(t, err)
	require.Equal(t, Monitor{
		Endpoint: "flights", WorkflowID: "monitor/flights", Status: watched("flights"),
		Page: "http://127.0.0.1:8233/namespaces/default/workflows/monitor%2Fflights",
	}, found)

	server.scenes[0].err = serviceerror.NewDeadlineExceeded("no poller")
	_, err = c.Monitor(t.Context(), "flights")
	require.ErrorContains(t, err, "no worker answers for monitor/flights: is `mainspring worker` running?")
}

func TestNoMonitorNamesWhatThereIs(t *testing.T) {
	server := newFakeServer(scene{missing: true})
	c := newTestClient(t, server)
	for want, listed := range map[string][]string{
		"nothing is monitored on endpoint flihgts at 127.0.0.1:7233; the first promotion of a model with a monitor section starts one": nil,
		"nothing is monitored on endpoint flihgts at 127.0.0.1:7233; did you mean flights?":                                            {"monitor/taxis", "monitor/flights"},
		"nothing is monitored on endpoint flihgts at 127.0.0.1:7233; there are monitors on b, taxis":                                   {"monitor/taxis", "monitor/b"},
	} {
		server.listed = listed
		_, err := c.Monitor(t.Context(), "flihgts")
		require.EqualError(t, err, want)
		_, err = c.OrderMonitor(t.Context(), "flihgts", models.MonitorOrder{Action: models.MonitorPause})
		require.EqualError(t, err, want)
	}
	require.Equal(t, "WorkflowType = 'Monitor' AND ExecutionStatus = 'Running'", server.queries[0])
}

// TestMonitorsAreListedByEndpoint: one that does not answer does not hide the
// others.
func TestMonitorsAreListedByEndpoint(t *testing.T) {
	server := newFakeServer(scene{status: map[string]any{"monitor/b": watched("b"), "monitor/a/x": watched("a/x")}})
	server.listed = []string{"monitor/b", "monitor/lost", "monitor/a/x"}
	all, err := newTestClient(t, server).Monitors(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, []string{"a/x", "b", "lost"}, []string{all[0].Endpoint, all[1].Endpoint, all[2].Endpoint})
	require.Equal(t, watched("a/x"), all[0].Status)
	require.Empty(t, all[1].Trouble)
	require.Contains(t, all[2].Trouble, "no monitor/lost")

	server.executions = []*workflow.WorkflowExecutionInfo{}
	all, err = newTestClient(t, server).Monitors(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestAnOrderGoesToTheMonitor(t *testing.T) {
	order := models.MonitorOrder{Action: models.MonitorAccept, By: "kim", Reason: "the label was redefined"}
	server := newFakeServer(scene{})
	server.answer = watched("flights")
	c := newTestClient(t, server)
	status, err := c.OrderMonitor(t.Context(), "flights", order)
	require.NoError(t, err)
	require.Equal(t, watched("flights"), status)
	require.Equal(t, "monitor/flights", server.updated.WorkflowID)
	require.Equal(t, "monitor-order", server.updated.UpdateName)
	require.Equal(t, []any{order}, server.updated.Args)

	server.handleErr = temporal.NewApplicationError("there is no alarm", "")
	_, err = c.OrderMonitor(t.Context(), "flights", order)
	require.EqualError(t, err, "there is no alarm")

	server.scenes[0].ended = true
	_, err = c.OrderMonitor(t.Context(), "flights", order)
	require.ErrorContains(t, err, "monitor/flights ended at ")
	require.ErrorContains(t, err, "the steward starts it anew within minutes")
}
