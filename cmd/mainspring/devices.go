package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
)

func newDevicesCommand() *cobra.Command {
	var config worker.AgentConfig
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices an agent on this host would offer",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			devices, err := config.Inventory().Devices(cmd.Context())
			if err != nil {
				return err
			}
			return printDevices(cmd.OutOrStdout(), devices, asJSON)
		},
	}
	host, err := os.Hostname()
	if err != nil {
		host = "local" // only names virtual devices here
	}
	cmd.Flags().StringVar(&config.Node, "node", host, "name of this host, in the names of virtual devices")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	virtualFlags(cmd, &config)
	return cmd
}

func printDevices(w io.Writer, devices []models.Device, asJSON bool) error {
	if asJSON {
		if devices == nil {
			devices = []models.Device{}
		}
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(devices)
	}
	if len(devices) == 0 {
		_, err := fmt.Fprintln(w, "no devices; --virtual-devices offers the host's cores as such")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "UUID\tMODEL\tMEMORY")
	for _, d := range devices {
		fmt.Fprintf(table, "%s\t%s\t%d MiB\n", d.UUID, d.Model, d.MemoryMiB)
	}
	return table.Flush()
}
