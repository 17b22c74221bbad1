package activities

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
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
	return w.judge(all, evidence)
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
	summary, found, err := w.divided(ctx, part)
	l := look{partSummary: summary}
	if found != nil {
		l.runs = found.Found.Runs
	}
	return l, err
}

// joinLooks joins what join does, from memory.
func (w *preparing) joinLooks(looks []look) (all joined, runs map[string][]profile.Run, err error) {
	runs = map[string][]profile.Run{}
	for _, l := range looks {
		if err := all.add(w.Data, l.partSummary); err != nil {
			return all, nil, err
		}
		for _, run := range l.runs {
			runs[run.Column] = append(runs[run.Column], run)
		}
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
