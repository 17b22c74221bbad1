package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/pflag"

	"github.com/mainspring-ml/mainspring/internal/drain"
	"github.com/mainspring-ml/mainspring/internal/serving/adapt"
	"github.com/mainspring-ml/mainspring/internal/serving/mlmodel"
	"github.com/mainspring-ml/mainspring/models"
)

// adaptFlags are the flags of mainspring serve --adapt: another server predicts,
// and this one translates.
type adaptFlags struct {
	upstream      string
	protocol      string
	upstreamModel string
	prediction    string
	task          string
}

func (f *adaptFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.upstream, "adapt", "", "URL of another model server to translate for, instead of serving the model here")
	flags.StringVar(&f.protocol, "protocol", string(models.ProtocolV2), "what that server speaks: v2 or mlflow")
	flags.StringVar(&f.upstreamModel, "upstream-model", "", "name by which it knows the model (default: --name)")
	flags.StringVar(&f.prediction, "prediction", "", "output that its predictions are, when they have no name")
	flags.StringVar(&f.task, "task", "", "what the model predicts: binary takes the second of two columns of probabilities")
}

// serveAdapted runs the adapter. It is ready when the other server is, and tells
// where it listens as soon as that is so.
func serveAdapted(ctx context.Context, f serveFlags) error {
	upstream, err := url.Parse(f.adapt.upstream)
	if err != nil || upstream.Host == "" {
		return &usageError{fmt.Errorf("--adapt %q is no URL such as http://127.0.0.1:5000", f.adapt.upstream)}
	}
	signature, err := mlmodel.ReadSignature(f.modelDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a server may bring its own model
		return err
	}
	handler, err := adapt.Handler(adapt.Config{
		Upstream: upstream, Protocol: models.ServerProtocol(f.adapt.protocol), Name: f.config.Name, Version: f.config.Version,
		UpstreamModel: f.adapt.upstreamModel, Prediction: f.adapt.prediction, Task: models.Task(f.adapt.task),
		Signature: signature, MaxBodyBytes: f.config.MaxBodyBytes,
	})
	if err != nil {
		return &usageError{err}
	}
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return fmt.Errorf("%w (choose another --addr; port 0 takes a free one)", err)
	}
	self := boundURL(listener, f.advertise)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- drain.ServeHTTP(ctx, listener, handler, f.config.Drain, func() {}) }()
	if err := awaitReady(ctx, "http://"+listener.Addr().String()); err == nil {
		if err := announce(f.readyFile, self); err != nil {
			stop()
			return errors.Join(err, <-done)
		}
	}
	return <-done
}

// awaitReady asks a server for its health until it is ready or ctx ends.
func awaitReady(ctx context.Context, server string) error {
	const every = 100 * time.Millisecond
	straight := &http.Client{Transport: &http.Transport{}} // a proxy does not reach this process
	defer straight.CloseIdleConnections()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/v2/health/ready", nil)
		if err != nil {
			return err
		}
		if response, err := straight.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}
