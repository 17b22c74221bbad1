package workflows

import (
	"cmp"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// tasksAtOnce bounds how many tasks of one preparation run at the same time.
const tasksAtOnce = 16

// PrepareData turns the window of a source into a content-addressed snapshot:
// list the partitions, have the user's program transform them, look whether all
// this was done before, prepare each on its own, join and check.
func PrepareData(ctx workflow.Context, input models.PrepareDataInput) (models.Snapshot, error) {
	input.Data = input.Data.WithDefaults()
	p := preparation{input: input}
	if err := answer(ctx, func() models.PreparationStatus { return p.status }); err != nil {
		return models.Snapshot{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StagePrepare)))
	told := tellLineage(ctx, input.Model, "prepare", models.LineageEvent{
		AsOf: input.Data.AsOf, Inputs: []models.LineageDataset{{URI: input.Data.Source}},
	})
	snapshot, err := p.run(ctx)
	if err != nil {
		p.show(ctx, "failed: "+reason(err))
		told.end(ctx, err)
		return snapshot, err
	}
	p.status.Snapshot = &snapshot
	p.show(ctx, snapshotText(snapshot))
	told.end(ctx, nil, snapshotTold(snapshot, ""))
	return snapshot, nil
}

type preparation struct {
	input  models.PrepareDataInput
	status models.PreparationStatus
	found  models.PartitionsPrepared // of the tasks that are done
}

func (p *preparation) run(ctx workflow.Context) (models.Snapshot, error) {
	p.show(ctx, "listing the partitions")
	raw, err := call(heavy(ctx, "List partitions"), models.DataPreparation.ListPartitions,
		models.ListPartitionsRequest{Data: p.input.Data, Baseline: p.input.Baseline, Served: p.input.Served})
	if err != nil {
		return models.Snapshot{}, err
	}
	p.lists(raw)
	list, err := p.transform(ctx, raw)
	if err != nil {
		return models.Snapshot{}, err
	}
	if p.lists(list); raw.ID != list.ID {
		p.status.RawID = raw.ID
	}
	work, use := p.work(list), p.use(ctx, raw, list)

	p.show(ctx, "looking whether the same was prepared before")
	before, err := call(heavy(ctx, "Find the same preparation"), models.DataPreparation.FindSnapshot,
		models.FindSnapshotRequest{Preparation: work, Use: use})
	if err != nil {
		return models.Snapshot{}, err
	}
	if before.Snapshot != nil {
		return *before.Snapshot, nil
	}
	if err := p.preparePartitions(ctx, work, list.Tasks); err != nil {
		return models.Snapshot{}, err
	}
	p.show(ctx, "joining the partitions, and checking them")
	return call(heavy(ctx, "Write and check the snapshot"), models.DataPreparation.WriteSnapshot,
		models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: use})
}

// lists takes over what is to be prepared.
func (p *preparation) lists(list models.PartitionList) {
	p.status.ID, p.status.Partitions, p.status.Tasks = list.ID, list.Count, len(list.Tasks)
}

// work is what all steps are told.
func (p *preparation) work(list models.PartitionList) models.Preparation {
	return models.Preparation{
		ID: list.ID, Listing: list.Listing, Data: p.input.Data, Baseline: p.input.Baseline, Served: p.input.Served,
	}
}

// use says who the snapshot is for, and what it is made of.
func (p *preparation) use(ctx workflow.Context, raw, list models.PartitionList) models.SnapshotUse {
	self := workflow.GetInfo(ctx).WorkflowExecution
	use := models.SnapshotUse{
		Model: p.input.Model, Workflow: cmp.Or(p.input.Lifecycle, self.ID), Run: cmp.Or(p.input.LifecycleRun, self.RunID),
		Namespace: workflow.GetInfo(ctx).Namespace, At: workflow.Now(ctx).UTC(), Retention: p.input.Data.Retention,
		Source: p.input.Data.Source, Listing: list.Listing, SpecSHA256: digest(p.input.Data),
	}
	if p.input.Baseline != nil {
		use.Baseline = p.input.Baseline.Version
	}
	if prepare := p.input.Data.Prepare; prepare != nil {
		use.Raw, use.CodeSHA256 = raw.Listing, prepare.Code.SHA256
	}
	return use
}

// preparePartitions runs the tasks side by side. After a task that can't be
// carried out none is begun, and those that run are cancelled: what they have
// finished is found by the next run.
func (p *preparation) preparePartitions(ctx workflow.Context, work models.Preparation, tasks []models.PartitionTask) error {
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	slots, running := workflow.NewSemaphore(ctx, tasksAtOnce), workflow.NewWaitGroup(ctx)
	var failed error
	for _, task := range tasks {
		p.show(ctx, p.progress(len(tasks)))
		if err := slots.Acquire(ctx, 1); err != nil {
			failed = cmp.Or(failed, err)
		}
		if failed != nil {
			break
		}
		running.Add(1)
		f := start(heavy(ctx, "Prepare "+partitionsOf(task)), models.DataPreparation.PreparePartitions,
			models.PreparePartitionsRequest{Preparation: work, Task: task})
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer running.Done()
			defer slots.Release(1)
			found, err := f.get(ctx)
			if err != nil {
				failed = cmp.Or(failed, err)
				cancel()
				return
			}
			p.status.Done++
			p.found.Rows += found.Rows
			p.found.Unknown += found.Unknown
			p.found.Reused += found.Reused
			p.show(ctx, p.progress(len(tasks)))
		})
	}
	running.Wait(ctx)
	return failed
}
