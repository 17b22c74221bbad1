package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/gateway"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

// gatewayFlags are the flags of mainspring gateway.
type gatewayFlags struct {
	addr      string
	adminAddr string
	grpcAddr  string
	advertise string
	readyFile string
	config    gateway.Config
}

func newGatewayCommand() *cobra.Command {
	var f gatewayFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Route, split and log inference traffic",
		Long: `Gateway is the data plane: it answers the Open Inference Protocol v2 for every
endpoint, splits requests between champion and canary, fails over, and writes
the inference log, the labels and its counters to S3. It follows the routes in
S3 and goes on with the last good ones while S3 is out.

It listens twice: --addr for callers (/v2/models/ENDPOINT/infer and /labels),
--admin-addr for operators (/metrics, /healthz, /admin/status, /admin/flush); and
with --grpc-addr a third time, for callers over gRPC.
Where S3 is it reads from the environment, see docs/configuration.md.

With --tenants callers need a key. The file is a YAML list, and is read again
when it changes:

  - tenant: web                    # named in metrics
    keys: [SHA-256 of a key]       # mainspring gateway key makes one
    endpoints: [flights]           # or ["*"]
    rate: 200                      # requests per second; 0 or absent: no limit
    burst: 400                     # at once; default: a second's worth
    concurrency: 32                # in flight; 0 or absent: no limit

The limits hold in each gateway by itself.`,
		Example: `  mainspring gateway --addr 127.0.0.1:8080
  curl -s -H 'Mainspring-Request-Id: r1' -d @request.json localhost:8080/v2/models/flights/infer
  curl -s -d '{"id":"r1","label":1}' localhost:8080/v2/models/flights/labels
  mainspring gateway --grpc-addr 127.0.0.1:8081 --tenants tenants.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			return runGateway(ctx, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8080", "address for callers; port 0 takes a free one")
	flags.StringVar(&f.adminAddr, "admin-addr", "127.0.0.1:0", "address for operators; port 0 takes a free one")
	flags.StringVar(&f.grpcAddr, "grpc-addr", "", "address for callers over gRPC; port 0 takes a free one (default: none)")
	flags.StringVar(&f.config.TenantsFile, "tenants", "", "file of those who may call, with their limits (default: everybody may)")
	flags.StringVar(&f.advertise, "advertise", "", "host in the URLs that are written to the ready file (default: the addresses' own)")
	flags.StringVar(&f.readyFile, "ready-file", "", "file to write the URLs to once they listen: callers', operators', and the gRPC address (default: standard output)")
	flags.StringVar(&f.config.Name, "name", "", "name that survives a restart; no two gateways with one bucket may share it (default: the host's)")
	flags.DurationVar(&f.config.Poll, "poll", 500*time.Millisecond, "how often routes are looked at")
	flags.DurationVar(&f.config.Flush, "flush", time.Second, "how often the inference log is written")
	flags.DurationVar(&f.config.Stats, "stats", time.Second, "how often the counters are written; the judge reads them")
	flags.StringVar(&f.config.SpoolDir, "spool-dir", "", "directory of this gateway alone, in which rows of the log wait for S3 and survive a kill, with the last good routes (default: rows wait in memory)")
	flags.DurationVar(&f.config.SpoolEvery, "spool-every", 500*time.Millisecond, "how often rows go from memory to --spool-dir; a kill loses those in memory")
	flags.Int64Var(&f.config.SpoolBytes, "spool-bytes", 1<<30, "largest size of --spool-dir; beyond it rows wait in memory")
	flags.IntVar(&f.config.FlushRows, "flush-rows", 5000, "rows that bring a write forward: to --spool-dir if there is one, else to S3")
	flags.IntVar(&f.config.BufferRows, "buffer-rows", 200_000, "rows per endpoint that wait while S3 is out; more are dropped and counted")
	flags.DurationVar(&f.config.Timeout, "timeout", 10*time.Second, "longest wait for a model server's answer, where the route does not say (deploy.traffic.timeout)")
	flags.DurationVar(&f.config.Drain, "drain", 10*time.Second, "longest time for requests in flight after SIGTERM")
	flags.Int64Var(&f.config.MaxBodyBytes, "max-body-bytes", 16<<20, "largest inference request")
	cmd.AddCommand(newGatewayKeyCommand())
	return cmd
}

func newGatewayKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Make a key for a tenant of the gateway",
		Long: `Key makes a random key and prints it with its SHA-256. The key goes to the
tenant, who sends it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'; the
digest goes into the file that gateway --tenants names. The key is kept
nowhere.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, digest := gateway.NewKey()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "key     %s\nsha256  %s\n", key, digest)
			return err
		},
	}
}

// garbagePercent is how much the heap may grow between two collections, in
// percent of what is in use. Requests leave garbage and hardly anything else, so
// that the default of 100 collects dozens of times a second a heap of a few MiB.
const garbagePercent = 400

func runGateway(ctx context.Context, f gatewayFlags) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if f.config.Name == "" {
		name, err := gatewayName()
		if err != nil {
			return err
		}
		f.config.Name = name
	}
	store, err := stores.Open(os.Getenv)
	if err != nil {
		return err
	}
	g, err := gateway.New(f.config, gateway.Artifacts{Store: store})
	if err != nil {
		return err
	}
	listeners, err := listenGateway(f)
	if err != nil {
		return err
	}
	return g.Run(ctx, listeners)
}

// listenGateway opens the listeners and tells where they are; after an error
// none is open.
func listenGateway(f gatewayFlags) (listeners gateway.Listeners, err error) {
	var opened []net.Listener
	defer func() {
		if err != nil {
			for _, l := range opened {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	for _, at := range []struct {
		flag, address string
		into          *net.Listener
	}{{"addr", f.addr, &listeners.Data}, {"admin-addr", f.adminAddr, &listeners.Admin}, {"grpc-addr", f.grpcAddr, &listeners.GRPC}} {
		if at.address == "" && at.flag == "grpc-addr" {
			continue
		}
		if *at.into, err = net.Listen("tcp", at.address); err != nil {
			return listeners, fmt.Errorf("%w (choose another --%s; port 0 takes a free one)", err, at.flag)
		}
		opened = append(opened, *at.into)
	}
	lines := []string{boundURL(listeners.Data, f.advertise), boundURL(listeners.Admin, f.advertise)}
	if listeners.GRPC != nil {
		lines = append(lines, strings.TrimPrefix(boundURL(listeners.GRPC, f.advertise), "http://"))
	}
	return listeners, announce(f.readyFile, lines...)
}

// gatewayName is the host's name, in characters that object names allow.
func gatewayName() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find the host's name: %w (give the gateway a --name)", err)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		default:
			return '-'
		}
	}, host), nil
}
