package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

// poolFlags are common to `mainspring pool` and its subcommands.
type poolFlags struct {
	pool, stateDir string
	json           bool
}

func newPoolCommand() *cobra.Command {
	flags := &poolFlags{}
	command := &cobra.Command{
		Use:   "pool [NAME]",
		Short: "Show a device pool: hosts, leases, what waits and why; or give it an order",
		Long: "Shows a device pool: its hosts with their devices, who holds which lease, what waits and why, and\n" +
			"what tenants have used. The subcommands are an operator's orders; each is recorded in the pool's\n" +
			"history with who gave it and why.",
		Example: "  mainspring pool\n  mainspring pool drain host-3 --reason 'new power supply'\n  mainspring pool quota research 16 --weight 2\n" +
			"  mainspring pool explain lifecycle/flight-delay/2013-03-01/train",
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 1 {
				flags.pool = args[0]
			}
			return flags.connect(command.Context(), func(ctx context.Context, c *client.Client) error {
				status, err := c.Pool(ctx, flags.pool)
				if err != nil {
					return err
				}
				if flags.json {
					return writeJSON(command.OutOrStdout(), status)
				}
				return printPool(command.OutOrStdout(), status, time.Now())
			})
		},
	}
	common := command.PersistentFlags()
	common.StringVar(&flags.pool, "pool", models.DefaultPool, "the pool")
	common.StringVar(&flags.stateDir, "state-dir", "", stateDirUsage)
	common.BoolVar(&flags.json, "json", false, "print JSON")
	command.AddCommand(
		orderCommand(flags, models.ActionCordon, "NODE", "Lend nothing more on a host; its leases go on", toNode),
		orderCommand(flags, models.ActionUncordon, "NODE", "Lend on a host again; ends a drain as well", toNode),
		orderCommand(flags, models.ActionDrain, "NODE", "Cordon a host and ask its leases to move", toNode),
		orderCommand(flags, models.ActionQuarantine, "UUID", "Take a device out of use; its leases end at once", toDevice),
		orderCommand(flags, models.ActionUnquarantine, "UUID", "Put a device back into use", toDevice),
		newPoolQuotaCommand(flags),
		newPoolExplainCommand(flags),
	)
	return command
}

func (f *poolFlags) connect(ctx context.Context, use func(context.Context, *client.Client) error) error {
	return connect(ctx, f.stateDir, use)
}

func toNode(order *models.PoolOrder, name string)   { order.Node = name }
func toDevice(order *models.PoolOrder, uuid string) { order.UUID = uuid }

func orderCommand(flags *poolFlags, action models.PoolAction, argument, short string, aim func(*models.PoolOrder, string)) *cobra.Command {
	order := &models.PoolOrder{Action: action}
	command := &cobra.Command{
		Use: string(action) + " " + argument, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			aim(order, args[0])
			return flags.operate(command, *order)
		},
	}
	signed(command, order)
	return command
}

// signed adds who gives an order and why.
func signed(command *cobra.Command, order *models.PoolOrder) {
	command.Flags().StringVar(&order.By, "by", operator(), "who gives the order")
	command.Flags().StringVar(&order.Reason, "reason", "", "why; shown to everybody whom it concerns")
}

// operator is user@host, as far as they are known.
func operator() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

func newPoolQuotaCommand(flags *poolFlags) *cobra.Command {
	order := &models.PoolOrder{Action: models.ActionQuota}
	command := &cobra.Command{
		Use: "quota TENANT GPUS", Short: "Limit what a tenant may hold at once; 0 lifts the limit", Args: cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			order.Tenant = args[0]
			var err error
			if order.GPUs, err = strconv.ParseFloat(args[1], 64); err != nil || order.GPUs < 0 {
				return &usageError{fmt.Errorf("%q is not a number of devices: write 8, 0.5, or 0 for no limit", args[1])}
			}
			return flags.operate(command, *order)
		},
	}
	command.Flags().Float64Var(&order.Weight, "weight", 0, "the tenant's share relative to others; 0 leaves it as it is")
	signed(command, order)
	return command
}

func (f *poolFlags) operate(command *cobra.Command, order models.PoolOrder) error {
	return f.connect(command.Context(), func(ctx context.Context, c *client.Client) error {
		result, err := c.Operate(ctx, f.pool, order)
		if err != nil {
			return err
		}
		out := command.OutOrStdout()
		if f.json {
			return writeJSON(out, result)
		}
		fmt.Fprintln(out, result.Done)
		for _, affected := range result.Affected {
			fmt.Fprintln(out, "  ends: "+affected)
		}
		return nil
	})
}

func newPoolExplainCommand(flags *poolFlags) *cobra.Command {
	return &cobra.Command{
		Use: "explain REQUEST-OR-HOLDER", Short: "Say why a request waits, by its ID or the workflow that asked", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return flags.connect(command.Context(), func(ctx context.Context, c *client.Client) error {
				why, err := c.ExplainWait(ctx, flags.pool, args[0])
				if err != nil {
					return err
				}
				if why == "" {
					return fmt.Errorf("nothing of %s waits in pool %s; `mainspring pool %s` lists what does", args[0], flags.pool, flags.pool)
				}
				if flags.json {
					return writeJSON(command.OutOrStdout(), map[string]string{"waits": args[0], "reason": why})
				}
				_, err = fmt.Fprintln(command.OutOrStdout(), why)
				return err
			})
		},
	}
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
