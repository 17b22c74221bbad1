package supervise

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Probe answers nil when a process is ready for work. It is called again and
// again until it does; ctx ends a single call.
type Probe func(ctx context.Context) error

// probeEvery is how often, probeTimeout for how long readiness is asked for.
const (
	probeEvery   = 50 * time.Millisecond
	probeTimeout = 5 * time.Second
)

// HTTPReady is ready when a GET of url answers 200. Proxies are not used:
// what is probed runs on this host.
func HTTPReady(url string) Probe {
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("probe %s: %w", url, err)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// TCPReady is ready when address accepts a connection.
func TCPReady(address string) Probe {
	return func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// awaitProbe repeats the probe until it succeeds or ctx ends; then it returns
// the last reason for not being ready.
func awaitProbe(ctx context.Context, probe Probe) error {
	if probe == nil {
		return nil
	}
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, probeTimeout)
		err := probe(once)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}
