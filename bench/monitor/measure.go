package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/figures"
)

// The goals are for the default flags on two cores.
const (
	goalSeconds = 3.0
	goalMiB     = 500.0
	goalRatio   = 20.0
)

// report is what the command prints. Times are wall-clock seconds unless named
// otherwise.
type report struct {
	Rows          int        `json:"rows"`
	Features      int        `json:"features"`
	Cores         int        `json:"cores"`
	Objects       int        `json:"objects"`
	LogMiB        float64    `json:"log_mib"` // compressed
	Seconds       float64    `json:"seconds"`
	CPUSeconds    float64    `json:"cpu_seconds"`
	RowsPerSecond float64    `json:"rows_per_second"`
	PeakMiB       float64    `json:"peak_mib"`
	GoalSeconds   float64    `json:"goal_seconds"`
	GoalMiB       float64    `json:"goal_mib"`
	Loss          float64    `json:"loss"`
	Evidently     *evidently `json:"evidently,omitempty"`
}

func measure(ctx context.Context, o options) (r report, err error) {
	dir, err := os.MkdirTemp("", "bench-monitor-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	store := folder{dir}
	written, err := writeLog(ctx, store, o)
	if err != nil {
		return r, err
	}
	reference, err := writeReference(ctx, store, o)
	if err != nil {
		return r, err
	}
	if err := writeRequest(dir, reference); err != nil {
		return r, err
	}
	objects, err := store.List(ctx, models.InferenceRoot(endpoint))
	if err != nil {
		return r, err
	}
	r = report{
		Rows: o.rows, Features: numbers + categories, Cores: runtime.GOMAXPROCS(0), Objects: len(objects), LogMiB: float64(written) / (1 << 20),
		GoalSeconds: goalSeconds, GoalMiB: goalMiB,
	}
	for range o.repeat {
		s, err := scoreInChild(ctx, dir)
		if err != nil {
			return r, err
		}
		if s.Block.Requests != int64(o.rows) || s.Block.Labelled != int64(o.rows) || !s.Block.Evidence {
			return r, fmt.Errorf("the block has %d requests and %d labels, want %d of each, with evidence", s.Block.Requests, s.Block.Labelled, o.rows)
		}
		if r.Seconds == 0 || s.Seconds < r.Seconds {
			r.Seconds, r.CPUSeconds = s.Seconds, s.CPUSeconds
		}
		r.PeakMiB, r.Loss = max(r.PeakMiB, s.PeakMiB), s.Block.Loss
	}
	r.RowsPerSecond = float64(o.rows) / r.Seconds
	if o.evidently {
		r.Evidently, err = runEvidently(ctx, dir, o)
		if err == nil {
			r.Evidently.Ratio, r.Evidently.CPURatio = r.Evidently.Seconds/r.Seconds, r.Evidently.CPUSeconds/r.CPUSeconds
		}
	}
	return r, err
}

func requestFile(dir string) string { return filepath.Join(dir, "request.json") }

func writeRequest(dir string, reference models.Ref) error {
	data, monitor := spec()
	encoded, err := json.Marshal(models.ScoreBlocksRequest{
		Endpoint: endpoint, Version: version, Data: data, Spec: monitor, Prediction: "probability", Reference: &reference, From: day(), Max: 1,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(requestFile(dir), encoded, 0o600)
}

// scored is what the process that scores prints.
type scored struct {
	Seconds    float64      `json:"seconds"`
	CPUSeconds float64      `json:"cpu_seconds"`
	PeakMiB    float64      `json:"peak_mib"` // set by the process that waits for it
	Block      models.Block `json:"block"`
}

func scoreIn(ctx context.Context, dir string, out io.Writer) error {
	data, err := os.ReadFile(requestFile(dir))
	if err != nil {
		return err
	}
	var request models.ScoreBlocksRequest
	if err := json.Unmarshal(data, &request); err != nil {
		return err
	}
	blocks := &activities.Blocks{Store: folder{dir}}
	before, started := figures.ProcessorSeconds(syscall.RUSAGE_SELF), time.Now()
	answer, err := blocks.ScoreBlocks(ctx, request)
	if err != nil {
		return err
	}
	if len(answer.Blocks) != 1 {
		return fmt.Errorf("%d blocks were scored, want 1", len(answer.Blocks))
	}
	return json.NewEncoder(out).Encode(scored{
		Seconds: time.Since(started).Seconds(), CPUSeconds: figures.ProcessorSeconds(syscall.RUSAGE_SELF) - before, Block: answer.Blocks[0],
	})
}

func scoreInChild(ctx context.Context, dir string) (s scored, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	child := exec.CommandContext(ctx, self, "-score-in", dir)
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return s, fmt.Errorf("score: %w", err)
	}
	err = json.Unmarshal(out, &s)
	s.PeakMiB = figures.PeakMiB(child.ProcessState)
	return s, err
}

func (r report) text() string {
	text := fmt.Sprintf("| %d requests × %d features, labels joined | wall seconds | CPU seconds | requests per second | peak memory |\n|---|---|---|---|---|\n", r.Rows, r.Features)
	text += fmt.Sprintf("| Mainspring (%d cores, %d objects, %.0f MiB) | %.2f (goal %.0f) | %.2f | %.0f | %.0f MiB (goal %.0f) |\n",
		r.Cores, r.Objects, r.LogMiB, r.Seconds, r.GoalSeconds, r.CPUSeconds, r.RowsPerSecond, r.PeakMiB, r.GoalMiB)
	if e := r.Evidently; e != nil {
		text += fmt.Sprintf("| evidently %s, data drift and classification, data frames in memory | %.2f (%.1f×; goal %.0f×) | %.2f (%.1f×) | %.0f | %.0f MiB |\n",
			e.Version, e.Seconds, e.Ratio, goalRatio, e.CPUSeconds, e.CPURatio, float64(r.Rows)/e.Seconds, e.PeakMiB)
	}
	return text
}
