// Package drain ends servers without cutting off what is in flight.
package drain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// idle is how long a connection may wait for its next request, and for its
// first: callers' pools open connections ahead of need, and what is sent while
// one is closed is lost to them.
const idle = 2 * time.Minute

// Server answers callers that keep their connections.
func Server(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: idle, IdleTimeout: idle}
}

// ServeHTTP answers on the listener until ctx ends. Then it calls stopping, takes
// no new connections, and gives the requests in flight as long as within.
func ServeHTTP(ctx context.Context, listener net.Listener, handler http.Handler, within time.Duration, stopping func()) error {
	server := Server(handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	stopping()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %v: %w", within, err), server.Close())
	}
	return nil
}

// StopGRPC takes no new calls and waits for those in flight until ctx ends.
func StopGRPC(ctx context.Context, server *grpc.Server) error {
	drained := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		server.Stop()
		<-drained
		return fmt.Errorf("gRPC calls were cut off: %w", ctx.Err())
	}
}
