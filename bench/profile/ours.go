package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/dataset/survey"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/figures"
)

// profiled is what one process has found and taken.
type profiled struct {
	Rows           int64   `json:"rows"`
	Columns        int     `json:"columns"`
	Seconds        float64 `json:"seconds"`
	CPUSeconds     float64 `json:"cpu_seconds"`
	RowsPerSecond  float64 `json:"rows_per_second"`
	CellsPerSecond float64 `json:"cells_per_second"`
	PeakMiB        float64 `json:"peak_mib"` // set by the process that waits for it
	// Checks that were made, by whether rows kept them, and the profile's size.
	Passed       int `json:"checks_passed"`
	Failed       int `json:"checks_failed"`
	ProfileBytes int `json:"profile_bytes"`
}

// profileIn profiles the file once and prints the figures.
func profileIn(ctx context.Context, o options, out io.Writer) error {
	baseline, err := readBaseline(o.baseline)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(o.data)
	if err != nil {
		return err
	}
	before, started := figures.ProcessorSeconds(syscall.RUSAGE_SELF), time.Now()
	found, err := look(ctx, path, baseline, o.workers)
	if err != nil {
		return err
	}
	results := judged(found)
	encoded, err := found.Profile.Compact().Encode()
	if err != nil {
		return err
	}
	seconds := time.Since(started).Seconds()
	p := profiled{
		Rows: found.Profile.Train.Rows + found.Profile.Test.Rows, Columns: len(found.columns),
		Seconds: seconds, CPUSeconds: figures.ProcessorSeconds(syscall.RUSAGE_SELF) - before, ProfileBytes: len(encoded),
	}
	p.RowsPerSecond = float64(p.Rows) / seconds
	p.CellsPerSecond = p.RowsPerSecond * float64(p.Columns)
	for _, r := range results {
		switch {
		case r.Skipped != "":
		case r.Passed:
			p.Passed++
		default:
			p.Failed++
		}
	}
	if o.save != "" {
		if err := os.WriteFile(o.save, encoded, 0o600); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(p)
}

func readBaseline(path string) (*profile.Profile, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := profile.Decode(data)
	return &p, err
}

// found is what a pass has found, and what was asked of it.
type found struct {
	profile.Result
	spec     models.DataSpec
	columns  []models.Column
	baseline *profile.Profile
	fields   []dataset.Field
}

// look reads the whole file.
func look(ctx context.Context, path string, baseline *profile.Profile, workers int) (f found, err error) {
	file, err := partition.Open(ctx, nil, models.DataSpec{}, models.Partition{URI: "file://" + path})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	f.fields, f.baseline = file.Fields(), baseline
	f.spec, f.columns = specFor(f.fields, baseline)
	s := survey.Survey{
		Plan:   profile.Plan{Spec: f.spec, Columns: f.columns, Baseline: baseline, File: filepath.Base(path)},
		Source: file, Workers: workers,
	}
	for _, g := range file.Groups(f.spec.Time) {
		s.Groups = append(s.Groups, g.Rows)
	}
	if f.spec.Time != "" {
		s.Sides = sidesBy(f.spec)
	}
	f.Result, err = s.Run(ctx)
	return f, err
}

// specFor asks for everything that the columns allow: the first times split and
// must be unique, the first whole numbers are the label, all others are features.
// The baseline's extremes and strings are the limits.
func specFor(fields []dataset.Field, baseline *profile.Profile) (models.DataSpec, []models.Column) {
	spec := models.DataSpec{
		Task: models.TaskRegression, Window: 10_000 * models.Day,
		Checks: models.DataChecks{Range: map[string]models.Range{}, Allowed: map[string][]string{}, Freshness: models.Day},
	}
	var columns []models.Column
	for _, field := range fields {
		c := models.Column{Name: field.Name, Type: field.Type, Role: dataset.RoleFeature}
		switch {
		case field.Type == "":
			continue
		case field.Type == dataset.TypeTimestamp && spec.Time == "":
			c.Role, spec.Time, spec.Checks.Unique = dataset.RoleTime, c.Name, []string{c.Name}
		case field.Type == dataset.TypeInt64 && spec.Label == "":
			c.Role, spec.Label = dataset.RoleLabel, c.Name
		default:
			spec.Features = append(spec.Features, c.Name)
		}
		columns = append(columns, c)
	}
	if baseline != nil {
		limit(&spec, baseline)
	}
	return spec.WithDefaults(), columns
}

func limit(spec *models.DataSpec, baseline *profile.Profile) {
	for i, train := range baseline.Train.Columns {
		test := baseline.Test.Columns[i]
		if train.Numbers != nil {
			low, high := min(train.Numbers.Min, test.Numbers.Min), max(train.Numbers.Max, test.Numbers.Max)
			spec.Checks.Range[train.Name] = models.Range{Min: &low, Max: &high}
		} else if train.Values.Exact() && test.Values.Exact() {
			for _, v := range slices.Concat(train.Values.Top, test.Values.Top) {
				spec.Checks.Allowed[train.Name] = append(spec.Checks.Allowed[train.Name], v.Value)
			}
		}
	}
	if times := baseline.Test.Column(spec.Time); times != nil {
		spec.AsOf = time.Unix(int64(math.Ceil(times.Numbers.Max))+1, 0).UTC()
		spec.Holdout = models.Duration(spec.AsOf.Sub(time.Unix(int64(times.Numbers.Min), 0)).Truncate(time.Second))
	}
}

// sidesBy splits by time: without a baseline, in the middle of 2001's first half.
func sidesBy(spec models.DataSpec) func(dataset.Table) []profile.Side {
	cut := time.Date(2001, 5, 1, 0, 0, 0, 0, time.UTC)
	if !spec.AsOf.IsZero() {
		cut = spec.AsOf.Add(-spec.Holdout.Std())
	}
	micros := cut.UnixMicro()
	return func(t dataset.Table) []profile.Side {
		sides := make([]profile.Side, t.Rows())
		for i, at := range t.Column(spec.Time).Ints {
			sides[i] = profile.Train
			if at >= micros {
				sides[i] = profile.Test
			}
		}
		return sides
	}
}

// judged makes the checks.
func judged(f found) []models.CheckResult {
	e := checks.Evidence{
		Spec: f.spec, Profile: f.Profile, Rows: f.Evidence, Baseline: f.baseline, Version: "baseline",
		NoBaseline: "nothing is known of the file", NoTraffic: "nothing was served",
	}
	e.Schema = checks.SchemaOf("", f.fields, nil)
	for _, run := range f.Runs {
		r := checks.Repeats{Column: run.Column, Seen: int64(len(run.Hashes))}
		r.Count, r.Rows = profile.Repeats([]profile.Run{run})
		if run.Column == "" {
			e.Duplicates = &r
		} else {
			e.Keys = append(e.Keys, r)
		}
	}
	return checks.Judge(e)
}
