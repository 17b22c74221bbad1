package activities

import (
	"context"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

// read reads one partition and writes its share.
func (w *preparing) read(ctx context.Context, part models.Partition) (partSummary, error) {
	spec := w.Data
	file, err := openPartition(ctx, w.store, spec, part)
	if err != nil {
		return partSummary{}, unavailable(part.URI, "the file can't be opened", err)
	}
	summary, err := w.share(ctx, part, file)
	if closed := file.Close(); err == nil && closed != nil {
		err = unavailable(part.URI, "the file can't be read", closed)
	}
	return summary, err
}

// share reads what the window covers of a partition and writes it.
func (w *preparing) share(ctx context.Context, part models.Partition, file partition.Reader) (partSummary, error) {
	spec := w.Data
	plan := planReads(spec, file)
	if len(plan.groups) == 0 {
		return partSummary{Summary: dataset.Summary{Tallies: plan.skipped(spec)}}, nil
	}
	columns, err := dataset.Resolve(spec, dataset.Source{URI: part.URI, Fields: file.Fields()})
	if err != nil {
		return partSummary{}, err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	table, err := file.Read(ctx, plan.groups, names)
	if err != nil {
		return partSummary{}, unreadable(part.URI, err)
	}
	plan.rows = max(plan.rows, int64(table.Rows()))
	share := dataset.Division{Spec: spec, Columns: columns, Key: w.key}.Of(table)
	summary := share.Summary
	plan.sawTimes(table.Column(spec.Time))
	for key, t := range plan.skipped(spec) {
		summary.Tallies[key] = t
	}
	summary.Files, err = w.writeShare(ctx, part, share)
	return partSummary{Summary: summary}, err
}

// writeShare stores both sides under names of their own, see dataset.FileNames.
func (w *preparing) writeShare(ctx context.Context, part models.Partition, share dataset.Share) (files []models.SnapshotFile, err error) {
	nullable := make(map[string]bool, len(w.Data.Checks.MaxNullFraction))
	for name, limit := range w.Data.Checks.MaxNullFraction {
		nullable[name] = limit > 0
	}
	for _, side := range []struct {
		dir   string
		table dataset.Table
	}{{dataset.TrainDir, share.Train}, {dataset.TestDir, share.Test}} {
		if side.table.Rows() == 0 {
			continue
		}
		ref, err := writeTable(ctx, w.store, side.table, nullable)
		if err != nil {
			return nil, err
		}
		files = append(files, models.SnapshotFile{
			Path: side.dir + "/" + dataset.PartitionName(w.Data.Source, part), Rows: int64(side.table.Rows()), Ref: ref,
		})
	}
	return files, nil
}

// readPlan is which row groups are read, and the times of all of them.
type readPlan struct {
	groups   []int
	rows     int64
	min, max time.Time
}

// planReads leaves out the row groups whose statistics lie outside the window.
func planReads(spec models.DataSpec, file partition.Reader) *readPlan {
	train, test := dataset.Spans(spec)
	plan := &readPlan{rows: file.Rows()}
	for i, g := range file.Groups(spec.Time) {
		known := !g.Min.IsZero()
		if known {
			plan.saw(g.Min, g.Max)
		}
		if g.Rows != 0 && (!known || (g.Max.Compare(train.From) >= 0 && g.Min.Before(test.To))) {
			plan.groups = append(plan.groups, i)
		}
	}
	return plan
}

func (r *readPlan) saw(low, high time.Time) {
	if r.min.IsZero() || low.Before(r.min) {
		r.min = low
	}
	if r.max.IsZero() || high.After(r.max) {
		r.max = high
	}
}

func (r *readPlan) sawTimes(times *dataset.Series) {
	for row, micros := range times.Ints {
		if !times.IsNull(row) {
			at := time.UnixMicro(micros)
			r.saw(at, at)
		}
	}
}

func (r *readPlan) skipped(spec models.DataSpec) map[string]dataset.Tally {
	if r.min.IsZero() {
		return dataset.SourceTally(spec, 0, r.min, r.max)
	}
	return dataset.SourceTally(spec, r.rows, r.min, r.max)
}
