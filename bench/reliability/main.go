// Command reliability breaks one training after the other on a stack of its own
// and prints what each cost.
//
//	go run ./bench/reliability                  every case, as JSON
//	go run ./bench/reliability -only rank,shim  some
//	go run ./bench/reliability -write           also into docs/reliability.md
//
// It needs what `make demo` needs, takes about six minutes and uses the whole
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
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/reliability"
)

// limit is for everything; a first run builds a Python environment.
const limit = 20 * time.Minute

func main() {
	write := flag.Bool("write", false, "write the figures into docs/reliability.md")
	only := flag.String("only", "", "cases, separated by commas: "+strings.Join(reliability.Names(), ","))
	logs := flag.String("keep-logs", "", "directory for the stack's logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *write, *only, *logs); err != nil {
		fmt.Fprintln(os.Stderr, "reliability:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool, only, logs string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	config := reliability.Config{Root: ".", Log: func(format string, arguments ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	}}
	if only != "" {
		config.Only = strings.Split(only, ",")
	}
	if config.Dir, err = os.MkdirTemp("", "mainspring-reliability-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(config.Dir)) }()
	figures, err := measure(ctx, config, logs)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	if write {
		if err := figures.WriteInto(filepath.Join("docs", "reliability.md")); err != nil {
			return err
		}
	}
	return figures.Check()
}

func measure(ctx context.Context, config reliability.Config, logs string) (figures reliability.Figures, err error) {
	l, err := laptop.Start(ctx, laptop.Config{Root: config.Root, Dir: config.Dir, Command: "bench/reliability", Log: config.Log})
	if err != nil {
		return figures, err
	}
	defer func() {
		err = errors.Join(err, l.End())
		if logs != "" {
			err = errors.Join(err, os.CopyFS(logs, os.DirFS(filepath.Join(l.StateDir(), "logs"))))
		}
	}()
	return reliability.Run(ctx, l, config)
}
