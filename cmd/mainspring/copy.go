package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/copying"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// copyFlags are the flags of mainspring copy.
type copyFlags struct {
	stateDir string
	parallel int
	dryRun   bool
}

func newCopyCommand() *cobra.Command {
	var f copyFlags
	command := &cobra.Command{
		Use:   "copy SOURCE DESTINATION",
		Short: "Copy a snapshot, a model version or any objects to another store",
		Long: "SOURCE is a snapshot (the first digits of its digest, snapshots/<digest>, or the URI of its manifest), a model\n" +
			"version (MODEL/3 or MODEL@champion), or an s3:// or file:// URI of a tree, an object, or all below a prefix/.\n" +
			"DESTINATION is s3://bucket/prefix/ or file:///directory/. Which store holds an s3:// URI, and with which keys it\n" +
			"is reached, is said by --stores; no store needs to reach another.\n\n" +
			"Every object's SHA-256 is compared before it appears, and manifests come last: what has one is complete. A copy\n" +
			"that was cut off goes on when the same command is given again.",
		Example: "  mainspring copy 5f1c9a3e s3://archive/2013/\n" +
			"  mainspring copy flight-delay@champion s3://edge-models/ --stores stores.yaml\n" +
			"  mainspring copy s3://lake/flights/ file:///data/flights/ --dry-run",
		Args: cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			return f.copy(command, args[0], args[1])
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	flags.IntVar(&f.parallel, "parallel", copying.DefaultParallel, "objects that are under way at once")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	return command
}

func (f copyFlags) copy(command *cobra.Command, source, destination string) error {
	ctx, out := command.Context(), command.OutOrStdout()
	if f.parallel < 1 {
		return &usageError{errors.New("--parallel is at least 1")}
	}
	stack, err := findStack(f.stateDir)
	if err != nil {
		return err
	}
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return err
	}
	to, err := copying.Open(store, destination)
	if err != nil {
		return &usageError{err}
	}
	plan, err := f.plan(ctx, store, stack, source)
	if err != nil {
		return err
	}
	copier := copying.Copier{Source: store, To: to, Parallel: f.parallel}
	if f.dryRun {
		missing, err := copier.Missing(ctx, plan)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, dryRunText(plan, missing, to))
		return err
	}
	var progress copying.Progress
	began := time.Now()
	if err := showCopy(ctx, out, plan, &progress, func(ctx context.Context) error { return copier.Run(ctx, plan, &progress) }); err != nil {
		if done := progress.Objects.Load(); done > 0 || ctx.Err() != nil {
			err = fmt.Errorf("%w\ncopied before: %s; the same command goes on from there", err, counted(int(done+progress.SkippedObjects.Load()), "object"))
		}
		return err
	}
	_, err = io.WriteString(out, copiedText(plan, &progress, time.Since(began), to))
	return err
}

var (
	versionName  = regexp.MustCompile(`^([^/@:]+)(?:/([0-9]+)|@([A-Za-z0-9_-]+))$`)
	digestPrefix = regexp.MustCompile(`^(?:snapshots/)?([0-9a-f]{6,64})/?$`)
)

// plan finds out what a source is. Nothing is written.
func (f copyFlags) plan(ctx context.Context, store *artifact.Stores, stack devstack.Access, source string) (copying.Plan, error) {
	if strings.Contains(source, "://") {
		return copying.At(ctx, store, source)
	}
	if digest := digestPrefix.FindStringSubmatch(source); digest != nil {
		uri, err := copying.FindSnapshot(ctx, store, digest[1])
		if err != nil {
			return copying.Plan{}, err
		}
		return copying.Snapshot(ctx, store, uri)
	}
	name := versionName.FindStringSubmatch(source)
	if name == nil {
		return copying.Plan{}, &usageError{fmt.Errorf("%q is neither a snapshot's digest (6 to 64 hexadecimal digits), a model version (MODEL/3, MODEL@champion) nor a URI", source)}
	}
	version, err := findVersion(ctx, stack, name[1], name[2]+name[3])
	if err != nil {
		return copying.Plan{}, err
	}
	return copying.Version(ctx, store, name[1], version)
}

// showCopy runs a copy, below a bar if out is a terminal.
func showCopy(ctx context.Context, out io.Writer, plan copying.Plan, progress *copying.Progress, run func(context.Context) error) error {
	if !terminal.Is(out) {
		return run(ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	screen := terminal.NewScreen(out, nil)
	defer screen.Close()
	ticker := time.NewTicker(redrawEvery / 4)
	defer ticker.Stop()
	for began := time.Now(); ; {
		screen.Draw(func(columns, _ int) []string {
			l := layout{paint: terminal.Colours(), columns: columns}
			return l.fitted([]string{copyLine(l, plan, progress, time.Since(began))})
		})
		select {
		case err := <-ended:
			screen.Draw(func(int, int) []string { return nil })
			return err
		case <-ticker.C:
		}
	}
}
