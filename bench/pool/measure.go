package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
	"github.com/mainspring-ml/mainspring/workflows"
)

const (
	devicesPerHost = 8
	warmUp         = 2 * time.Second
	borrow         = "BorrowLeases"
)

// measure starts a pool of its own with so many hosts, lets the requesters
// loop, and ends the pool.
func measure(ctx context.Context, c client.Client, conf config, hosts int) (measured, error) {
	m := measured{Nodes: hosts, Devices: hosts * devicesPerHost}
	w := sdkworker.New(c, models.TaskQueue, worker.Options())
	workflows.Register(w)
	w.RegisterWorkflowWithOptions(workflows.BorrowLeases, workflow.RegisterOptions{Name: borrow})
	w.RegisterActivity(&activities.Entities{Temporal: c, AsksAtOnce: conf.asks})
	if err := w.Start(); err != nil {
		return m, err
	}
	defer w.Stop()
	pool := fmt.Sprintf("bench-%d", hosts)
	if err := startPool(ctx, c, pool, hosts); err != nil {
		return m, err
	}
	defer func() { _ = c.TerminateWorkflow(ctx, models.PoolID(pool), "", "measured") }() // the server ends with us
	began := time.Now()
	from := began.Add(warmUp)
	until := from.Add(time.Duration(conf.seconds * float64(time.Second)))
	waits, err := borrowAll(ctx, c, conf.requesters, workflows.Borrowing{Until: until,
		Resources: models.Resources{Pool: pool, Nodes: 1, GPUsPerNode: 1}}, from)
	if err != nil {
		return m, err
	}
	m.summarise(waits, conf.seconds)
	return m, m.noteRuns(ctx, c, pool)
}

// startPool registers the hosts as their workflows would.
func startPool(ctx context.Context, c client.Client, pool string, hosts int) error {
	id := models.PoolID(pool)
	if _, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: models.TaskQueue},
		models.GPUPoolWorkflow, models.PoolState{Pool: pool}); err != nil {
		return err
	}
	for i := range hosts {
		if err := c.SignalWorkflow(ctx, id, "", models.SignalNodeUp, host(pool, i)); err != nil {
			return err
		}
	}
	for {
		answer, err := c.QueryWorkflow(ctx, id, "", models.StatusQuery)
		if err != nil {
			return err
		}
		var status models.PoolStatus
		if err := answer.Get(&status); err != nil {
			return err
		}
		if status.Counts.Nodes == hosts {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func host(pool string, i int) models.NodeInfo {
	info := models.NodeInfo{Node: fmt.Sprintf("host-%04d", i), Pool: pool, Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1),
		CPUMilli: 96_000, MemoryMiB: 1 << 20, Boot: "1", At: time.Now()}
	for d := range devicesPerHost {
		info.Devices = append(info.Devices, models.Device{UUID: fmt.Sprintf("GPU-%04d-%d", i, d), Vendor: models.VendorVirtual,
			Model: "virtual", MemoryMiB: 80 << 10, Index: d})
	}
	return info
}

// borrowAll runs the requesters and returns the waits of the grants after
// from.
func borrowAll(ctx context.Context, c client.Client, requesters int, input workflows.Borrowing, from time.Time) ([]time.Duration, error) {
	results := make([][]workflows.Borrowed, requesters)
	group, ctx := errgroup.WithContext(ctx)
	for i := range requesters {
		group.Go(func() error {
			run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
				ID: fmt.Sprintf("%s/borrower-%d", input.Resources.Pool, i), TaskQueue: models.TaskQueue,
			}, borrow, input)
			if err != nil {
				return err
			}
			return run.Get(ctx, &results[i])
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var waits []time.Duration
	for _, all := range results {
		for _, b := range all {
			if b.At.After(from) && b.At.Before(input.Until) {
				waits = append(waits, b.Waited)
			}
		}
	}
	return waits, nil
}

// noteRuns says whether the pool's history grew so long that it began anew.
func (m *measured) noteRuns(ctx context.Context, c client.Client, pool string) error {
	description, err := c.DescribeWorkflowExecution(ctx, models.PoolID(pool), "")
	if err != nil {
		return err
	}
	info := description.GetWorkflowExecutionInfo()
	m.Continued = info.GetFirstRunId() != info.GetExecution().GetRunId()
	return nil
}
