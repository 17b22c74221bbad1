package workflows

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// crowded is a pool of 10,000 devices, all lent, and 2,000 requests that wait.
func crowded(now time.Time) models.PoolState {
	state := models.PoolState{Pool: "default", NextToken: 5000, JoinedAt: now.Add(-time.Hour)}
	for i := range 1250 {
		node := models.PoolNode{NodeInfo: models.NodeInfo{Node: fmt.Sprintf("host-%04d", i), Pool: "default"}}
		for d := range 8 {
			node.Devices = append(node.Devices, models.Device{UUID: fmt.Sprintf("GPU-%04d-%d", i, d), Model: "H200", Index: d})
		}
		if i == 900 {
			node.Down = "its agent went silent"
		} else {
			state.Leases = append(state.Leases, models.Lease{Token: int64(i + 1), GrantedAt: now.Add(-time.Hour),
				LeaseRequest: models.LeaseRequest{RequestID: fmt.Sprint("lease-", i), Holder: fmt.Sprint("holder-", i), Purpose: "train",
					Resources: models.Resources{Nodes: 1, GPUsPerNode: 8}.WithDefaults()},
				Nodes: []models.LeaseNode{{Node: node.Node, Devices: node.Devices}}})
		}
		state.Nodes = append(state.Nodes, node)
	}
	for i := range 2000 {
		state.Arrivals++
		state.Waiting = append(state.Waiting, models.PoolRequest{QueuedAt: now.Add(-time.Minute), Arrival: state.Arrivals,
			LeaseRequest: models.LeaseRequest{RequestID: fmt.Sprint("request-", i), Holder: fmt.Sprint("waiter-", i), Purpose: "train",
				Resources: models.Resources{Nodes: 1 + i%4, GPUsPerNode: 8}.WithDefaults()}})
	}
	return state
}

func TestPageDoesNotGrowWithThePool(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	core := placement.New(crowded(now))
	began := time.Now()
	drawn := drawPool(core.Status(now, listedInPage), now)
	t.Logf("drawn in %s", time.Since(began))
	text := strings.Join(drawn.lines, "\n")
	require.Less(t, len(text), 20_000)
	require.Contains(t, text, "leases: 1249, waiting: 2000")
	require.Contains(t, text, "… and 1975 more requests")
	require.Contains(t, text, "… and 1225 more hosts")
}

func TestSweepsGoRound(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	require.Equal(t, []string{"a", "b"}, nextAfter(names, "", 2))
	require.Equal(t, []string{"c", "d"}, nextAfter(names, "b", 2))
	require.Equal(t, []string{"e"}, nextAfter(names, "d", 2))
	require.Equal(t, []string{"a", "b"}, nextAfter(names, "e", 2))
	require.Equal(t, []string{"d", "e"}, nextAfter(names, "bb, gone", 9)[1:], "one that has gone leaves its place")
}

func TestNewsOfAHostIsTakenInTheOrderOfItsClock(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	var order []string
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		in := openInbox(ctx)
		if err := workflow.Sleep(ctx, time.Minute); err != nil { // all of it in one burst
			return err
		}
		in.nodes(func(m models.NodeInfo) { order = append(order, "up "+m.Node) }, func(m models.NodeDown) { order = append(order, "down "+m.Node) })
		return nil
	}, workflow.RegisterOptions{Name: "burst"})
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(models.SignalNodeUp, models.NodeInfo{Node: "a", At: at(1)})
		env.SignalWorkflow(models.SignalNodeUp, models.NodeInfo{Node: "b", At: at(4)})
		env.SignalWorkflow(models.SignalNodeDown, models.NodeDown{Node: "a", At: at(2)})
		env.SignalWorkflow(models.SignalNodeDown, models.NodeDown{Node: "b", At: at(3)})
	}, time.Second)
	env.ExecuteWorkflow("burst")
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{"up a", "down a", "down b", "up b"}, order)
}
