package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

type report struct {
	CPUs      int       `json:"cpus"`
	Rounds    int       `json:"rounds"`
	Workloads []figures `json:"workloads"`
}

// workload is a directory of files of the same size.
type workload struct {
	Name      string `json:"name"`
	Files     int    `json:"files"`
	FileBytes int64  `json:"file_bytes"`
}

// figures are of one workload. Ratios are of speeds, above 1 where Mainspring is
// faster.
type figures struct {
	workload
	Up   direction `json:"upload"`
	Down direction `json:"download"`
	// Copy is there and back.
	Copy   ratio `json:"copy"`
	MLflow speed `json:"mlflow_upload"`
	// OverMLflow is Mainspring's upload over MLflow's.
	OverMLflow float64 `json:"over_mlflow"`
}

type direction struct {
	Best       tuning  `json:"bare_best"`
	Bare       speed   `json:"bare"`
	Mainspring speed   `json:"mainspring"`
	OverBare   float64 `json:"over_bare"`
}

type ratio struct {
	OverBare float64 `json:"over_bare"`
}

type speed struct {
	Seconds        float64 `json:"seconds"` // the median
	MBPerSecond    float64 `json:"mb_per_second"`
	FilesPerSecond float64 `json:"files_per_second"`
}

func (w workload) speed(seconds float64) speed {
	return speed{seconds, float64(w.FileBytes) * float64(w.Files) / 1e6 / seconds, float64(w.Files) / seconds}
}

func median(all []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2].Seconds()
}

// small: files count, not bytes.
func (w workload) small() bool { return w.FileBytes < 1<<20 }

func (w workload) say(s speed) string {
	if w.small() {
		return fmt.Sprintf("%.0f files/s", s.FilesPerSecond)
	}
	return fmt.Sprintf("%.0f MB/s", s.MBPerSecond)
}

func goal(met bool) string {
	if met {
		return ""
	}
	return " (missed)"
}

func (r report) print(out io.Writer) {
	line := func(format string, a ...any) { _, _ = fmt.Fprintf(out, format+"\n", a...) } // a strings.Builder
	line("%d cores for clients and servers; medians of %d rounds.", r.CPUs, r.Rounds)
	line("")
	line("| | bare client at its best | Mainspring | over bare | `mlflow.log_artifacts` | over MLflow |")
	line("|---|---|---|---|---|---|")
	for _, f := range r.Workloads {
		size := fmt.Sprintf("%d × %d MiB", f.Files, f.FileBytes>>20)
		if f.small() {
			size = fmt.Sprintf("%d × %d KiB", f.Files, f.FileBytes>>10)
		}
		line("| up, %s | %s (%s) | %s | %.2f | %s | %.1f |", size, f.say(f.Up.Bare), f.Up.Best, f.say(f.Up.Mainspring), f.Up.OverBare, f.say(f.MLflow), f.OverMLflow)
		line("| down, %s | %s (%s) | %s | %.2f | | |", size, f.say(f.Down.Bare), f.Down.Best, f.say(f.Down.Mainspring), f.Down.OverBare)
		line("| there and back, %s | | | %.2f | | |", size, f.Copy.OverBare)
	}
	line("")
	bare, mlflow := true, true
	for _, f := range r.Workloads {
		bare = bare && f.Up.OverBare >= goalBare && f.Copy.OverBare >= goalBare
		mlflow = mlflow && f.OverMLflow >= goalMLflow
	}
	line("Goals: uploads, and there and back, at %.1f of the bare client%s; %d times MLflow%s.", goalBare, goal(bare), goalMLflow, goal(mlflow))
}
