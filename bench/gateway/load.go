package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// sample is what one route did in one round.
type sample struct {
	p50, p99  time.Duration
	perSecond float64
	requests  int
	cpu       time.Duration // of the proxy, per request
}

// target is where load goes: an address and the bytes of one request.
type target struct {
	address string
	request []byte
}

func newTarget(address, path, body string) target {
	return target{address, []byte("POST " + path + " HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)}
}

// load keeps that many connections busy, each with one request after the
// other. The client is as thin as can be, since it shares the machine with what
// it measures. An answer other than 200 ends the measurement: fast errors are no
// speed.
func load(ctx context.Context, to target, connections int, long time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, long+30*time.Second)
	defer cancel()
	each := make([][]time.Duration, connections)
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range each {
		group.Go(func() (err error) {
			each[i], err = converse(ctx, to, began.Add(long))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return sample{}, err
	}
	return summarise(slices.Concat(each...), time.Since(began))
}

func summarise(latencies []time.Duration, took time.Duration) (sample, error) {
	if len(latencies) == 0 {
		return sample{}, fmt.Errorf("no request was answered in %v", took)
	}
	slices.Sort(latencies)
	quantile := func(q float64) time.Duration { return latencies[min(int(q*float64(len(latencies))), len(latencies)-1)] }
	n := len(latencies)
	return sample{p50: quantile(0.5), p99: quantile(0.99), perSecond: float64(n) / took.Seconds(), requests: n}, nil
}

// converse is one connection's requests until the end.
func converse(ctx context.Context, to target, end time.Time) ([]time.Duration, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.address)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { _ = connection.SetDeadline(time.Now()) })()
	reader := bufio.NewReaderSize(connection, 8<<10)
	latencies := make([]time.Duration, 0, 1<<16)
	for sent := time.Now(); sent.Before(end); {
		if _, err := connection.Write(to.request); err != nil {
			return nil, err
		}
		// The body is read to its end below; closing it would do the same.
		response, err := http.ReadResponse(reader, nil) //nolint:bodyclose // nothing is held that a close would free
		if err != nil {
			return nil, fmt.Errorf("read an answer of %s: %w", to.address, err)
		}
		if response.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
			return nil, fmt.Errorf("%s answered %s: %s", to.address, response.Status, text)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return nil, err
		}
		answered := time.Now()
		latencies = append(latencies, answered.Sub(sent))
		sent = answered
	}
	return latencies, nil
}
