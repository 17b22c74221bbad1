package main

import (
	"bytes"
	"context"
	_ "embed" // the program and the versions that evidently runs with
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/testenv/figures"
)

const evidentlyVersion = "0.7.23"

var (
	//go:embed report.py
	evidentlyProgram []byte
	//go:embed versions.txt
	evidentlyVersions []byte
)

// evidently is what its report of the same rows took. Seconds are of making its
// datasets from data frames and of computing the report; neither starting Python
// nor reading the frames is in them. The peak is the whole process's.
type evidently struct {
	Version    string  `json:"version"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakMiB    float64 `json:"peak_mib"`
	Metrics    int     `json:"metrics"`
	// Ratio is of wall-clock seconds. CPURatio is of processor time, which other
	// load hardly moves; evidently uses one core, scoring all.
	Ratio    float64 `json:"ratio"`
	CPURatio float64 `json:"cpu_ratio"`
}

func runEvidently(ctx context.Context, dir string, o options) (*evidently, error) {
	python, err := evidentlyPython(ctx)
	if err != nil {
		return nil, err
	}
	for name, of := range map[string]struct {
		seed  uint64
		shift float64
		rows  int
	}{"current.parquet": {o.seed, 0.1, o.rows}, "reference.parquet": {o.seed + 1, 0, min(o.rows, referenceRows)}} {
		if err := writeFrame(filepath.Join(dir, name), of.seed, of.shift, of.rows); err != nil {
			return nil, err
		}
	}
	program := filepath.Join(dir, "report.py")
	if err := os.WriteFile(program, evidentlyProgram, 0o600); err != nil {
		return nil, err
	}
	child := exec.CommandContext(ctx, python, program, dir)
	child.Env = append(os.Environ(), "DO_NOT_TRACK=1")
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return nil, fmt.Errorf("evidently: %w", err)
	}
	var e evidently
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil {
		return nil, fmt.Errorf("evidently printed %q: %w", out, err)
	}
	e.PeakMiB = figures.PeakMiB(child.ProcessState)
	return &e, nil
}

// evidentlyPython is the interpreter of an environment in the user's cache, which
// is made once per list of versions.
func evidentlyPython(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "mainspring-bench", "evidently-"+evidentlyVersion)
	python, done := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "installed.txt")
	if have, err := os.ReadFile(done); err == nil && bytes.Equal(have, evidentlyVersions) {
		return python, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	fmt.Fprintln(os.Stderr, "installing evidently", evidentlyVersion, "into", dir)
	list := filepath.Join(dir, "versions.txt")
	for _, step := range []func() error{
		func() error { return visibly(ctx, "python3", "-m", "venv", dir) },
		func() error { return os.WriteFile(list, evidentlyVersions, 0o600) },
		func() error {
			return visibly(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "-r", list)
		},
		func() error { return os.WriteFile(done, evidentlyVersions, 0o600) },
	} {
		if err := step(); err != nil {
			return "", fmt.Errorf("evidently %s can't be installed (Python 3.11 or later and a package index are needed): %w", evidentlyVersion, err)
		}
	}
	return python, nil
}

func visibly(ctx context.Context, name string, args ...string) error {
	child := exec.CommandContext(ctx, name, args...)
	child.Stdout, child.Stderr = os.Stderr, os.Stderr
	return child.Run()
}

// writeFrame writes rows as a table with the label and the prediction.
func writeFrame(path string, seed uint64, shift float64, rows int) (err error) {
	t, labels, predictions := table(seed, shift, rows)
	t.Series = t.Series[:numbers+categories] // without the time
	whole := make([]int64, len(labels))
	for i, label := range labels {
		whole[i] = int64(label)
	}
	t.Series = append(t.Series, dataset.Series{Name: "label", Type: dataset.TypeInt64, Ints: whole}, dataset.Series{Name: "p", Type: dataset.TypeFloat64, Floats: predictions})
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return parquetio.Write(f, t, nil)
}
