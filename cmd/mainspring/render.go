package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

func newRenderCommand() *cobra.Command {
	var file, stateDir string
	var dryRun bool
	command := &cobra.Command{
		Use:   "render -f lifecycle.yaml",
		Short: "Print the spec as the Lifecycle workflow takes it",
		Long: "Uploads what the spec names locally and prints the input of the Lifecycle workflow, with URIs and\n" +
			"digests in place of paths: what the stock temporal CLI, or any other client, starts.",
		Example: "  mainspring render -f lifecycle.yaml > spec.json\n" +
			"  temporal workflow start --type Lifecycle --task-queue " + models.TaskQueue + " --input-file spec.json",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			resolved, err := render(command.Context(), file, stateDir, dryRun)
			if err != nil {
				return err
			}
			text, err := json.MarshalIndent(resolved, "", "  ")
			if err != nil {
				return fmt.Errorf("write spec: %w", err)
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), string(text))
			return err
		},
	}
	flags := command.Flags()
	flags.StringVarP(&file, "file", "f", "lifecycle.yaml", "spec, YAML or JSON")
	flags.BoolVar(&dryRun, "dry-run", false, "compute URIs and digests, upload nothing")
	flags.StringVar(&stateDir, "state-dir", "", stateDirUsage)
	return command
}

func render(ctx context.Context, file, stateDir string, dryRun bool) (models.LifecycleSpec, error) {
	document, err := spec.Read(file)
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	stack, err := findStack(stateDir)
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	uploader, err := openUploader(stack)
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	if dryRun {
		uploader = spec.DryRun(uploader)
	}
	return spec.Resolve(ctx, document, uploader)
}
