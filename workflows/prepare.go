package workflows

import (
	"cmp"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// partitionsAtOnce bounds how many partitions one snapshot reads in parallel.
const partitionsAtOnce = 16

// PrepareData turns the window of a source into a content-addressed snapshot:
// list the partitions, prepare each on its own, join and check.
func PrepareData(ctx workflow.Context, input models.PrepareDataInput) (models.Snapshot, error) {
	p := preparation{input: input, status: models.PreparationStatus{State: "listing partitions"}}
	if err := answer(ctx, func() models.PreparationStatus { return p.status }); err != nil {
		return models.Snapshot{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StagePrepare)))
	return p.run(ctx)
}

type preparation struct {
	input  models.PrepareDataInput
	status models.PreparationStatus
}

func (p *preparation) run(ctx workflow.Context) (models.Snapshot, error) {
	found, err := call(heavy(ctx, "List partitions"), models.DataPreparation.ListPartitions,
		models.ListPartitionsRequest{Data: p.input.Data, Baseline: p.input.Baseline, Served: p.input.Served})
	if err != nil {
		return models.Snapshot{}, err
	}
	if found, err = p.transform(ctx, found); err != nil {
		return models.Snapshot{}, err
	}
	work := models.Preparation{
		ID: found.ID, Listing: found.Listing, Data: p.input.Data, Baseline: p.input.Baseline, Served: p.input.Served,
	}
	if err := p.preparePartitions(ctx, work, found.Tasks); err != nil {
		return models.Snapshot{}, err
	}
	p.show(ctx, "joining and checking the parts")
	snapshot, err := call(heavy(ctx, "Write and check the snapshot"), models.DataPreparation.WriteSnapshot,
		models.WriteSnapshotRequest{Preparation: work, Count: found.Count, Use: p.use(ctx, found)})
	if err == nil {
		p.show(ctx, fmt.Sprintf("snapshot `%.12s`: %d rows to train, %d to test; written anew: %t",
			snapshot.SHA256(), snapshot.Train.Rows, snapshot.Test.Rows, !snapshot.Reused))
	}
	return snapshot, err
}

// use says who the snapshot is for, and what it is made of.
func (p *preparation) use(ctx workflow.Context, found models.PartitionList) models.SnapshotUse {
	self := workflow.GetInfo(ctx).WorkflowExecution
	return models.SnapshotUse{
		Model: p.input.Model, Workflow: cmp.Or(p.input.Lifecycle, self.ID), Run: cmp.Or(p.input.LifecycleRun, self.RunID),
		At: workflow.Now(ctx).UTC(), Retention: p.input.Data.Retention,
		Source: p.input.Data.Source, Listing: found.Listing, SpecSHA256: digest(p.input.Data),
	}
}

func (p *preparation) preparePartitions(ctx workflow.Context, work models.Preparation, tasks []models.PartitionTask) error {
	slots := workflow.NewSemaphore(ctx, partitionsAtOnce)
	futures := make([]future[models.PartitionsPrepared], 0, len(tasks))
	for i, task := range tasks {
		if err := slots.Acquire(ctx, 1); err != nil {
			return err
		}
		p.show(ctx, fmt.Sprintf("preparing task %d of %d", i+1, len(tasks)))
		f := start(heavy(ctx, fmt.Sprintf("Prepare partitions %d to %d", task.From+1, task.To)), models.DataPreparation.PreparePartitions,
			models.PreparePartitionsRequest{Preparation: work, Task: task})
		futures = append(futures, f)
		workflow.Go(ctx, func(ctx workflow.Context) {
			_ = f.Get(ctx, nil) // its error is read below; here only the end counts
			slots.Release(1)
		})
	}
	for _, f := range futures {
		if _, err := f.get(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparation) show(ctx workflow.Context, now string) {
	p.status.State = now
	var out page
	out.linef("**Prepare data** from `%s`", p.input.Data.Source)
	out.linef("")
	out.linef("Now: %s", now)
	out.show(ctx)
}
