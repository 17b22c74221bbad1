package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

// asker sends one request and reads its answer.
type asker interface {
	ask() error
	close()
}

// httpAsker is a caller with a connection of its own. It writes the same bytes
// again and again, so that its own work takes as little of the shared cores as
// possible, and the same for every server.
type httpAsker struct {
	connection net.Conn
	reader     *bufio.Reader
	request    []byte
}

func newHTTPAsker(addr, path string, body []byte) (asker, error) {
	connection, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, addr, len(body))
	request.Write(body)
	return &httpAsker{connection, bufio.NewReader(connection), request.Bytes()}, nil
}

func (a *httpAsker) ask() error {
	if _, err := a.connection.Write(a.request); err != nil {
		return err
	}
	response, err := http.ReadResponse(a.reader, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	return response.Body.Close()
}

func (a *httpAsker) close() { _ = a.connection.Close() }

type grpcAsker struct {
	connection *grpc.ClientConn
	client     grpcv2.GRPCInferenceServiceClient
	request    *grpcv2.ModelInferRequest
}

func newGRPCAsker(addr string, request *grpcv2.ModelInferRequest) (asker, error) {
	connection, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &grpcAsker{connection, grpcv2.NewGRPCInferenceServiceClient(connection), request}, nil
}

func (a *grpcAsker) ask() error {
	_, err := a.client.ModelInfer(context.Background(), a.request)
	return err
}

func (a *grpcAsker) close() { _ = a.connection.Close() }

// figures are those of one server under one load.
type figures struct {
	P50Micros float64 `json:"p50_us"`
	P99Micros float64 `json:"p99_us"`
	PerSecond float64 `json:"requests_per_second"`
	// CPUMicros is the server's processor time per request, which other load on
	// the machine hardly moves.
	CPUMicros float64 `json:"server_cpu_us_per_request"`
}

// load asks from a number of connections, each its next question when it has
// the answer to the last, for a time.
func load(server *process, connections int, length time.Duration, open func() (asker, error)) (figures, error) {
	askers := make([]asker, connections)
	for i := range askers {
		a, err := open()
		if err != nil {
			return figures{}, err
		}
		defer a.close()
		for range 5 { // not measured: the connection's first ones
			if err := a.ask(); err != nil {
				return figures{}, err
			}
		}
		askers[i] = a
	}
	taken := make([][]time.Duration, connections)
	failed := make([]error, connections)
	started, cpu := time.Now(), server.cpu()
	var callers sync.WaitGroup
	for i, a := range askers {
		callers.Go(func() {
			for time.Since(started) < length {
				asked := time.Now()
				if failed[i] = a.ask(); failed[i] != nil {
					return
				}
				taken[i] = append(taken[i], time.Since(asked))
			}
		})
	}
	callers.Wait()
	elapsed := time.Since(started)
	cpu = server.cpu() - cpu
	all := slices.Concat(taken...)
	for _, err := range failed {
		if err != nil {
			return figures{}, err
		}
	}
	slices.Sort(all)
	micros := func(q float64) float64 {
		return float64(all[min(int(q*float64(len(all))), len(all)-1)].Nanoseconds()) / 1e3
	}
	return figures{
		P50Micros: micros(0.5), P99Micros: micros(0.99), PerSecond: float64(len(all)) / elapsed.Seconds(),
		CPUMicros: cpu.Seconds() * 1e6 / float64(len(all)),
	}, nil
}

// middle is each figure's median over the rounds.
func middle(rounds []figures) figures {
	pick := func(of func(figures) float64) float64 {
		values := make([]float64, len(rounds))
		for i, r := range rounds {
			values[i] = of(r)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return figures{
		P50Micros: pick(func(f figures) float64 { return f.P50Micros }),
		P99Micros: pick(func(f figures) float64 { return f.P99Micros }),
		PerSecond: pick(func(f figures) float64 { return f.PerSecond }),
		CPUMicros: pick(func(f figures) float64 { return f.CPUMicros }),
	}
}
