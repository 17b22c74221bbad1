package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// replayer sends traffic to the gateway in event time and the labels as they
// become known. Pace decides, between two days, when the next may begin.
type replayer struct {
	gateway  string // base URL
	endpoint string
	inputs   []models.ModelPort // of the model; says the tensors' types
	clients  int                // requests in flight at once
	http     *http.Client
	pace     func(ctx context.Context, done time.Time) error

	requests, errors, retried atomic.Int64
	clock                     atomic.Int64 // event time reached, Unix seconds
	mu                        sync.Mutex
	latencies                 []time.Duration
	firstError                string
}

func newReplayer(gateway, endpoint string, inputs []models.ModelPort) *replayer {
	const (
		clients = 4
		idle    = time.Minute // the gateway waits for longer before it closes
	)
	return &replayer{
		gateway: gateway, endpoint: endpoint, inputs: inputs, clients: clients,
		http: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: 2 * clients, IdleConnTimeout: idle},
		},
	}
}

// run sends every day: its requests in order of time over a few connections,
// then the labels that became known on it.
func (r *replayer) run(ctx context.Context, t *traffic) error {
	for _, d := range t.days {
		if err := r.sendDay(ctx, d); err != nil {
			return err
		}
		if err := r.sendLabels(ctx, d); err != nil {
			return fmt.Errorf("labels of %s: %w", d.start.Format(time.DateOnly), err)
		}
		if err := r.pace(ctx, d.start); err != nil {
			return err
		}
	}
	return nil
}

func (r *replayer) sendDay(ctx context.Context, d day) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan request)
	group.Go(func() error {
		defer close(queue)
		for _, q := range d.requests {
			select {
			case queue <- q:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range r.clients {
		group.Go(func() error {
			for q := range queue {
				if err := r.send(ctx, q); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// send makes one request. A refused or reset connection is tried again for a
// while, as any client of a service that restarts would; an answer other than
// 200 is an error and counted.
func (r *replayer) send(ctx context.Context, q request) error {
	body, err := inferBody(q, r.inputs)
	if err != nil {
		return fmt.Errorf("request %s: %w", q.id, err)
	}
	url := fmt.Sprintf("%s/v2/models/%s/infer", r.gateway, r.endpoint)
	headers := http.Header{
		"Content-Type":          {"application/json"},
		"Mainspring-Request-Id": {q.id},
		"Mainspring-Event-Time": {q.at.Format(time.RFC3339Nano)},
	}
	began := time.Now()
	status, answer, err := r.post(ctx, url, headers, body)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.requests.Add(1)
	r.clock.Store(max(r.clock.Load(), q.at.Unix()))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, time.Since(began))
	if err != nil || status != http.StatusOK {
		r.errors.Add(1)
		if r.firstError == "" {
			r.firstError = fmt.Sprintf("request %s: status %d: %.200s %v", q.id, status, answer, err)
		}
	}
	return nil
}

// sendLabels posts a day's labels; a gateway that restarts gets them again,
// which is harmless: the last of equal labels counts.
func (r *replayer) sendLabels(ctx context.Context, d day) error {
	if len(d.labels) == 0 {
		return nil
	}
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, l := range d.labels {
		if err := lines.Encode(map[string]any{"id": l.id, "label": l.label, "label_time": l.labelTime.Format(time.RFC3339)}); err != nil {
			return err
		}
	}
	url := fmt.Sprintf("%s/v2/models/%s/labels", r.gateway, r.endpoint)
	for {
		status, answer, err := r.post(ctx, url, http.Header{"Content-Type": {"application/x-ndjson"}}, body.Bytes())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status < 300:
			return nil
		case err == nil && status < 500:
			return fmt.Errorf("status %d: %s", status, answer)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// post tries again for up to a minute while nobody listens.
func (r *replayer) post(ctx context.Context, url string, headers http.Header, body []byte) (int, []byte, error) {
	deadline := time.Now().Add(time.Minute)
	for {
		status, answer, err := r.postOnce(ctx, url, headers, body)
		if err == nil || !unreachable(err) || time.Now().After(deadline) {
			return status, answer, err
		}
		r.retried.Add(1)
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, nil, err
		}
	}
}

func (r *replayer) postOnce(ctx context.Context, url string, headers http.Header, body []byte) (int, []byte, error) {
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	call.Header = headers
	response, err := r.http.Do(call)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func unreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
}

func (r *replayer) latency() Latency {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.latencies) == 0 {
		return Latency{}
	}
	sorted := slices.Clone(r.latencies)
	slices.Sort(sorted)
	at := func(q float64) float64 {
		return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
	}
	return Latency{P50Millis: at(0.5), P99Millis: at(0.99)}
}

// tensor is one input of an Open Inference Protocol request.
type tensor struct {
	Name     string  `json:"name"`
	Shape    []int64 `json:"shape"`
	Datatype string  `json:"datatype"`
	Data     []any   `json:"data"`
}

// inferBody asks for one row, in the types that the model declares.
func inferBody(q request, inputs []models.ModelPort) ([]byte, error) {
	tensors := make([]tensor, len(inputs))
	for i, port := range inputs {
		value, ok := q.features[port.Name]
		if !ok {
			return nil, fmt.Errorf("the model wants input %q, which the rows don't have", port.Name)
		}
		tensors[i] = tensor{Name: port.Name, Shape: ones(len(port.Shape)), Datatype: port.Datatype, Data: []any{value}}
	}
	return json.Marshal(map[string]any{"inputs": tensors})
}

func ones(n int) []int64 {
	shape := make([]int64, max(n, 1))
	for i := range shape {
		shape[i] = 1
	}
	return shape
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
