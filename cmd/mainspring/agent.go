package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
)

func newAgentCommand() *cobra.Command {
	var config worker.AgentConfig
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Offer this host's devices, and run training and model servers on them",
		Long: `Agent finds the devices of this host, announces them to a pool, and runs what is
placed on them. It dials out only: to Temporal, S3 and MLflow, whose addresses it
reads from the environment; see docs/configuration.md.

What it runs outlives it. After SIGTERM, or a crash, training and servers go on,
and the next agent with the same node name and state directory attaches to them;
without one they end after --orphan-timeout. --stop-jobs-on-exit ends them with
the agent.`,
		Example: `  mainspring agent --state-dir /var/lib/mainspring --address 10.0.0.7
  mainspring agent --node gpu-7 --label region=eu-west --label spot=false --cpus 60
  mainspring agent --node laptop --state-dir .mainspring/agent --virtual-devices 2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return worker.RunAgent(cmd.Context(), config)
		},
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // then --node has to be given, and the agent says so
	}
	flags := cmd.Flags()
	flags.StringVar(&config.Node, "node", host, "name of this host, unique in the cluster")
	flags.StringVar(&config.Pool, "pool", models.DefaultPool, "pool that the devices belong to")
	flags.StringVar(&config.Address, "address", "127.0.0.1", "address under which other hosts reach this one")
	flags.StringVar(&config.StateDir, "state-dir", "", "directory of running jobs; the next agent must use the same (default mainspring/agents/NODE in the user's state directory)")
	flags.StringVar(&config.CacheDir, "cache-dir", "", "directory of data, models and Python environments (default MAINSPRING_CACHE, or the user's cache)")
	flags.StringToStringVar(&config.Labels, "label", nil, "label of this host that requests may ask for, such as region=eu-west; repeatable")
	flags.Float64Var(&config.CPUs, "cpus", 0, "cores to lease with the devices (default those that this process may use)")
	flags.TextVar(&config.Memory, "memory", models.Bytes(0), "memory to lease with the devices, such as 64GiB (default what this process may use)")
	flags.StringArrayVar(&config.XIDPolicy, "xid", nil, "what an XID of an NVIDIA device means: NUMBER=ignore, restart, quarantine or consult; repeatable, see docs/devices.md")
	flags.BoolVar(&config.ForgetFaults, "forget-faults", false, "the devices were reset: offer those again that the last agent has seen fail")
	virtualFlags(cmd, &config)
	flags.DurationVar(&config.Orphan, "orphan-timeout", 15*time.Minute, "how long jobs go on without an agent")
	flags.BoolVar(&config.EndJobs, "stop-jobs-on-exit", false, "end all jobs when the agent stops")
	flags.StringVar(&config.MetricsAddr, "metrics-addr", "127.0.0.1:0", "address of /metrics; empty for none")
	return cmd
}

// virtualFlags are shared with the command that lists devices.
func virtualFlags(cmd *cobra.Command, config *worker.AgentConfig) {
	flags := cmd.Flags()
	flags.IntVar(&config.VirtualDevices, "virtual-devices", 0, "offer so many virtual devices instead of the host's own")
	flags.StringVar(&config.VirtualModel, "virtual-model", "virtual", "model name of virtual devices")
	flags.TextVar(&config.VirtualMemory, "virtual-memory", models.Bytes(0), "memory of a virtual device, such as 4GiB")
	flags.StringArrayVar(&config.VirtualMIG, "virtual-mig", nil, "cut virtual devices into MIG instances, such as '1g.10gb*7' or '3g.40gb,2g.20gb*2'; once for all of them, or once for each, with 'none' for a whole one")
	flags.IntVar(&config.VirtualNUMA, "virtual-numa", 0, "spread virtual devices, and this host's cores, over so many NUMA nodes")
	flags.BoolVar(&config.VirtualLinks, "virtual-links", false, "virtual devices reach each other, as over NVLink")
	flags.StringVar(&config.VirtualFaults, "virtual-faults", "", "JSON file that breaks and heals virtual devices; see docs/devices.md")
}
