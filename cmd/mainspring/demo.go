package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mainspring-ml/mainspring/internal/demo"
)

func newDemoCommand() *cobra.Command {
	var options demo.Options
	var plain bool
	command := &cobra.Command{
		Use:   "demo",
		Short: "A year of a model's life on real data, with everything real",
		Long: "Installs what is missing, starts a Temporal server, an S3 server, MLflow, a worker, two agents and a\n" +
			"gateway, and lives through the flights of 2013: a model is trained, judged, registered, released,\n" +
			"watched, found decaying and replaced. Kill any process meanwhile. The report is in the state directory.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			options.Out, options.Command = command.OutOrStdout(), "mainspring demo"
			options.Terminal = !plain && term.IsTerminal(int(os.Stdout.Fd()))
			return demo.Main(command.Context(), options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.SpecPath, "spec", "examples/flights/lifecycle.yaml", "lifecycle to run; its data.source is a local directory")
	flags.StringVar(&options.StateDir, "state-dir", ".mainspring/demo", "directory for the stack's data, logs and the report")
	flags.IntVar(&options.Requests, "requests", 76000, "about how many single requests to send")
	flags.BoolVar(&options.Exit, "exit", false, "end the stack when the story is told")
	flags.BoolVar(&options.OnlyFreePorts, "free-ports", false, "take free ports even where the default ones are free")
	flags.BoolVar(&plain, "plain", false, "print lines instead of a live view")
	return command
}

func newDevCommand() *cobra.Command {
	var options demo.StackOptions
	command := &cobra.Command{
		Use:   "dev",
		Short: "The stack of the demo, empty, for your own models",
		Long: "Installs what is missing and runs Temporal, S3, MLflow, a worker, two agents with virtual devices and a\n" +
			"gateway until Ctrl-C. `mainspring run` in another terminal of the same directory finds it.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			options.Out, options.Command = command.OutOrStdout(), "mainspring dev"
			return demo.Dev(command.Context(), options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.StateDir, "state-dir", ".mainspring/dev", "directory for the stack's data and logs")
	flags.BoolVar(&options.OnlyFreePorts, "free-ports", false, "take free ports even where the default ones are free")
	return command
}
