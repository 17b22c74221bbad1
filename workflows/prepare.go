package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// partitionsAtOnce bounds how many partitions one snapshot reads in parallel.
const partitionsAtOnce = 16

// PrepareData turns the window of a source into a content-addressed snapshot:
// list the partitions, prepare each on its own, join and check.
func PrepareData(ctx workflow.Context, input models.PrepareDataInput) (models.Snapshot, error) {
	p := preparation{input: input, state: "listing partitions"}
	if err := answer(ctx, func() string { return p.state }); err != nil {
		return models.Snapshot{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StagePrepare)))
	return p.run(ctx)
}

type preparation struct {
	input models.PrepareDataInput
	state string
}

func (p *preparation) run(ctx workflow.Context) (models.Snapshot, error) {
	found, err := call(heavy(ctx, "List partitions"), models.DataPreparation.ListPartitions, p.input.Data)
	if err != nil {
		return models.Snapshot{}, err
	}
	summaries, err := p.preparePartitions(ctx, found.Partitions)
	if err != nil {
		return models.Snapshot{}, err
	}
	p.show(ctx, "joining and checking the parts")
	snapshot, err := call(heavy(ctx, "Write and check the snapshot"), models.DataPreparation.WriteSnapshot,
		models.WriteSnapshotRequest{Data: p.input.Data, Partitions: summaries})
	if err == nil {
		p.show(ctx, fmt.Sprintf("snapshot `%.12s`: %d rows to train, %d to test; written anew: %t",
			snapshot.SHA256(), snapshot.Train.Rows, snapshot.Test.Rows, !snapshot.Reused))
	}
	return snapshot, err
}

// preparePartitions keeps the order of the list, whichever part ends first.
func (p *preparation) preparePartitions(ctx workflow.Context, partitions []models.Partition) ([]models.PartitionSummary, error) {
	slots := workflow.NewSemaphore(ctx, partitionsAtOnce)
	futures := make([]future[models.PartitionSummary], 0, len(partitions))
	for i, partition := range partitions {
		if err := slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		p.show(ctx, fmt.Sprintf("preparing partition %d of %d", i+1, len(partitions)))
		f := start(heavy(ctx, "Prepare "+partition.URI), models.DataPreparation.PreparePartition,
			models.PreparePartitionRequest{Data: p.input.Data, Partition: partition})
		futures = append(futures, f)
		workflow.Go(ctx, func(ctx workflow.Context) {
			_ = f.Get(ctx, nil) // its error is read below; here only the end counts
			slots.Release(1)
		})
	}
	summaries := make([]models.PartitionSummary, 0, len(futures))
	for _, f := range futures {
		summary, err := f.get(ctx)
		if err != nil {
			return nil, err
		}
		summaries = append(summaries, summary)
	}
	return summaries, nil
}

func (p *preparation) show(ctx workflow.Context, now string) {
	p.state = now
	var out page
	out.linef("**Prepare data** from `%s`", p.input.Data.Source)
	out.linef("")
	out.linef("Now: %s", now)
	out.show(ctx)
}
