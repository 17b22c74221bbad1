package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// joined is what was found in all partitions.
type joined struct {
	partSummary
	profile  profile.Profile
	profiled bool               // a partition has contributed
	runs     map[string][]runOf // by column, in the order of partitions
	// differs says that partitions have columns of different types, which no
	// snapshot can hold; nil: they have not.
	differs error
}

// runOf is a run and the partition that it is of.
type runOf struct {
	runRef
	partition int
}

// join merges all summaries in the order of the partitions.
func (w *preparing) join(ctx context.Context) (joined, error) {
	names := make([]string, len(w.partitions))
	for i, part := range w.partitions {
		names[i] = dataset.PartitionName(w.Data.Source, part)
	}
	names = dataset.FileNames(names)
	all := joined{runs: map[string][]runOf{}}
	err := w.eachPart(ctx, func(n int, summary partSummary) error {
		for _, f := range summary.Files {
			dir, _, _ := strings.Cut(f.Path, "/")
			f.Path = dir + "/" + names[n]
			all.Files = append(all.Files, f)
		}
		for _, run := range summary.Runs {
			all.runs[run.Column] = append(all.runs[run.Column], runOf{run, n})
		}
		return all.add(w.Data, summary)
	})
	all.profile = all.profile.Compact()
	return all, err
}

// add takes over what neither files nor runs say.
func (all *joined) add(spec models.DataSpec, summary partSummary) (err error) {
	all.Rows += summary.Rows
	all.Unknown += summary.Unknown
	all.Source += summary.Source
	all.Times = all.Times.With(summary.Times)
	all.Schema = checks.MergeSchemas(all.Schema, summary.Schema)
	if !summary.contributes() {
		summary.Columns, summary.Evidence.Associations = nil, nil
	}
	all.Evidence = profile.MergeEvidence(all.Evidence, summary.Evidence)
	all.Served = mergeServed(spec.Features, all.Served, summary.Served)
	switch {
	case len(summary.Columns) == 0:
	case all.Columns == nil:
		all.Columns = summary.Columns
	case !slices.Equal(all.Columns, summary.Columns):
		all.differs = differing(spec, all.Schema, all.Columns, summary.Columns)
	}
	switch {
	case !summary.contributes(), all.differs != nil:
	case !all.profiled:
		all.profile, all.profiled = *summary.Profile, true
	default:
		all.profile, err = profile.Merge(all.profile, *summary.Profile)
	}
	return err
}

// contributes reports whether the partition has a row on either side. The types of
// one that has none bind nobody: a text file whose labels are not known yet has no
// times of theirs.
func (s partSummary) contributes() bool {
	return s.Profile != nil && s.Profile.Train.Rows+s.Profile.Test.Rows > 0
}

// differing names the columns that have another type than in the partitions
// before: no file of a snapshot may have another schema than the others.
func differing(spec models.DataSpec, schema checks.Schema, before, now []models.Column) error {
	var words []string
	for _, seen := range schema.Columns {
		at := slices.IndexFunc(now, func(c models.Column) bool { return c.Name == seen.Name })
		if at >= 0 && at < len(before) && before[at] != now[at] {
			words = append(words, fmt.Sprintf("column %q has different types in different partitions: %s", seen.Name, seen.Words()))
		}
	}
	return &models.Error{
		Kind: models.KindDataCheckFailed, Subject: spec.Source, Message: strings.Join(words, "; "),
		Hint: "declare the type of text files' columns under data.columns, or mend the files",
	}
}

// evidence is what the checks are made from. A function finds what repeats in a
// column, or in whole rows: the empty name.
func (w *preparing) evidence(ctx context.Context, all joined, repeats func(column string) (checks.Repeats, error)) (checks.Evidence, error) {
	e := checks.Evidence{
		Spec: w.Data, Profile: all.profile, Rows: all.Evidence, Schema: all.Schema, Unknown: all.Unknown,
		Times:    checks.Times{Rows: all.Source, Min: all.Times.Min, Max: all.Times.Max, Newest: all.Times.Newest},
		Baseline: w.baseline, NoBaseline: w.noBaseline,
	}
	if w.Baseline != nil {
		e.Version = w.Baseline.Version
	}
	var err error
	if e.Traffic, e.NoTraffic, err = w.traffic(ctx, all); err != nil {
		return e, err
	}
	for _, column := range w.Data.Checks.Unique {
		found, err := repeats(column)
		if err != nil {
			return e, err
		}
		e.Keys = append(e.Keys, found)
	}
	duplicates, err := repeats("")
	e.Duplicates = &duplicates
	return e, err
}

// repeats reads the hashes of all partitions.
func (w *preparing) repeats(ctx context.Context, column string, refs []runOf) (checks.Repeats, error) {
	runs := make([]profile.Run, len(refs))
	err := each(ctx, len(refs), func(ctx context.Context, i int) error {
		ref := refs[i].Object
		encoded, err := artifact.ReadRef(ctx, w.store, ref, maxParquet)
		if err == nil {
			runs[i], err = profile.DecodeRun(encoded)
		}
		return unavailable(ref.URI, "the hashes of a partition can't be read", err)
	})
	if err != nil {
		return checks.Repeats{}, err
	}
	recordProgress(ctx, "repeats of "+column)
	return repeatsOf(column, runs), nil
}

// repeatsOf counts over the runs of one column, in the order of partitions.
func repeatsOf(column string, runs []profile.Run) checks.Repeats {
	out := checks.Repeats{Column: column}
	for _, run := range runs {
		out.Seen += int64(len(run.Hashes))
	}
	out.Count, out.Rows = profile.Repeats(runs)
	return out
}
