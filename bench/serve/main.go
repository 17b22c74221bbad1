// Command serve measures the built-in model server against `mlflow models
// serve`, side by side on loopback, and what dynamic batching gains:
//
//	go run ./bench/serve -json
//
// Both servers answer for the same network from the same model directory with
// ONNX Runtime, each as a process of its own, with one row per request. The
// callers are in this process and share the cores with the servers. Rounds
// alternate between the servers, so that other load on the machine hits both;
// figures are medians over the rounds, and ratios are of figures of the same run.
//
// It needs what `make demo` needs and runs in the repository's root.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	document "github.com/mainspring-ml/mainspring/testenv/figures"
)

// The goals, of the issue.
const (
	goalP50Micros = 200
	goalMLflow    = 20
	goalBatching  = 3
)

// report is what -json prints.
type report struct {
	CPUs    int     `json:"cpus"`
	Seconds float64 `json:"seconds"` // of each round
	Rounds  int     `json:"rounds"`
	Small   small   `json:"small_model"`
	Wide    []wide  `json:"wide_model"`
	Goals   goals   `json:"goals"`
}

// small is a network of 20-64-32-1, by number of connections.
type small struct {
	HTTP1    figures `json:"mainspring_http_1"`
	HTTP16   figures `json:"mainspring_http_16"`
	GRPC1    figures `json:"mainspring_grpc_1"`
	GRPC16   figures `json:"mainspring_grpc_16"`
	MLflow1  figures `json:"mlflow_1"`
	MLflow16 figures `json:"mlflow_16"`
	// Ratio1 and Ratio16 are requests per second over HTTP, divided by MLflow's.
	Ratio1  float64 `json:"ratio_1"`
	Ratio16 float64 `json:"ratio_16"`
	// RatioCPU is MLflow's processor time per request at 16 connections, divided
	// by mainspring's.
	RatioCPU float64 `json:"ratio_cpu"`
}

// wide is a network of 128-4096-4096-1 with and without dynamic batching.
type wide struct {
	Connections int     `json:"connections"`
	Single      figures `json:"unbatched"`
	Batched     figures `json:"batched"`
	Ratio       float64 `json:"ratio"`
}

