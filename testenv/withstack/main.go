// Command withstack runs a command against real servers: it installs what is
// missing, starts Temporal, S3 and MLflow on free ports in a directory of their
// own, and tells the command where they are. Everything ends with the command,
// whose exit code it returns.
//
//	go run ./testenv/withstack -- go test ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/mainspring-ml/mainspring/internal/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "withstack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "watchdog" {
		return devstack.RunWatchdog(os.Stdin)
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("no command is named; write it after two dashes, such as withstack -- make test-fast")
	}
	tools, err := devstack.Setup(ctx, devstack.ReporterFunc(func(p devstack.Progress) {
		if p.State == devstack.Installing && p.Elapsed == 0 {
			fmt.Fprintln(os.Stderr, "installing", p.Title)
		}
	}))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mainspring-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	stack, err := devstack.Start(ctx, devstack.Config{StateDir: dir, Tools: tools, OnlyFreePorts: true,
		Watchdog: []string{self, "watchdog"}, Command: "withstack"})
	if err != nil {
		return err
	}
	defer stack.Stop(context.WithoutCancel(ctx))
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	access := stack.Access()
	command.Env = append(stack.Env(),
		"MAINSPRING_TEST_STACK=1",
		"MAINSPRING_TEST_MLFLOW_URI="+access.MLflow,
		"MAINSPRING_TEST_S3_ENDPOINT="+access.S3.Endpoint,
		"MAINSPRING_TEST_TEMPORAL_ADDRESS="+access.TemporalAddress,
		"MAINSPRING_TEST_MLFLOW_PYTHON="+tools.MLflowPython,
	)
	return command.Run()
}
