package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// runsAtOnce bounds how many tasks' programs are run side by side.
const runsAtOnce = 16

// transform has the preparing program, if the spec names one, make new partitions
// of those in the list. What the same program has made of the same files is not
// made again.
func (p *preparation) transform(ctx workflow.Context, list models.PartitionList) (models.PartitionList, error) {
	if p.input.Data.Prepare == nil {
		return list, nil
	}
	t := transforming{
		preparation: p, program: p.input.Data.Prepare.WithDefaults(), tasks: list.Tasks,
		raw: p.work(list),
	}
	t.desk = &hostDesk{leaseDesk: newLeaseDesk(ctx), waitFor: t.waitFor}
	if t.program.Per == models.PreparePerSource {
		t.tasks = []models.PartitionTask{{To: list.Count, Bytes: list.Bytes}}
	}
	found, err := call(heavy(ctx, "Look what is prepared already"), models.DataPreparation.FindTransformed,
		models.FindTransformedRequest{Raw: t.raw, Tasks: t.tasks})
	if err != nil {
		return list, err
	}
	if err := t.runAll(ctx, found.Missing); err != nil {
		return list, err
	}
	return call(heavy(ctx, "List what the preparing program has left"), models.DataPreparation.ListTransformed,
		models.ListTransformedRequest{Raw: t.raw, Tasks: t.tasks})
}

type transforming struct {
	*preparation
	program models.PrepareSpec
	raw     models.Preparation
	tasks   []models.PartitionTask
	desk    *hostDesk
	missing int // tasks for which the program is run
	ended   int // of these
}

// runAll takes the tasks side by side. The first that fails ends the others.
func (t *transforming) runAll(ctx workflow.Context, tasks []models.PartitionTask) error {
	t.missing = len(tasks)
	running, cancel := workflow.WithCancel(ctx)
	defer cancel()
	slots, all := workflow.NewSemaphore(running, runsAtOnce), workflow.NewWaitGroup(ctx)
	var first error
	for i, task := range tasks {
		if err := slots.Acquire(running, 1); err != nil {
			break // cancelled, or the first failure is known
		}
		all.Add(1)
		workflow.Go(running, func(ctx workflow.Context) {
			defer all.Done()
			defer slots.Release(1)
			err := t.run(ctx, task, i)
			if err == nil {
				t.count(task)
				t.waitFor(ctx, "", "the other runs")
				return
			}
			if first == nil {
				first = err
				cancel()
			}
		})
	}
	all.Wait(ctx)
	if first == nil {
		first = ctx.Err()
	}
	return first
}

// count counts the runs of a task that has ended.
func (t *transforming) count(task models.PartitionTask) {
	t.ended++
	if t.program.Per == models.PreparePerSource {
		t.status.Transformed++
		return
	}
	t.status.Transformed += task.To - task.From
}

// run has one task's partitions prepared on a host.
func (t *transforming) run(ctx workflow.Context, task models.PartitionTask, number int) error {
	what := partitionsOf(task)
	_, err := runOnHost(ctx, t.desk, hostProgram[models.TransformResult]{
		name: "transform " + what, who: "preparing program", wanted: "the preparing program to read " + what,
		purpose: fmt.Sprintf("prepare data of %s: %s", t.input.Model, what), resources: t.program.Resources,
		pool: models.Resources{Pool: t.program.Pool}, turn: number,
		run: func(ctx workflow.Context, at hostPlace) future[models.TransformResult] {
			limit := t.program.Timeout.Std() // of one run
			if t.program.Per != models.PreparePerSource {
				limit *= time.Duration(task.To - task.From)
			}
			host := at.node.Node
			return start(longOnHost(ctx, host, "Prepare "+what+" on "+host, limit+fetchWithin+agentAbsent), models.Hosts.TransformOnHost,
				models.TransformRequest{Key: at.key, Token: at.token, Node: at.node, Preparation: t.raw, Task: task})
		},
	})
	return err
}

// waitFor shows what the last of the runs has begun to wait for.
func (t *transforming) waitFor(ctx workflow.Context, _, what string) {
	t.show(ctx, fmt.Sprintf("preparing program: %d of %d tasks done (%d were done before); waits for %s",
		t.ended, t.missing, len(t.tasks)-t.missing, what))
}
