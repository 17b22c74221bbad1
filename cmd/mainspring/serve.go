package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	stdruntime "runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/serving"
)

// serveFlags are the flags of mainspring serve.
type serveFlags struct {
	modelDir  string
	addr      string
	grpcAddr  string
	device    string
	advertise string
	readyFile string
	threads   int
	signature string
	keys      []string // PEM files
	config    serving.Config
	adapt     adaptFlags
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve --model-dir DIR --name ENDPOINT --version VERSION",
		Short: "Serve one model version over the Open Inference Protocol v2",
		Long: `Serve loads the ONNX model of a model directory (MLflow's format) and answers
the Open Inference Protocol v2 over HTTP and, with --grpc-addr, over gRPC. It
needs ONNX Runtime's shared library, whose path it takes from
MAINSPRING_ONNXRUNTIME.

It is ready once a first prediction has been made; then it writes its URL to the
ready file, and its gRPC address in a second line. On SIGTERM it is not ready at
once, finishes the requests in flight and leaves.

With --batch-max-rows, requests that arrive while a prediction runs are
predicted together. A lone request starts at once; right after a joint
prediction one waits up to --batch-max-delay for as many rows as that had.

With --adapt it loads nothing, and translates for another model server.`,
		Example: `  mainspring serve --model-dir model/ --name flights --version 3 --addr 127.0.0.1:8000
  curl -s localhost:8000/v2/models/flights`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			if err := f.checkSignature(cmd); err != nil {
				return err
			}
			if f.adapt.upstream != "" {
				return serveAdapted(ctx, f)
			}
			return serve(ctx, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.modelDir, "model-dir", "", "directory with an MLmodel file that has an onnx flavour")
	flags.StringVar(&f.config.Name, "name", "", "model name in URLs: the endpoint's name")
	flags.StringVar(&f.config.Version, "version", "", "model version")
	flags.StringVar(&f.addr, "addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	flags.StringVar(&f.grpcAddr, "grpc-addr", "", "address to answer gRPC on (default: none)")
	flags.StringVar(&f.advertise, "advertise", "", "host in the URL that is written to the ready file (default: the address's own)")
	flags.StringVar(&f.readyFile, "ready-file", "", "file to write the URL to once the server is ready, and the gRPC address in a second line (default: standard output)")
	flags.IntVar(&f.threads, "threads", 1, "threads that one prediction may use")
	flags.StringVar(&f.signature, "signature", "", "signature that the model must verify with before it is loaded; see docs/signing.md")
	flags.StringArrayVar(&f.keys, "public-key", nil, "PEM file of a key whose signature counts; repeatable")
	flags.Int64Var(&f.config.MaxBodyBytes, "max-body-bytes", 16<<20, "largest request body")
	flags.Int64Var(&f.config.MaxBatch, "max-batch", 4096, "most rows in one request")
	flags.Int64Var(&f.config.MaxPending, "max-pending", 512, "most requests in hand; more are refused with status 503; times --max-body-bytes it bounds their memory")
	flags.Int64Var(&f.config.Batch.MaxRows, "batch-max-rows", 0, "most rows in one prediction of several requests (default: each by itself)")
	flags.DurationVar(&f.config.Batch.MaxDelay, "batch-max-delay", time.Millisecond, "longest time that a request waits for others while a prediction runs, or right after a joint one")
	flags.StringVar(&f.device, "device", string(serving.DeviceAuto), "auto (the leased device if the library can use it), cpu, cuda or rocm")
	flags.DurationVar(&f.config.Drain, "drain", 10*time.Second, "longest time for requests in flight after SIGTERM")
	f.adapt.register(flags)
	for _, name := range []string{"model-dir", "name", "version"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// checkSignature refuses a model whose files are not those that were signed.
// One flag without the other would check nothing, and look as if it did.
func (f serveFlags) checkSignature(cmd *cobra.Command) error {
	switch {
	case f.signature == "" && len(f.keys) == 0:
		return nil
	case f.signature == "":
		return &usageError{errors.New("--public-key without --signature: name the signature as well")}
	case len(f.keys) == 0:
		return &usageError{errors.New("--signature without --public-key: name the key that must have signed")}
	}
	_, err := verifySignature(cmd, f.modelDir, f.signature, f.keys)
	return err
}

func serve(ctx context.Context, f serveFlags) (err error) {
	device, err := serving.ParseDevice(f.device)
	if err != nil {
		return &usageError{err}
	}
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{Threads: f.threads, Device: device})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	model, err := runtime.Load(f.modelDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	if model.Note != "" {
		slog.Warn(model.Note)
	}
	f.config.Inputs, f.config.Outputs, f.config.Provider = model.Inputs, model.Outputs, model.Provider
	f.config.Parallel = max(1, stdruntime.GOMAXPROCS(0)/max(1, f.threads))
	server, err := serving.NewServer(f.config, model)
	if err != nil {
		return err
	}
	return answer(ctx, f, server)
}

// answer serves until ctx ends, over HTTP and where asked over gRPC.
func answer(ctx context.Context, f serveFlags, server *serving.Server) error {
	listener, err := listen(f.addr, "--addr")
	if err != nil {
		return err
	}
	lines := []string{boundURL(listener, f.advertise)}
	group, ctx := errgroup.WithContext(ctx)
	if f.grpcAddr != "" {
		grpcListener, err := listen(f.grpcAddr, "--grpc-addr")
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		lines = append(lines, strings.TrimPrefix(boundURL(grpcListener, f.advertise), "http://"))
		group.Go(func() error { return server.ServeGRPC(ctx, grpcListener) })
	}
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error {
		if err := server.WarmUp(ctx); err != nil {
			return err
		}
		return announce(f.readyFile, lines...)
	})
	return group.Wait()
}

func listen(addr, flag string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w (choose another %s; port 0 takes a free one)", err, flag)
	}
	return listener, nil
}

// boundURL is the address under which others reach the listener. advertise
// replaces the host; a listener on all interfaces is reachable here only unless
// it is given.
func boundURL(listener net.Listener, advertise string) string {
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil { // a TCP address always splits
		return "http://" + listener.Addr().String()
	}
	switch ip := net.ParseIP(host); {
	case advertise != "":
		host = advertise
	case ip != nil && ip.IsUnspecified():
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// announce writes lines to the ready file, all at once: a reader sees nothing
// or everything. An empty path prints them to standard output instead.
func announce(path string, lines ...string) error {
	var text string
	for _, line := range lines {
		text += line + "\n"
	}
	if path == "" {
		_, err := fmt.Print(text)
		return err
	}
	if err := writeWhole(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	return nil
}
