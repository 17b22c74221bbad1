package main

import (
	"context"
	_ "embed" // the program that runs the rivals, and their versions
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/testenv/figures"
)

var (
	//go:embed rivals.py
	rivalsProgram []byte
	//go:embed requirements.txt
	rivalsRequirements []byte
)

// rivalTimeout bounds one rival's runs.
const rivalTimeout = 5 * time.Minute

// rival is what another tool took, or why it could not.
type rival struct {
	Name       string  `json:"name"`
	Package    string  `json:"package"`
	Version    string  `json:"version"`
	Does       string  `json:"does"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakMiB    float64 `json:"peak_mib"`
	// Ratio is of wall-clock seconds, CPURatio of processor time, which other load
	// hardly moves.
	Ratio    float64 `json:"ratio"`
	CPURatio float64 `json:"cpu_ratio"`
	Failed   string  `json:"failed,omitempty"`
}

// rivalNames are functions of rivals.py.
func rivalNames() []string {
	return []string{
		"duckdb_expectations", "duckdb_repeats", "duckdb_summarize", "pyarrow", "pandera", "great_expectations", "ydata", "evidently", "whylogs",
	}
}

func runRivals(ctx context.Context, o options, ours profiled) ([]rival, error) {
	dir, err := os.MkdirTemp("", "bench-profile-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	program, requirements := filepath.Join(dir, "rivals.py"), filepath.Join(dir, "requirements.txt")
	if err := errors.Join(os.WriteFile(program, rivalsProgram, 0o600), os.WriteFile(requirements, rivalsRequirements, 0o600)); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "the rivals' Python environment is made once, in", cache)
	environment, err := pyenv.Builder{Cache: filepath.Join(cache, "mainspring"), UV: os.Getenv("MAINSPRING_UV")}.
		Build(ctx, pyenv.Request{Requirements: requirements, Python: "python3.11"})
	if err != nil {
		return nil, err
	}
	var rivals []rival
	for _, name := range rivalNames() {
		fmt.Fprintln(os.Stderr, "running", name)
		r := rival{Name: name}
		child, out, err := runRival(ctx, environment.Python, program, name, o)
		if err == nil {
			err = json.Unmarshal([]byte(out), &r)
		}
		if err != nil {
			r.Failed = err.Error()
		} else {
			r.PeakMiB = figures.PeakMiB(child.ProcessState)
			r.Ratio, r.CPURatio = r.Seconds/ours.Seconds, r.CPUSeconds/ours.CPUSeconds
		}
		rivals = append(rivals, r)
	}
	return rivals, nil
}

// runRival returns the last line that it printed.
func runRival(ctx context.Context, python, program, name string, o options) (*exec.Cmd, string, error) {
	ctx, cancel := context.WithTimeout(ctx, rivalTimeout)
	defer cancel()
	child := exec.CommandContext(ctx, python, program, name, o.data, strconv.Itoa(o.repeat))
	child.Env = append(os.Environ(), "DO_NOT_TRACK=1", "WHYLOGS_NO_ANALYTICS=True", "GX_ANALYTICS_ENABLED=false", "YDATA_PROFILING_NO_ANALYTICS=True")
	var said strings.Builder
	child.Stderr = &said
	out, err := child.Output()
	if err != nil {
		return child, "", fmt.Errorf("%w: %s", err, lastLine(said.String()))
	}
	return child, lastLine(string(out)), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func (r report) text() string {
	o := r.Ours
	text := fmt.Sprintf("%s (SHA-256 %s…), %d rows × %d columns, %d cores:\n\n", r.File, r.SHA256[:12], o.Rows, o.Columns, r.Cores)
	text += "| | what it does | wall seconds | CPU seconds | peak memory |\n|---|---|---|---|---|\n"
	text += fmt.Sprintf("| **Mainspring** | %d checks, profiles of both sides | **%.2f** (goal %.1f) | %.2f | %.0f MiB (goal %.0f) |\n",
		o.Passed+o.Failed, o.Seconds, r.GoalSeconds, o.CPUSeconds, o.PeakMiB, r.GoalMiB)
	for _, x := range r.Rivals {
		if x.Failed != "" {
			text += fmt.Sprintf("| %s | did not run: %s | | | |\n", x.Name, x.Failed)
			continue
		}
		text += fmt.Sprintf("| %s %s | %s | %.2f (%.1f×) | %.2f (%.1f×) | %.0f MiB |\n",
			x.Package, x.Version, x.Does, x.Seconds, x.Ratio, x.CPUSeconds, x.CPURatio, x.PeakMiB)
	}
	return text + fmt.Sprintf("\n%.1f million rows and %.0f million cells a second; the stored profile has %.0f KiB.\n",
		o.RowsPerSecond/1e6, o.CellsPerSecond/1e6, float64(o.ProfileBytes)/1024)
}
