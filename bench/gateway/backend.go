package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// The request and the answer of the fixed servers: one flight, one probability.
const (
	endpointName = "bench"
	inferPath    = "/v2/models/" + endpointName + "/infer"
	// The model in internal/serving/testdata/flights takes it, too.
	requestText = `{"inputs":[{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":["UA"]},` +
		`{"name":"distance","datatype":"INT64","shape":[1,1],"data":[1400]}]}`
	answerText = `{"model_name":"bench","model_version":"1","outputs":[{"name":"probability","datatype":"FP32","shape":[1,1],"data":[0.2718281]}]}`
)

// backend answers every request at once.
func backend() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", fmt.Sprint(len(answerText)))
		_, _ = io.WriteString(w, answerText) // a proxy that went away has nobody to tell
	})
}

// reverseProxy is the plainest weighted proxy that the standard library makes.
func reverseProxy(servers []string) (http.Handler, error) {
	if len(servers) != 2 {
		return nil, fmt.Errorf("proxy needs two URLs, got %d", len(servers))
	}
	var targets [2]*url.URL
	for i, text := range servers {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		targets[i] = u
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target := targets[0]
			if rand.Float64() < canaryWeight {
				target = targets[1]
			}
			r.SetURL(target)
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
	}, nil
}

// listen serves on a free port, whose URL it prints, until ctx ends.
func listen(ctx context.Context, handler http.Handler) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}
