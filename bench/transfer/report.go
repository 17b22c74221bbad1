package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

type report struct {
	CPUs int `json:"cpus"`
	// Load is the machine's load average before the first round: of other programs.
	Load      float64   `json:"load"`
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
	Up     direction `json:"upload"`
	Down   direction `json:"download"`
	Copy   over      `json:"there_and_back"`
	MLflow speed     `json:"mlflow_upload"`
	// OverMLflow is Mainspring's upload over MLflow's.
	OverMLflow float64 `json:"over_mlflow"`
}

type direction struct {
	Best       tuning `json:"bare_best"`
	Bare       speed  `json:"bare"`
	Mainspring speed  `json:"mainspring"`
	Over       over   `json:"over_bare"`
}

// over compares Mainspring with the bare client. CPU is of the processor time of
// client and S3 server, which other load on the machine hardly moves.
type over struct {
	Wall float64 `json:"wall"`
	CPU  float64 `json:"cpu"`
}

// speed is of the rounds' medians.
type speed struct {
	Seconds        float64 `json:"seconds"`
	CPUSeconds     float64 `json:"cpu_seconds,omitempty"`
	MBPerSecond    float64 `json:"mb_per_second"`
	FilesPerSecond float64 `json:"files_per_second"`
}

func (w workload) speed(all []cost) speed {
	s := speed{Seconds: median(all, func(c cost) time.Duration { return c.wall }), CPUSeconds: median(all, func(c cost) time.Duration { return c.cpu })}
	s.MBPerSecond, s.FilesPerSecond = float64(w.FileBytes)*float64(w.Files)/1e6/s.Seconds, float64(w.Files)/s.Seconds
	return s
}

// loadAverage is of the last minute; 0 where it can't be read.
func loadAverage() (load float64) {
	text, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(text), &load)
	return load
}

func median(all []cost, of func(cost) time.Duration) float64 {
	var sorted []time.Duration
	for _, c := range all {
		sorted = append(sorted, of(c))
	}
	slices.Sort(sorted)
	return sorted[len(sorted)/2].Seconds()
}

func compare(bare, ours speed) over {
	return over{Wall: bare.Seconds / ours.Seconds, CPU: bare.CPUSeconds / ours.CPUSeconds}
}

// fill makes figures of the rounds.
func (f *figures) fill(all seen) {
	f.Up.Bare, f.Up.Mainspring = f.speed(all.bareUp), f.speed(all.oursUp)
	f.Down.Bare, f.Down.Mainspring = f.speed(all.bareDown), f.speed(all.oursDown)
	f.Up.Over, f.Down.Over = compare(f.Up.Bare, f.Up.Mainspring), compare(f.Down.Bare, f.Down.Mainspring)
	f.Copy = compare(f.speed(both(all.bareUp, all.bareDown)), f.speed(both(all.oursUp, all.oursDown)))
	f.MLflow = f.speed(all.mlflow)
	f.OverMLflow = f.MLflow.Seconds / f.Up.Mainspring.Seconds
}

func both(up, down []cost) (all []cost) {
	for i := range up {
		all = append(all, cost{up[i].wall + down[i].wall, up[i].cpu + down[i].cpu})
	}
	return all
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
	line("%d cores for clients and servers, load average %.1f of other programs at the start; medians of %d rounds.", r.CPUs, r.Load, r.Rounds)
	line("")
	line("| | bare client at its best | Mainspring | over bare | by processor time | `mlflow.log_artifacts` | over MLflow |")
	line("|---|---|---|---|---|---|---|")
	for _, f := range r.Workloads {
		size := fmt.Sprintf("%d × %d MiB", f.Files, f.FileBytes>>20)
		if f.small() {
			size = fmt.Sprintf("%d × %d KiB", f.Files, f.FileBytes>>10)
		}
		line("| up, %s | %s (%s) | %s | %.2f | %.2f | %s | %.1f |", size, f.say(f.Up.Bare), f.Up.Best, f.say(f.Up.Mainspring),
			f.Up.Over.Wall, f.Up.Over.CPU, f.say(f.MLflow), f.OverMLflow)
		line("| down, %s | %s (%s) | %s | %.2f | %.2f | | |", size, f.say(f.Down.Bare), f.Down.Best, f.say(f.Down.Mainspring), f.Down.Over.Wall, f.Down.Over.CPU)
		line("| there and back, %s | | | %.2f | %.2f | | |", size, f.Copy.Wall, f.Copy.CPU)
	}
	line("")
	bare, mlflow := true, true
	for _, f := range r.Workloads {
		bare = bare && f.Up.Over.Wall >= goalBare && f.Copy.Wall >= goalBare
		mlflow = mlflow && f.OverMLflow >= goalMLflow
	}
	line("Goals: uploads, and there and back, at %.1f of the bare client%s; %d times MLflow%s.", goalBare, goal(bare), goalMLflow, goal(mlflow))
}
