// Command gateway measures what the gateway costs a request, beside plain
// proxies, in one run on the loopback interface:
//
//	go run ./bench/gateway -json
//
// Vocabulary: a route is a way to the same two servers, of which one gets nine
// requests in ten: direct (no proxy, the first server alone), mainspring (the
// real process, following a route in a real S3, writing its inference log
// there), Caddy and Traefik (real processes, weighted proxies with access logs
// off), reverseproxy (net/http/httputil, nothing else) and relay (a process that
// copies bytes and reads none: what any process in between costs). In a round, each route in
// turn is loaded for a while; figures are medians over rounds, and comparisons
// are made within a round, so that load from elsewhere hits both sides.
//
// The servers answer a fixed text at once: what remains is the cost of the way.
// CPU per request is the proxy process's own. On a machine that does other work
// too it tells more than any time on the clock; -beside measures another build
// of mainspring in the same rounds.
//
// With -model the same is measured in front of `mainspring serve`.
//
// Caddy and Traefik are built from source into the user's cache the first
// time, which takes minutes; -peers=false leaves them out. It needs what
// `make demo` needs.
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
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	document "github.com/mainspring-ml/mainspring/testenv/figures"
)

type options struct {
	rounds int
	each   time.Duration
	levels []int // concurrent connections
	peers  bool
	model  string // directory; empty: the fixed servers alone
	asJSON bool
	write  string // document; empty: none
	// mainspring is the program to measure; empty: it is built.
	mainspring string
	beside     string // another build; empty: none
}

// command is the mark of the table in a document.
const command = "go run ./bench/gateway -write docs/gateway.md"

// limit bounds a run, peers' builds included.
const limit = 45 * time.Minute

func main() {
	// The kernel ends processes with the thread that started them.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	played, err := play(ctx, os.Args[1:])
	if !played {
		err = run(ctx, os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to release
	}
}

// play is this program in another part of the measurement: a server, the plain
// proxy, or the stack's watchdog.
func play(ctx context.Context, args []string) (played bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case "watchdog":
		return true, devstack.RunWatchdog(os.Stdin)
	case "backend":
		return true, listen(ctx, backend())
	case "relay":
		return true, runRelay(ctx, args[1])
	case "proxy":
		handler, err := reverseProxy(args[1:])
		if err != nil {
			return true, err
		}
		return true, listen(ctx, handler)
	default:
		return false, nil
	}
}

func parse(args []string) (options, error) {
	var o options
	var connections int
	var quick bool
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 7, "rounds, of which the median counts")
	flags.DurationVar(&o.each, "each", 2*time.Second, "how long a route is loaded in a round")
	flags.IntVar(&connections, "connections", 16, "connections of the second level; the first has one")
	flags.BoolVar(&o.peers, "peers", true, "measure Caddy and Traefik as well")
	flags.StringVar(&o.model, "model", "", "directory of an ONNX model with the inputs of internal/serving/testdata/flights, to measure in front of mainspring serve too (default: none)")
	flags.StringVar(&o.mainspring, "mainspring", "", "program to measure (default: built from this checkout)")
	flags.StringVar(&o.beside, "beside", "", "another build of mainspring to measure in the same rounds, to see what a change did (default: none)")
	flags.BoolVar(&quick, "quick", false, "one short round without Caddy and Traefik: does it run at all?")
	flags.BoolVar(&o.asJSON, "json", false, "print one JSON object")
	flags.StringVar(&o.write, "write", "", "document to write the table into")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if quick {
		o.rounds, o.each, o.peers = 1, 100*time.Millisecond, false
	}
	if o.rounds < 1 || o.each < 10*time.Millisecond || connections < 1 {
		return o, errors.New("-rounds and -connections must be 1 or more, -each 10ms or more")
	}
	o.levels = []int{1}
	if connections > 1 {
		o.levels = append(o.levels, connections)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, err := openStage(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r := report{CPUs: runtime.NumCPU(), Rounds: o.rounds, SecondsEach: o.each.Seconds(), GoalAddedP50US: goalAddedP50.Microseconds()}
	r.Skipped = s.skipped
	for _, scene := range s.scenes {
		measured, err := scene.measure(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w%s", scene.name, err, s.lastWords())
		}
		r.Scenes = append(r.Scenes, measured)
	}
	var table strings.Builder
	if err := writeTable(&table, r); err != nil {
		return err
	}
	if o.write != "" {
		if err := document.WriteInto(o.write, command, "```\n"+table.String()+"```\n"); err != nil {
			return err
		}
	}
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	_, err = io.WriteString(out, table.String())
	return err
}
