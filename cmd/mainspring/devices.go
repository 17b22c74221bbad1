package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
)

func newDevicesCommand() *cobra.Command {
	var config worker.AgentConfig
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices an agent on this host would offer",
		Long: `Devices probes this host as an agent does, and prints each device with its place
in the host, its links, its health and what it does at the moment. What can't be
told of a device is left out. Faults that a running agent has heard of as events
are in the agent's log and in the pool, not here.`,
		Example: `  mainspring devices
  mainspring devices --json
  mainspring devices --virtual-devices 4 --virtual-mig '1g.10gb*7' --virtual-mig none --virtual-links`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inventory, err := config.Inventory()
			if err != nil {
				return &usageError{err}
			}
			found, err := survey(cmd.Context(), inventory)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(found)
			}
			return printDevices(cmd.OutOrStdout(), found)
		},
	}
	host, err := os.Hostname()
	if err != nil {
		host = "local" // only names devices without a UUID here
	}
	cmd.Flags().StringVar(&config.Node, "node", host, "name of this host, in the names of devices without a UUID")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	virtualFlags(cmd, &config)
	return cmd
}

// surveyed is a device with what it does at the moment.
type surveyed struct {
	models.Device
	Figures *accel.Figures `json:"figures,omitempty"`
}

func survey(ctx context.Context, inventory accel.Inventory) ([]surveyed, error) {
	devices, err := inventory.Devices(ctx)
	if err != nil {
		return nil, err
	}
	figures := map[string]*accel.Figures{}
	if measurer, ok := inventory.(accel.Measurer); ok {
		measured, err := measurer.Measure(ctx)
		if err != nil {
			return nil, err
		}
		for _, f := range measured {
			figures[f.UUID] = &f
		}
	}
	found := make([]surveyed, len(devices))
	for i, d := range devices {
		found[i] = surveyed{Device: d, Figures: figures[d.UUID]}
	}
	return found, nil
}

func printDevices(w io.Writer, found []surveyed) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "no devices; --virtual-devices offers the host's cores as such")
		return err
	}
	if err := printDeviceTable(w, found); err != nil {
		return err
	}
	if err := printLinks(w, found); err != nil {
		return err
	}
	return printProcesses(w, found)
}
