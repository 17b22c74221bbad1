// Command start-from-go is another service's view of Mainspring: it starts a
// lifecycle and follows it with Temporal's SDK and the models package, and
// links nothing else of the engine.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("start-from-go", flag.ContinueOnError)
	address := flags.String("address", cmp.Or(os.Getenv("TEMPORAL_ADDRESS"), client.DefaultHostPort), "Temporal's address")
	namespace := flags.String("namespace", cmp.Or(os.Getenv("TEMPORAL_NAMESPACE"), "mainspring"), "Temporal's namespace; that of `mainspring dev` is mainspring")
	id := flags.String("id", "", "workflow ID (default: lifecycle/<model>/<today>)")
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: start-from-go [flags] spec.json   (from `mainspring render`)")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errors.New("name one rendered spec")
	}
	spec, err := readSpec(flags.Arg(0))
	if err != nil {
		return err
	}
	if *id == "" {
		*id = models.LifecycleID(spec.Model.Name, models.DayKey(time.Now()))
	}
	temporal, err := client.DialContext(ctx, client.Options{HostPort: *address, Namespace: *namespace})
	if err != nil {
		return fmt.Errorf("no Temporal at %s; start a stack with `mainspring dev`: %w", *address, err)
	}
	defer temporal.Close()
	return startAndFollow(ctx, temporal, *id, spec, time.Second, out)
}

// readSpec reads and checks what `mainspring render` wrote. The workflow checks
// it again; checking here gives the error without a round trip.
func readSpec(path string) (models.LifecycleSpec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	var spec models.LifecycleSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return models.LifecycleSpec{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := spec.ValidateResolved(); err != nil {
		return models.LifecycleSpec{}, fmt.Errorf("%s has problems:\n%w", path, err)
	}
	return spec, nil
}

// startAndFollow starts a lifecycle, prints what it does and what it waits
// for, and ends with its result.
func startAndFollow(ctx context.Context, temporal client.Client, id string, spec models.LifecycleSpec, every time.Duration, out io.Writer) error {
	// A second start with the same ID finds the lifecycle that is running.
	lifecycle, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        id,
		TaskQueue: models.TaskQueue,
	}, models.LifecycleWorkflow, spec)
	if err != nil {
		return fmt.Errorf("start %s: %w", id, err)
	}
	fmt.Fprintf(out, "started %s\n", lifecycle.GetID())

	following, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow(following, temporal, lifecycle.GetID(), every, out)
	}()
	var result models.LifecycleResult
	err = lifecycle.Get(ctx, &result)
	stop()
	<-done
	if err != nil {
		return fmt.Errorf("lifecycle %s: %w", id, err)
	}
	fmt.Fprintf(out, "%s version %q: gate %s, promoted %t: %s\n",
		result.Model, result.Version, result.Gate.Verdict, result.Promoted, result.Reason)
	return nil
}

// follow prints the status whenever it differs from the last one. A query that
// fails is tried again: the lifecycle does not depend on anybody watching.
func follow(ctx context.Context, temporal client.Client, id string, every time.Duration, out io.Writer) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		status, err := query(ctx, temporal, id)
		line := fmt.Sprintf("%s: waiting for %s", status.Stage, status.WaitingFor)
		if err == nil && status.Stage != "" && line != told {
			fmt.Fprintln(out, line)
			told = line
		}
	}
}

func query(ctx context.Context, temporal client.Client, id string) (status models.LifecycleStatus, err error) {
	answer, err := temporal.QueryWorkflow(ctx, id, "", models.StatusQuery)
	if err != nil {
		return status, err
	}
	return status, answer.Get(&status)
}
