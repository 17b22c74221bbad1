// Command transfer measures Mainspring's uploads and downloads on servers of its
// own, side by side with a bare client of the same S3 server and with MLflow:
//
//	go run ./bench/transfer
//	go run ./bench/transfer -json -write docs/transfer.md
//
// The bare client copies the same files at its best: with part sizes and numbers
// of connections that were tried before, without digests, checks or resuming.
// MLflow uploads with mlflow.log_artifacts, through its server, to the same S3
// server. Rounds alternate between the clients, so that other load on the machine
// hits all; figures are medians over the rounds. Clients and servers share the
// cores.
//
// It needs what `make demo` needs, and about six times -mib of disk or, with -dir
// on a file system in memory, of memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	document "github.com/mainspring-ml/mainspring/testenv/figures"
)

const command = "go run ./bench/transfer -write docs/transfer.md"

// The goals, of the issue.
const (
	goalBare   = 0.8
	goalMLflow = 3
)

type options struct {
	mib, files, rounds int
	dir                string
	output             document.Output
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "watchdog" {
		exit(devstack.RunWatchdog(os.Stdin))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "transfer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context) (err error) {
	var o options
	flag.IntVar(&o.mib, "mib", 1024, "size of the large file, and of the eight together")
	flag.IntVar(&o.files, "files", 2000, "how many small files")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each client")
	flag.StringVar(&o.dir, "dir", "", "where servers and files are (default: the temporary directory)")
	o.output.Register(flag.CommandLine)
	flag.Parse()
	dir, err := os.MkdirTemp(o.dir, "mainspring-transfer-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := openStage(ctx, dir)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	r := report{CPUs: runtime.NumCPU(), Load: loadAverage(), Rounds: o.rounds}
	for _, w := range []workload{
		{Name: "one large file", Files: 1, FileBytes: int64(o.mib) << 20},
		{Name: "eight large files", Files: 8, FileBytes: int64(o.mib) << 20 / 8},
		{Name: "many small files", Files: o.files, FileBytes: 4 << 10},
	} {
		figures, err := s.measure(ctx, w, o.rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		r.Workloads = append(r.Workloads, figures)
	}
	var text strings.Builder
	r.print(&text)
	return o.output.Print(os.Stdout, command, r, text.String())
}
