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
	OverMLflow     float64 `json:"over_mlflow"`
	BareOverMLflow float64 `json:"bare_over_mlflow"`
}

type direction struct {
	Best       tuning `json:"bare_best"`
	Bare       speed  `json:"bare"`
	Mainspring speed  `json:"mainspring"`
	Over       over   `json:"over_bare"`
	// OverVerified compares with the bare client's copy and the SHA-256 of the
	// files after it: the least that gives what Mainspring gives.
	OverVerified float64 `json:"over_bare_and_sha256"`
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

// compare makes a direction's figures of its cost in every round.
func (w workload) compare(best tuning, all seen, of func(trip) cost) direction {
	bare, verified, ours := each(all.bare, of), each(all.bare, func(t trip) cost { return of(t).and(t.verify) }), each(all.ours, of)
	d := direction{Best: best, Bare: w.speed(bare), Mainspring: w.speed(ours)}
	d.Over = over{Wall: d.Bare.Seconds / d.Mainspring.Seconds, CPU: d.Bare.CPUSeconds / d.Mainspring.CPUSeconds}
	d.OverVerified = w.speed(verified).Seconds / d.Mainspring.Seconds
	return d
}

// fill makes figures of the rounds.
func (f *figures) fill(all seen) {
	f.Up = f.compare(f.Up.Best, all, func(t trip) cost { return t.up })
	f.Down = f.compare(f.Down.Best, all, func(t trip) cost { return t.down })
	f.Copy = f.compare(tuning{}, all, func(t trip) cost { return t.up.and(t.down) }).Over
	f.MLflow = f.speed(all.mlflow)
	f.OverMLflow = f.MLflow.Seconds / f.Up.Mainspring.Seconds
	f.BareOverMLflow = f.MLflow.Seconds / f.Up.Bare.Seconds
}

func each(all []trip, of func(trip) cost) (costs []cost) {
	for _, t := range all {
		costs = append(costs, of(t))
	}
	return costs
}

func (c cost) and(other cost) cost { return cost{c.wall + other.wall, c.cpu + other.cpu} }

// small: files count, not bytes.
func (w workload) small() bool { return w.FileBytes < 1<<20 }

func (w workload) say(s speed) string {
	if w.small() {
		return fmt.Sprintf("%.0f files/s", s.FilesPerSecond)
	}
	return fmt.Sprintf("%.0f MB/s", s.MBPerSecond)
}

func (w workload) row(d direction) string {
	return fmt.Sprintf("%s (%s) | %s | %.2f | %.2f | %.2f", w.say(d.Bare), d.Best, w.say(d.Mainspring), d.Over.Wall, d.Over.CPU, d.OverVerified)
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
	line("| | bare client at its best | Mainspring | over bare | by processor time | over bare and SHA-256 | `mlflow.log_artifacts` | over MLflow | bare over MLflow |")
	line("|---|---|---|---|---|---|---|---|---|")
	for _, f := range r.Workloads {
		size := fmt.Sprintf("%d × %d MiB", f.Files, f.FileBytes>>20)
		if f.small() {
			size = fmt.Sprintf("%d × %d KiB", f.Files, f.FileBytes>>10)
		}
		line("| up, %s | %s | %s | %.1f | %.1f |", size, f.row(f.Up), f.say(f.MLflow), f.OverMLflow, f.BareOverMLflow)
		line("| down, %s | %s | | | |", size, f.row(f.Down))
		line("| there and back, %s | | | %.2f | %.2f | | | | |", size, f.Copy.Wall, f.Copy.CPU)
	}
	line("")
	bare, verified, mlflow := true, true, true
	for _, f := range r.Workloads {
		bare = bare && f.Up.Over.Wall >= goalBare && f.Down.Over.Wall >= goalBare
		verified = verified && f.Up.OverVerified >= goalBare && f.Down.OverVerified >= goalBare
		mlflow = mlflow && f.OverMLflow >= goalMLflow
	}
	line("Goals: uploads and downloads at %.1f of the bare client%s; the same of the bare client and SHA-256%s; %d times MLflow%s.",
		goalBare, goal(bare), goal(verified), goalMLflow, goal(mlflow))
}
