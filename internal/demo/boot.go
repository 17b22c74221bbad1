package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

// devicesPerAgent: two hosts with three devices each hold a champion of two
// replicas and, beside it, a gang of two or a canary of two.
const devicesPerAgent = 3

// StackOptions is how a laptop's stack is brought up.
type StackOptions struct {
	StateDir string
	Command  string // what the user typed, for messages
	Out      io.Writer
	// OnlyFreePorts leaves the default ports alone.
	OnlyFreePorts bool
}

// Up is a running stack and how long its parts took.
type Up struct {
	*devstack.Stack
	Setup time.Duration // installing
	Start time.Duration // starting
}

// BringUp installs what is missing, starts the servers, and then Mainspring's
// own processes on them. The caller stops the stack.
func BringUp(ctx context.Context, options StackOptions) (*Up, error) {
	began := time.Now()
	tools, err := devstack.Setup(ctx, setupLines(options.Out))
	if err != nil {
		return nil, err
	}
	up := &Up{Setup: time.Since(began)}
	began = time.Now()
	fmt.Fprintf(options.Out, "  starting Temporal, S3, MLflow …\n")
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	log, err := openLog(options.StateDir)
	if err != nil {
		return nil, err
	}
	up.Stack, err = devstack.Start(ctx, devstack.Config{
		StateDir: options.StateDir, Tools: tools, Program: program, Watchdog: []string{program, "watchdog"},
		Command: options.Command, OnlyFreePorts: options.OnlyFreePorts, ExternalS3: devstack.ExternalS3(os.Getenv),
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return nil, err
	}
	if err := up.Launch(ctx, devstack.LaptopPrograms(up.StateDir(), up.Access(), devicesPerAgent)...); err != nil {
		up.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	up.Start = time.Since(began)
	fmt.Fprintf(options.Out, "  ✓ stack up in %.1f s\n", up.Start.Seconds())
	return up, nil
}

// Pages are the addresses worth opening.
func (u *Up) Pages() map[string]string {
	a := u.Access()
	return map[string]string{
		"Temporal": a.TemporalUI, "MLflow": a.MLflow, "gateway": a.Gateway, "S3": a.S3.Endpoint,
	}
}

// Restarts counts how often the supervisor had to start a process again.
func (u *Up) Restarts() map[string]int {
	counts := map[string]int{}
	for _, s := range u.Status() {
		if s.Starts > 1 {
			counts[s.Name] = s.Starts - 1
		}
	}
	return counts
}

func openLog(stateDir string) (io.Writer, error) {
	if err := os.MkdirAll(filepath.Join(stateDir, "logs"), 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(stateDir, "logs", "stack.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return log, nil
}

// setupLines prints one line when an item begins to install and one when it is
// there.
func setupLines(out io.Writer) devstack.ReporterFunc {
	return func(p devstack.Progress) {
		switch p.State {
		case devstack.Cached:
			fmt.Fprintf(out, "  ✓ %-28s %s\n", p.Title, p.Detail)
		case devstack.Installing:
			fmt.Fprintf(out, "  … %-28s %s %s\n", p.Title, p.Detail, elapsed(p.Elapsed))
		case devstack.Done:
			fmt.Fprintf(out, "  ✓ %-28s installed %s\n", p.Title, elapsed(p.Elapsed))
		case devstack.Failed:
			fmt.Fprintf(out, "  ✗ %-28s %s\n", p.Title, elapsed(p.Elapsed))
		}
	}
}

func elapsed(d time.Duration) string {
	if d < 100*time.Millisecond {
		return ""
	}
	return fmt.Sprintf("(%.1f s)", d.Seconds())
}

// Options of the whole demo.
type Options struct {
	StackOptions
	SpecPath string
	Requests int
	Exit     bool // end the stack when the story is told
	Terminal bool // Out can be redrawn
}

// Main is `mainspring demo` from set-up to report.
func Main(ctx context.Context, options Options) error {
	document, err := spec.Read(options.SpecPath)
	if err != nil {
		return err
	}
	dataDir, err := localData(options.SpecPath, document.Spec)
	if err != nil {
		return err
	}
	if err := forget(options.StateDir); err != nil {
		return err
	}
	up, err := BringUp(ctx, options.StackOptions)
	if err != nil {
		return err
	}
	defer up.Stop(context.WithoutCancel(ctx))
	story, err := tell(ctx, options, up, document, dataDir)
	if err != nil {
		return err
	}
	fmt.Fprint(options.Out, closing(story, options))
	if options.Exit {
		return nil
	}
	fmt.Fprintln(options.Out, "\nThe stack stays up. Ctrl-C ends it.")
	return up.Wait(ctx)
}

// localData is the directory that the demo replays; a spec that reads from
// elsewhere has no traffic to offer.
func localData(specPath string, s models.LifecycleSpec) (string, error) {
	if !spec.IsLocal(s.Data.Source) {
		return "", fmt.Errorf("%s: data.source is %s; the demo replays local files, so name a local directory", specPath, s.Data.Source)
	}
	if s.Deploy == nil || s.Monitor == nil || s.Data.AsOf.IsZero() {
		return "", fmt.Errorf("%s: the demo needs deploy, monitor and data.as_of", specPath)
	}
	return spec.Beside(filepath.Dir(specPath), s.Data.Source), nil
}

func tell(ctx context.Context, options Options, up *Up, document *spec.Document, dataDir string) (*Story, error) {
	access := up.Access()
	store, err := artifact.NewS3(artifact.ConfigFromEnv(lookup(access.Env())))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	resolved, err := spec.Resolve(ctx, document, spec.StoreUploader{Store: store})
	if err != nil {
		return nil, err
	}
	getenv := lookup(access.Env())
	connection, err := client.Dial(ctx, client.DialOptions{Address: access.TemporalAddress, Namespace: access.TemporalNamespace,
		UI: access.TemporalUI, Getenv: getenv})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	// A demo is a year from its beginning: an earlier one's runs in the same
	// state directory have other IDs.
	id, err := connection.StartLifecycle(ctx, resolved, client.StartOptions{})
	if err != nil {
		return nil, err
	}
	payloads, err := claimcheck.FromEnv(getenv)
	if err != nil {
		return nil, err
	}
	temporal, err := sdk.DialContext(ctx, sdk.Options{HostPort: access.TemporalAddress, Namespace: access.TemporalNamespace,
		Logger: quiet(), DataConverter: payloads})
	if err != nil {
		return nil, fmt.Errorf("temporal at %s: %w", access.TemporalAddress, err)
	}
	defer temporal.Close()
	view := newView(options.Out, options.Terminal)
	story, err := Run(ctx, Config{
		Temporal: temporal, Gateway: access.Gateway, UI: up.Pages(),
		Spec: resolved.WithDefaults(), LifecycleID: id, DataDir: dataDir, Requests: options.Requests,
		Setup: up.Setup, View: view,
	})
	view.Close()
	if err != nil && !errors.Is(err, context.Canceled) {
		return story, err
	}
	story.WallSeconds = time.Since(began).Seconds() + up.Start.Seconds()
	story.Restarts, story.Namespace = up.Restarts(), access.TemporalNamespace
	if writeErr := WriteReport(options.StateDir, story); writeErr != nil {
		return story, writeErr
	}
	return story, err
}

func lookup(pairs []string) func(string) string {
	values := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

// Dev is `mainspring dev`: the stack, its addresses, and nothing else.
func Dev(ctx context.Context, options StackOptions) error {
	up, err := BringUp(ctx, options)
	if err != nil {
		return err
	}
	defer up.Stop(context.WithoutCancel(ctx))
	fmt.Fprint(options.Out, pages(up.Pages()))
	fmt.Fprintln(options.Out, "\nNow, in another terminal: mainspring run -f examples/flights/lifecycle.yaml\nCtrl-C ends the stack.")
	return up.Wait(ctx)
}

// quiet keeps the SDK's log off the terminal.
func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// forget removes what an earlier demo left, so that every year begins on
// 1 March without a champion. A stack that still runs on the directory keeps
// everything: the start that follows says who it is. Only what a stack makes is
// removed, whatever else the directory holds.
func forget(stateDir string) error {
	if _, err := devstack.Discover(stateDir); !errors.Is(err, devstack.ErrNotRunning) {
		return nil // it runs, or can't be told: Start reports it
	}
	for _, name := range []string{
		"agents", "gateway", "logs", "s3", "s3-metadata", "mlflow.db", "temporal.db", "temporal.db-shm", "temporal.db-wal",
		"report.html", "report.json",
	} {
		if err := os.RemoveAll(filepath.Join(stateDir, name)); err != nil {
			return fmt.Errorf("clean up after the last demo: %w", err)
		}
	}
	return nil
}
