package activities

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// CheckData makes the checks that a preparation of the same source and spec would
// make, by the same pass, and writes nothing. What only a lifecycle has, a
// baseline and traffic, is skipped. The report is complete whether or not there is
// an error because a check failed.
func (p *Prepare) CheckData(ctx context.Context, spec models.DataSpec) (models.CheckReport, error) {
	w := &preparing{Preparation: models.Preparation{Data: withoutPseudonyms(spec.WithDefaults())}, store: p.Store, lookOnly: true,
		noBaseline: "a trial knows no champion"}
	report := models.CheckReport{Format: 1, Source: spec.Source, AsOf: spec.AsOf}
	list, err := partitionsOf(ctx, p.Store, w.Data)
	if err != nil {
		return report, err
	}
	w.partitions = list
	looks, err := eachPartition(ctx, w.partitions, w.look)
	if err != nil {
		return report, err
	}
	all, runs, err := w.joinLooks(looks)
	if err != nil {
		return report, err
	}
	evidence, err := w.evidence(ctx, all, func(column string) (checks.Repeats, error) { return repeatsOf(column, runs[column]), nil })
	if err != nil {
		return report, err
	}
	evidence.NoTraffic = "a trial knows no endpoint"
	report.Train, report.Test = dataset.Spans(w.Data)
	report.Train.Rows, report.Test.Rows, report.Unknown = all.profile.Train.Rows, all.profile.Test.Rows, all.Unknown
	report.Checks, err = checks.Check(evidence)
	if err == nil {
		err = all.differs
	}
	return report, err
}

// withoutPseudonyms keeps values hidden and needs no key: findings are about what
// the source says.
func withoutPseudonyms(spec models.DataSpec) models.DataSpec {
	columns := make(map[string]models.ColumnSpec, len(spec.Columns))
	for name, c := range spec.Columns {
		if c.Sensitive == models.SensitivePseudonymise {
			c.Sensitive = models.SensitiveKeep
		}
		columns[name] = c
	}
	spec.Columns = columns
	return spec
}

// look is what was found in a partition.
type look struct {
	partSummary
	runs []profile.Run
}

func (w *preparing) look(ctx context.Context, part models.Partition) (look, error) {
	file, err := partition.Open(ctx, w.store, w.Data, part)
	if err != nil {
		return look{}, unavailable(part.URI, "the file can't be opened", err)
	}
	var found *division.Share
	var l look
	l.partSummary, found, err = w.divide(ctx, part, file)
	// A file that was changed under reading is found out at the end.
	if closed := file.Close(); err == nil {
		err = closed
	}
	if found != nil {
		l.runs = found.Found.Runs
	}
	return l, unavailable(part.URI, "the file can't be read", err)
}

// joinLooks joins what join does, from memory.
func (w *preparing) joinLooks(looks []look) (all joined, runs map[string][]profile.Run, err error) {
	runs = map[string][]profile.Run{}
	var of *profile.Profile
	for _, l := range looks {
		all.add(w.Data, l.partSummary)
		for _, run := range l.runs {
			runs[run.Column] = append(runs[run.Column], run)
		}
		switch {
		case !l.contributes(), all.differs != nil:
		case of == nil:
			of = l.Profile
		default:
			if *of, err = profile.Merge(*of, *l.Profile); err != nil {
				return all, nil, err
			}
		}
	}
	if of != nil {
		all.profile = *of
	}
	return all, runs, nil
}

// eachPartition reads partitions side by side, as many as there are processors.
// Results are in the order of the partitions.
func eachPartition[T any](ctx context.Context, partitions []models.Partition, read func(context.Context, models.Partition) (T, error)) ([]T, error) {
	results := make([]T, len(partitions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, part := range partitions {
		group.Go(func() (err error) {
			results[i], err = read(ctx, part)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}
