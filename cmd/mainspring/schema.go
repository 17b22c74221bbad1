package main

import (
	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/spec"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of lifecycle.yaml, for editors",
		Long: "Prints the JSON Schema of a spec. Editors with the YAML language server check against it when the\n" +
			"file begins with\n\n  # yaml-language-server: $schema=lifecycle.schema.json",
		Example: "  mainspring schema > lifecycle.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			text, err := spec.Schema()
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(text)
			return err
		},
	}
}
