// Command registry breaks registrations and promotions on a stack of its own,
// at every call to MLflow and in every way, and prints what came of it.
//
//	go run ./bench/registry                        everything, as JSON
//	go run ./bench/registry -seeds 40 -crowd 8     less
//	go run ./bench/registry -outage 10m            a long outage of MLflow
//	go run ./bench/registry -write                 also into docs/registry-faults.md
//
// It needs what `make demo` needs, takes about ten minutes and uses the whole
// machine. It exits with 1 when a promise is broken.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/registry"
)

// limit is for everything but the outage.
const limit = 40 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	played, err := registry.Play(ctx, os.Args[1:])
	if !played {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var size registry.Size
	flag.IntVar(&size.Seeds.Seeds, "seeds", 200, "how many seeds")
	flag.IntVar(&size.Seeds.Strikes, "strikes", 3, "faults in each seed")
	flag.IntVar(&size.Seeds.Slots, "slots", 8, "seeds at once")
	flag.IntVar(&size.Crowd, "crowd", 32, "lifecycles of one model at once")
	flag.DurationVar(&size.Outage, "outage", 20*time.Second, "how long MLflow is down")
	write := flag.Bool("write", false, "write the figures into docs/registry-faults.md")
	logs := flag.String("keep-logs", "", "directory for the stack's logs")
	flag.Parse()
	ctx, cancel := context.WithTimeout(ctx, limit+size.Outage)
	defer cancel()
	dir, err := os.MkdirTemp("", "mainspring-registry-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	figures, failed := prove(ctx, dir, *logs, size)
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text)) // also what was lived through before a failure
	if failed != nil {
		return failed
	}
	if *write {
		if err := figures.WriteInto(filepath.Join("docs", "registry-faults.md")); err != nil {
			return err
		}
	}
	return figures.Check()
}

func prove(ctx context.Context, dir, logs string, size registry.Size) (figures registry.Figures, err error) {
	self, err := os.Executable()
	if err != nil {
		return figures, err
	}
	s, err := registry.Start(ctx, registry.Config{Dir: dir, Self: []string{self}, Command: "bench/registry", Log: func(format string, arguments ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	}})
	if err != nil {
		return figures, err
	}
	defer func() {
		s.End()
		if logs != "" {
			err = errors.Join(err, os.CopyFS(logs, os.DirFS(filepath.Join(s.StateDir(), "logs"))))
		}
	}()
	return s.Prove(ctx, size)
}