type goals struct {
	P50      bool `json:"p50_at_most_200_us"`
	MLflow   bool `json:"at_least_20_times_mlflow"`
	Batching bool `json:"batching_at_least_3_times"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	asJSON := flag.Bool("json", false, "print JSON")
	write := flag.String("write", "", "document to write the table into")
	r := report{CPUs: runtime.NumCPU()}
	flag.Float64Var(&r.Seconds, "seconds", 2, "length of a round")
	flag.IntVar(&r.Rounds, "rounds", 3, "rounds of each server and load")
	flag.Parse()
	dir, err := os.MkdirTemp("", "mainspring-serve-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := newBench(ctx, dir)
	if err != nil {
		return err
	}
	if err := r.measureSmall(ctx, b); err != nil {
		return err
	}
	if err := r.measureWide(ctx, b); err != nil {
		return err
	}
	r.Goals = goals{P50: r.Small.HTTP1.P50Micros <= goalP50Micros, MLflow: r.Small.Ratio1 >= goalMLflow}
	for _, w := range r.Wide {
		r.Goals.Batching = r.Goals.Batching || w.Ratio >= goalBatching
	}
	var table strings.Builder
	r.print(&table)
	if *write != "" {
		if err := document.WriteInto(*write, command, "```\n"+table.String()+"```\n"); err != nil {
			return err
		}
	}
	if !*asJSON {
		_, err := fmt.Print(table.String())
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		fmt.Println(string(text))
	}
	return err
}

// round is one server under one load; alternate fills in the figures.
type round struct {
	server      *process
	connections int
	open        func() (asker, error)
	into        *figures
}

func (r *report) alternate(rounds []round) error {
	length := time.Duration(r.Seconds * float64(time.Second))
	seen := make([][]figures, len(rounds))
	for range r.Rounds {
		for i, one := range rounds {
			f, err := load(one.server, one.connections, length, one.open)
			if err != nil {
				return err
			}
			seen[i] = append(seen[i], f)
		}
	}
	for i, one := range rounds {
		*one.into = middle(seen[i])
	}
	return nil
}

func (r *report) measureSmall(ctx context.Context, b bench) error {
	p := newPerceptron(20, 64, 32, 1)
	model := filepath.Join(b.dir, "small")
	if err := p.write(model); err != nil {
		return err
	}
	ours, err := b.serve(ctx, model)
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := b.mlflow(ctx, model)
	if err != nil {
		return err
	}
	defer theirs.stop()
	v2, err := newQuestion(p)
	if err != nil {
		return err
	}
	if err := v2.agree(ours, theirs); err != nil {
		return err
	}
	s := &r.Small
	err = r.alternate([]round{
		{ours, 1, v2.http(ours), &s.HTTP1}, {theirs, 1, v2.mlflow(theirs), &s.MLflow1}, {ours, 1, v2.grpc(ours), &s.GRPC1},
		{ours, 16, v2.http(ours), &s.HTTP16}, {theirs, 16, v2.mlflow(theirs), &s.MLflow16}, {ours, 16, v2.grpc(ours), &s.GRPC16},
	})
	s.Ratio1, s.Ratio16 = s.HTTP1.PerSecond/s.MLflow1.PerSecond, s.HTTP16.PerSecond/s.MLflow16.PerSecond
	s.RatioCPU = s.MLflow16.CPUMicros / s.HTTP16.CPUMicros
	return err
}

func (r *report) measureWide(ctx context.Context, b bench) error {
	p := newPerceptron(128, 4096, 4096, 1)
	model := filepath.Join(b.dir, "wide")
	if err := p.write(model); err != nil {
		return err
	}
	single, err := b.serve(ctx, model)
	if err != nil {
		return err
	}
	defer single.stop()
	batched, err := b.serve(ctx, model, "--batch-max-rows", "64", "--batch-max-delay", "2ms")
	if err != nil {
		return err
	}
	defer batched.stop()
	v2, err := newQuestion(p)
	if err != nil {
		return err
	}
	for _, connections := range []int{1, 16, 64} {
		w := wide{Connections: connections}
		err := r.alternate([]round{{single, connections, v2.http(single), &w.Single}, {batched, connections, v2.http(batched), &w.Batched}})
		if err != nil {
			return err
		}
		w.Ratio = w.Batched.PerSecond / w.Single.PerSecond
		r.Wide = append(r.Wide, w)
	}
	return nil
}

// command is the mark of the table in a document.
const command = "go run ./bench/serve -write docs/serving.md"

func (r *report) print(out io.Writer) {
	line := func(name string, f figures) {
		fmt.Fprintf(out, "  %-28s p50 %8.0f µs   p99 %8.0f µs   %8.0f requests/s   %6.0f µs of CPU each\n", name, f.P50Micros, f.P99Micros, f.PerSecond, f.CPUMicros)
	}
	fmt.Fprintf(out, "20-64-32-1, one row per request, %d cores shared with the callers\n", r.CPUs)
	s := r.Small
	line("mainspring HTTP, 1 caller", s.HTTP1)
	line("mainspring gRPC, 1 caller", s.GRPC1)
	line("mlflow, 1 caller", s.MLflow1)
	line("mainspring HTTP, 16 callers", s.HTTP16)
	line("mainspring gRPC, 16 callers", s.GRPC16)
	line("mlflow, 16 callers", s.MLflow16)
	fmt.Fprintf(out, "  HTTP against mlflow: %.1f times the requests at 1 caller, %.1f at 16; %.1f times less CPU\n", s.Ratio1, s.Ratio16, s.RatioCPU)
	fmt.Fprintln(out, "128-4096-4096-1, one row per request")
	for _, w := range r.Wide {
		line(fmt.Sprintf("unbatched, %d callers", w.Connections), w.Single)
		line(fmt.Sprintf("batched, %d callers", w.Connections), w.Batched)
		fmt.Fprintf(out, "  batching: %.1f times the requests\n", w.Ratio)
	}
}
