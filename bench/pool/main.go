// Command pool measures a device pool through a real Temporal dev server:
//
//	go run ./bench/pool -json
//
// Requesters are workflows that ask for one device, wait for the grant and give
// it back, again and again, with the same code as Train and Serve. They and
// the pool run in one worker in this process, beside the server: what is
// measured is what one machine does with all of it. There are as many devices
// as requesters or more, so nobody waits for anybody else: the time from
// request to grant is the protocol's.
//
// The same is measured again with many hosts in the pool.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/internal/devstack"
)

// config is the command line.
type config struct {
	json       bool
	requesters int
	seconds    float64
	hosts      int
	asks       int
	profile    string
}

// report is what -json prints.
type report struct {
	Requesters int     `json:"requesters"`
	CPUs       int     `json:"cpus"`
	Seconds    float64 `json:"seconds"` // measured, of each
	measured
	Many measured `json:"many_nodes"`
}

// measured are the figures of one pool.
type measured struct {
	Nodes      int     `json:"nodes"`
	Devices    int     `json:"devices"`
	Grants     int     `json:"grants"`
	GrantsPerS float64 `json:"grants_per_s"`
	P50GrantMs float64 `json:"p50_grant_ms"`
	P99GrantMs float64 `json:"p99_grant_ms"`
	MaxGrantMs float64 `json:"max_grant_ms"`
	Continued  bool    `json:"continued"` // the pool continued as new meanwhile
}

func main() {
	var c config
	flag.BoolVar(&c.json, "json", false, "print one JSON object")
	flag.IntVar(&c.requesters, "requesters", 64, "concurrent requesters")
	flag.Float64Var(&c.seconds, "seconds", 15, "how long each measurement takes, after two seconds of warming up")
	flag.IntVar(&c.hosts, "hosts", 1000, "hosts of 8 devices in the second measurement; 0 leaves it out")
	flag.IntVar(&c.asks, "asks", 32, "questions in flight at the pool, as MAINSPRING_POOL_ASKS in a dev stack")
	flag.StringVar(&c.profile, "cpuprofile", "", "write a CPU profile of this process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pool:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to release
	}
}

func run(ctx context.Context, c config, out io.Writer) error {
	if c.requesters < 1 || c.seconds <= 0 || c.hosts < 0 {
		return errors.New("-requesters and -seconds must be positive, -hosts not negative")
	}
	server, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer server.stop()
	if c.profile != "" {
		file, err := os.Create(c.profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r := report{Requesters: c.requesters, CPUs: runtime.NumCPU(), Seconds: c.seconds}
	few := (c.requesters + devicesPerHost - 1) / devicesPerHost
	if r.measured, err = measure(ctx, server.client, c, few); err != nil {
		return err
	}
	if c.hosts > 0 {
		if r.Many, err = measure(ctx, server.client, c, max(c.hosts, few)); err != nil {
			return err
		}
	}
	return r.print(out, c.json)
}

func (r report) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "%d requesters, %d processors\n", r.Requesters, r.CPUs)
	for _, m := range []measured{r.measured, r.Many} {
		if m.Nodes > 0 && err == nil {
			_, err = fmt.Fprintf(out, "%5d hosts: %6.1f grants/s, request to grant p50 %.0f ms, p99 %.0f ms, at most %.0f ms\n",
				m.Nodes, m.GrantsPerS, m.P50GrantMs, m.P99GrantMs, m.MaxGrantMs)
		}
	}
	return err
}

// server is a dev server as `mainspring dev` starts it, on files of its own.
type server struct {
	client client.Client
	stop   func()
}

func startServer(ctx context.Context) (server, error) {
	cli, err := devstack.SetupTemporal(ctx, devstack.ReporterFunc(func(p devstack.Progress) {
		if p.State != devstack.Cached {
			fmt.Fprintln(os.Stderr, p.Title, p.State)
		}
	}))
	if err != nil {
		return server{}, err
	}
	dir, err := os.MkdirTemp("", "mainspring-bench-")
	if err != nil {
		return server{}, err
	}
	quiet := log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	dev, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		ExistingPath: cli, DBFilename: filepath.Join(dir, "temporal.db"), ExtraArgs: devstack.TemporalFlags(),
		ClientOptions: &client.Options{
			Logger:        quiet,
			DataConverter: claimcheck.Converter(&claimcheck.Codec{Store: artifact.NewMemory("bench")}),
		},
		Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return server{}, errors.Join(fmt.Errorf("start a Temporal dev server: %w", err), os.RemoveAll(dir))
	}
	return server{client: dev.Client(), stop: func() {
		if err := errors.Join(dev.Stop(), os.RemoveAll(dir)); err != nil {
			slog.Warn("dev server not tidied up", "error", err)
		}
	}}, nil
}

// summary of sorted waits.
func (m *measured) summarise(waits []time.Duration, seconds float64) {
	slices.Sort(waits)
	m.Grants, m.GrantsPerS = len(waits), float64(len(waits))/seconds
	if len(waits) == 0 {
		return
	}
	quantile := func(q float64) float64 {
		at := cmp.Or(int(q*float64(len(waits))+0.5), 1)
		return float64(waits[min(at, len(waits))-1].Microseconds()) / 1000
	}
	m.P50GrantMs, m.P99GrantMs, m.MaxGrantMs = quantile(0.5), quantile(0.99), quantile(1)
}
