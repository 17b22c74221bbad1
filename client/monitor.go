package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/mainspring-ml/mainspring/models"
)

// Monitor is the watch over one endpoint.
type Monitor struct {
	Endpoint   string               `json:"endpoint"`
	WorkflowID string               `json:"workflow_id"`
	Page       string               `json:"page,omitempty"` // in Temporal's UI
	Status     models.MonitorStatus `json:"status"`
	// Closed is when it ended, which it never does by itself; zero: it runs.
	Closed time.Time `json:"closed,omitzero"`
	// Trouble says why Status is empty; of lists only.
	Trouble string `json:"trouble,omitempty"`
}

// Monitor asks an endpoint's monitor where it stands.
func (c *Client) Monitor(ctx context.Context, endpoint string) (Monitor, error) {
	found, err := c.findMonitor(ctx, endpoint)
	if err != nil {
		return found, err
	}
	return found, c.query(ctx, found.WorkflowID, &found.Status)
}

// findMonitor looks whether there is one and whether it runs, and does not ask it.
func (c *Client) findMonitor(ctx context.Context, endpoint string) (Monitor, error) {
	found := c.monitorOf(endpoint)
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	described, err := c.temporal.DescribeWorkflowExecution(asking, found.WorkflowID, "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return found, c.noMonitor(ctx, endpoint)
	case err != nil:
		return found, fmt.Errorf("describe %s at %s: %w", found.WorkflowID, c.address, err)
	}
	if info := described.GetWorkflowExecutionInfo(); info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		found.Closed = info.GetCloseTime().AsTime()
	}
	return found, nil
}

func (c *Client) monitorOf(endpoint string) Monitor {
	id := models.MonitorID(endpoint)
	return Monitor{Endpoint: endpoint, WorkflowID: id, Page: c.page(id)}
}

// asksAtOnce bounds how many monitors are asked at a time.
const asksAtOnce = 8

// Monitors are all that run, by endpoint; at most a hundred. One that does not
// answer says so in Trouble.
func (c *Client) Monitors(ctx context.Context) ([]Monitor, error) {
	names, err := c.monitored(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Monitor, len(names))
	turns := make(chan struct{}, asksAtOnce)
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			all[i] = c.monitorOf(name)
			if err := c.query(ctx, all[i].WorkflowID, &all[i].Status); err != nil {
				all[i].Trouble = err.Error()
			}
		})
	}
	asked.Wait()
	return all, nil
}

// monitored are the endpoints that a monitor runs for, in order.
func (c *Client) monitored(ctx context.Context) ([]string, error) {
	listed, err := c.list(ctx, fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", models.MonitorWorkflow))
	if err != nil {
		return nil, fmt.Errorf("list monitors at %s: %w", c.address, err)
	}
	var names []string
	for _, execution := range listed {
		if name, ok := strings.CutPrefix(execution.GetExecution().GetWorkflowId(), models.MonitorID("")); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// noMonitor names what there is instead.
func (c *Client) noMonitor(ctx context.Context, endpoint string) error {
	text := fmt.Sprintf("nothing is monitored on endpoint %s at %s", endpoint, c.address)
	names, err := c.monitored(ctx)
	switch near := models.Nearest(endpoint, names); {
	case err == nil && near != "":
		return fmt.Errorf("%s; did you mean %s?", text, near)
	case len(names) > 0:
		return fmt.Errorf("%s; there are monitors on %s", text, strings.Join(names, ", "))
	default:
		return errors.New(text + "; the first promotion of a model with a monitor section starts one")
	}
}

// OrderMonitor tells the endpoint's monitor what a person wants, and returns
// where it stands then.
func (c *Client) OrderMonitor(ctx context.Context, endpoint string, order models.MonitorOrder) (models.MonitorStatus, error) {
	var status models.MonitorStatus
	found, err := c.findMonitor(ctx, endpoint)
	switch {
	case err != nil:
		return status, err
	case !found.Closed.IsZero():
		return status, fmt.Errorf("%s ended at %s, so nobody takes the order; the steward starts it anew within minutes", found.WorkflowID, moment(found.Closed))
	}
	err = c.instruct(ctx, instruction{
		id: found.WorkflowID, update: models.UpdateMonitor, action: string(order.Action), argument: order, look: "mainspring monitor " + endpoint,
	}, &status)
	return status, err
}
