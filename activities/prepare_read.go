package activities

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// read reads one partition and writes its share.
func (w *preparing) read(ctx context.Context, part models.Partition) (partSummary, error) {
	summary, found, err := w.divided(ctx, part)
	if err != nil || found == nil {
		return summary, err
	}
	writing, inGroup := errgroup.WithContext(ctx)
	writing.Go(func() (err error) {
		summary.Files, err = w.writeShare(inGroup, part, *found)
		return err
	})
	writing.Go(func() (err error) {
		summary.Runs, err = w.writeRuns(inGroup, found.Found.Runs)
		return err
	})
	return summary, writing.Wait()
}

// divided opens a partition, divides it, and closes it.
func (w *preparing) divided(ctx context.Context, part models.Partition) (partSummary, *division.Share, error) {
	file, err := openPartition(ctx, w.store, w.Data, part)
	if err != nil {
		return partSummary{}, nil, err
	}
	summary, found, err := w.divide(ctx, part, file)
	// A file that was changed under reading is found out at the end.
	if closed := file.Close(); err == nil {
		err = closed
	}
	return summary, found, unavailable(part.URI, "the file can't be read", err)
}

// divide reads what the window covers of a partition, once; nil: it covers
// nothing, and nothing was read.
func (w *preparing) divide(ctx context.Context, part models.Partition, file partition.Reader) (partSummary, *division.Share, error) {
	name := dataset.PartitionName(w.Data.Source, part)
	plan := planReads(w.Data, file)
	if len(plan.groups) == 0 {
		return partSummary{Source: plan.rows, Times: plan.times, Schema: checks.SchemaOf(name, file.Fields(), nil)}, nil, nil
	}
	columns, err := dataset.Resolve(w.Data, dataset.Source{URI: part.URI, Fields: file.Fields()})
	if err != nil {
		return partSummary{}, nil, err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	dividing, err := division.New(division.Plan{Spec: w.Data, Columns: columns, Key: w.key, Baseline: w.baseline, File: name, Places: w.Served != nil, LookOnly: w.lookOnly})
	if err != nil {
		return partSummary{}, nil, err
	}
	read := int64(0)
	err = file.Chunks(ctx, plan.groups, names, func(chunk dataset.Chunk) error {
		read += int64(chunk.Table.Rows())
		recordProgress(ctx, name)
		return dividing.Add(chunk)
	})
	if err != nil {
		return partSummary{}, nil, err
	}
	served, err := w.joinServed(ctx, name, dividing.Taken())
	if err != nil {
		return partSummary{}, nil, err
	}
	found := dividing.Finish()
	return partSummary{
		Served:  served,
		Columns: found.Columns, Rows: found.Rows, Unknown: found.Unknown, Source: max(plan.rows, read), Times: plan.times.With(found.Times),
		Schema:  checks.SchemaOf(name, file.Fields(), file.BadValues()),
		Profile: &found.Found.Profile, Evidence: found.Found.Evidence,
	}, &found, nil
}

// writeShare stores both sides. Paths are made file names when all are known, see
// dataset.FileNames.
func (w *preparing) writeShare(ctx context.Context, part models.Partition, found division.Share) (files []models.SnapshotFile, err error) {
	nullable := make(map[string]bool, len(w.Data.Checks.MaxNullFraction))
	for name, limit := range w.Data.Checks.MaxNullFraction {
		nullable[name] = limit > 0
	}
	for _, side := range []struct {
		dir   string
		table dataset.Table
	}{{dataset.TrainDir, found.Train}, {dataset.TestDir, found.Test}} {
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

func (w *preparing) writeRuns(ctx context.Context, runs []profile.Run) (refs []runRef, err error) {
	for _, run := range runs {
		if len(run.Hashes) == 0 {
			continue
		}
		ref, err := snapshots.Catalog{Store: w.store}.PutObject(ctx, run.Encode())
		if err != nil {
			return nil, unavailable(ref.URI, "the hashes of a partition can't be written", err)
		}
		refs = append(refs, runRef{Column: run.Column, Rows: len(run.Hashes), Object: ref})
	}
	return refs, nil
}

// readPlan is which row groups are read, and the times of all of them.
type readPlan struct {
	groups []int
	rows   int64 // of the partition; 0: not known yet
	times  division.Times
}

// planReads leaves out the row groups whose statistics lie outside the window.
func planReads(spec models.DataSpec, file partition.Reader) *readPlan {
	train, test := dataset.Spans(spec)
	plan := &readPlan{rows: max(file.Rows(), 0)}
	for i, g := range file.Groups(spec.Time) {
		known := !g.Min.IsZero()
		if known {
			plan.times = plan.times.With(division.Times{Min: g.Min, Max: g.Max, Newest: newestBefore(g, test.To)})
		}
		if g.Rows != 0 && (!known || (g.Max.Compare(train.From) >= 0 && g.Min.Before(test.To))) {
			plan.groups = append(plan.groups, i)
		}
	}
	return plan
}

// newestBefore is a group's last time if all of it lies before a moment: what a
// group that crosses it has is found by reading.
func newestBefore(g partition.Group, moment time.Time) time.Time {
	if g.Max.Before(moment) {
		return g.Max
	}
	return time.Time{}
}
