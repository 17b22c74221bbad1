package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2 // wrong flags, or a spec with problems
	exitInterrupted = 130
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "mainspring",
		Short: "A durable engine for the life of a model: from raw data to a guarded release, and back",
		Long: "Mainspring carries a model from raw data to a guarded release as one Temporal workflow,\n" +
			"watches it there, and retrains it when it decays.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 wrong usage or a spec with problems.",
		SilenceUsage:  true,
		SilenceErrors: true, // execute prints them
		Args:          cobra.NoArgs,
		RunE:          func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	addStoresFlag(root)
	root.AddCommand(
		newDemoCommand(),
		newDevCommand(),
		newRunCommand(),
		newStatusCommand(),
		newLogsCommand(),
		newTopUpCommand(),
		newApproveCommand(),
		newRejectCommand(),
		newRollBackCommand(),
		newRolloutCommand(),
		newMonitorCommand(),
		newAliasesCommand(),
		newAuditCommand(),
		newDataCommand(),
		newLineageCommand(),
		newRenderCommand(),
		newSchemaCommand(),
		newSetupCommand(),
		newDoctorCommand(),
		newWatchdogCommand(),
		newReplayCommand(),
		newWorkerCommand(),
		newAgentCommand(),
		newGatewayCommand(),
		newLabelsCommand(),
		newCopyCommand(),
		newServeCommand(),
		newPredictCommand(),
		newShimCommand(),
		newPoolCommand(),
		newDevicesCommand(),
		newSignCommand(),
		newVerifyCommand(),
		newKeygenCommand(),
		newVersionCommand(),
	)
	return root
}

// execute runs one command line, prints its error as one block, and returns
// the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	markOwnErrors(root)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var own *ownError
	if !errors.As(err, &own) {
		fmt.Fprintf(stderr, "mainspring: %v\nsee `%s --help`\n", err, command.CommandPath())
		return exitUsage
	}
	return report(own.error, stderr)
}

// report prints a command's own error. Problems of a spec start with their
// place, so that editors can jump to it.
func report(err error, stderr io.Writer) int {
	var located *spec.Error
	var problems models.Problems
	switch {
	case errors.Is(err, client.ErrStoppedFollowing):
		return exitInterrupted // said already, with what to do
	case errors.As(err, &located):
		fmt.Fprintln(stderr, err)
		return exitUsage
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, "mainspring: the spec has problems:\n  "+strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return exitUsage
	case errors.As(err, new(*usageError)):
		fmt.Fprintf(stderr, "mainspring: %v\n", err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "mainspring: %v\n", err)
		return exitFailed
	}
}

// usageError is a command line that cobra accepts and the command does not.
type usageError struct{ error }

// ownError is what a command's function returned. Everything else comes from
// cobra, which means that the command line was wrong.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

func markOwnErrors(command *cobra.Command) {
	if run := command.RunE; run != nil {
		command.RunE = func(command *cobra.Command, args []string) error {
			if err := run(command, args); err != nil {
				return &ownError{err}
			}
			return nil
		}
	}
	for _, child := range command.Commands() {
		markOwnErrors(child)
	}
}
