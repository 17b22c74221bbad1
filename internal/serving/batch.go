package serving

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// BatchConfig says which requests are predicted together. Its zero value
// predicts each by itself.
type BatchConfig struct {
	// MaxRows is the largest number of rows in one prediction. 0: no batching.
	MaxRows int64
	// MaxDelay is how long a request waits for others while a prediction runs.
	// 0: 1 ms.
	MaxDelay time.Duration
}

// batcher is a Predictor that joins requests with equal shapes along their
// first dimension.
//
// A prediction starts
//   - at once when none runs: a lone request does not wait. Right after a joint
//     prediction, whose callers are likely to come again together, a request
//     waits for as many rows as that one had;
//   - when one ends and requests are waiting;
//   - when the waiting requests of one shape fill a batch, or one of them has
//     waited for the longest time allowed, if fewer than parallel ones run.
//
// When a joint prediction fails, each of its requests is predicted by itself,
// so that a request can fail for its own fault only.
type batcher struct {
	config   BatchConfig
	ports    []models.ModelPort
	outputs  []models.ModelPort
	model    Predictor
	parallel int
	observe  func(rows int64)
	waited   func(time.Duration)

	mu      sync.Mutex
	running int
	queue   []*waiter // oldest first
	// expected is the number of rows of the latest prediction if it was a joint
	// one, 0 otherwise; ended is when it ended.
	expected int64
	ended    time.Time
}

// waiter is a request in the queue.
type waiter struct {
	inputs map[string]Tensor
	rows   int64
	shape  string // of everything but the batch; requests with equal ones join
	since  time.Time
	due    bool          // it has waited long enough
	done   chan struct{} // closed when outputs and err are set

	outputs map[string]Tensor
	err     error
}

// checkBatchable refuses a model whose requests can't be joined.
func checkBatchable(inputs, outputs []models.ModelPort) error {
	for _, side := range []struct {
		kind  string
		ports []models.ModelPort
	}{{"input", inputs}, {"output", outputs}} {
		for _, port := range side.ports {
			if len(port.Shape) == 0 || port.Shape[0] != -1 {
				return &models.Error{
					Kind: models.KindModelRejected, Subject: "--batch-max-rows",
					Message: fmt.Sprintf("%s %q has the shape %s: its first dimension is fixed, so requests can't be joined", side.kind, port.Name, oip.ShapeText(port.Shape)),
					Hint:    "export the model with a dynamic batch dimension, or switch batching off (deploy.server.batch)",
				}
			}
		}
	}
	return nil
}

// Predict implements Predictor. A request that waits drops out when ctx ends.
func (b *batcher) Predict(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	if err := checkInputs(b.ports, inputs); err != nil {
		return nil, err
	}
	w := &waiter{inputs: inputs, rows: batchOf(b.ports, inputs)}
	b.mu.Lock()
	if b.running == 0 && len(b.queue) == 0 && !b.burst() {
		b.running++
		b.mu.Unlock()
		b.waited(0)
		b.run(ctx, []*waiter{w})
		return w.outputs, w.err
	}
	w.shape, w.since, w.done = b.shapeOf(inputs), time.Now(), make(chan struct{})
	b.queue = append(b.queue, w)
	b.start(false)
	b.mu.Unlock()
	b.wait(ctx, w)
	return w.outputs, w.err
}

// wait returns when the request has its answer or has dropped out.
func (b *batcher) wait(ctx context.Context, w *waiter) {
	timer := time.NewTimer(b.config.MaxDelay)
	defer timer.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-timer.C:
			b.mu.Lock()
			w.due = true
			b.start(false)
			b.mu.Unlock()
		case <-ctx.Done():
			if b.drop(w) {
				w.err = ctx.Err()
				return
			}
			<-w.done // it is being predicted
			return
		}
	}
}

func (b *batcher) drop(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, w)
	if i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	return i >= 0
}

// start begins the predictions that may begin; freed says that one has just
// ended. The caller holds the lock.
func (b *batcher) start(freed bool) {
	for b.running < b.parallel && len(b.queue) > 0 {
		shape, ok := b.ready()
		if freed || (b.running == 0 && !b.burst()) {
			shape, ok = b.queue[0].shape, true
		}
		if !ok {
			return
		}
		freed = false
		b.running++
		batch := b.take(shape)
		// The end of one request must not end the prediction of the others.
		go b.run(context.Background(), batch)
	}
}

// burst reports whether callers of the latest prediction may be about to come
// again.
func (b *batcher) burst() bool {
	return b.expected > 0 && time.Since(b.ended) < b.config.MaxDelay
}

// ready finds a shape whose requests need not wait any longer.
func (b *batcher) ready() (shape string, ok bool) {
	enough := b.config.MaxRows
	if b.running == 0 && b.expected > 0 {
		enough = min(enough, b.expected)
	}
	rows := make(map[string]int64, 1)
	for _, w := range b.queue {
		if rows[w.shape] += w.rows; w.due || rows[w.shape] >= enough {
			return w.shape, true
		}
	}
	return "", false
}

// take removes the oldest requests of a shape from the queue, as many as fit
// into one prediction. The oldest one always does.
func (b *batcher) take(shape string) []*waiter {
	var batch []*waiter
	rows := int64(0)
	full := false
	b.queue = slices.DeleteFunc(b.queue, func(w *waiter) bool {
		if full || w.shape != shape {
			return false
		}
		if len(batch) > 0 && rows+w.rows > b.config.MaxRows {
			full = true // not a smaller one from behind: the oldest goes first
			return false
		}
		batch, rows = append(batch, w), rows+w.rows
		return true
	})
	return batch
}

// run answers the requests of a batch.
func (b *batcher) run(ctx context.Context, batch []*waiter) {
	for _, w := range batch {
		if w.done != nil {
			b.waited(time.Since(w.since))
		}
	}
	b.predict(ctx, batch)
	b.mu.Lock()
	b.running--
	b.expected, b.ended = 0, time.Now()
	if len(batch) > 1 {
		b.expected = rowsOf(batch)
	}
	b.start(true)
	b.mu.Unlock()
	for _, w := range batch {
		if w.done != nil {
			close(w.done)
		}
	}
}

func (b *batcher) predict(ctx context.Context, batch []*waiter) {
	if len(batch) > 1 && b.together(ctx, batch) {
		return
	}
	for _, w := range batch {
		b.observe(w.rows)
		w.outputs, w.err = b.model.Predict(ctx, w.inputs)
	}
}

func rowsOf(batch []*waiter) int64 {
	rows := int64(0)
	for _, w := range batch {
		rows += w.rows
	}
	return rows
}

// together makes one prediction for all and reports whether it worked.
func (b *batcher) together(ctx context.Context, batch []*waiter) bool {
	rows := rowsOf(batch)
	joined := make(map[string]Tensor, len(b.ports))
	parts := make([]Tensor, len(batch))
	for _, port := range b.ports {
		for i, w := range batch {
			parts[i] = w.inputs[port.Name]
		}
		joined[port.Name] = oip.JoinRows(parts)
	}
	b.observe(rows)
	outputs, err := b.model.Predict(ctx, joined)
	if err != nil || checkRows(b.outputs, outputs, rows) != nil {
		return false
	}
	from := int64(0)
	for _, w := range batch {
		w.outputs = make(map[string]Tensor, len(outputs))
		for name, tensor := range outputs {
			w.outputs[name] = oip.Rows(tensor, from, from+w.rows)
		}
		from += w.rows
	}
	return true
}

// checkRows fails when an output does not have one row per input row.
func checkRows(ports []models.ModelPort, outputs map[string]Tensor, rows int64) error {
	for _, port := range ports {
		if shape := outputs[port.Name].Shape; len(shape) == 0 || shape[0] != rows {
			return fmt.Errorf("output %q has the shape %s for a batch of %d: requests can't be joined; switch batching off (deploy.server.batch)",
				port.Name, oip.ShapeText(shape), rows)
		}
	}
	return nil
}

// shapeOf tells apart what can't be joined: the dimensions after the first.
func (b *batcher) shapeOf(inputs map[string]Tensor) string {
	var key []byte
	for _, port := range b.ports {
		for i, n := range port.Shape[1:] {
			if n == -1 {
				key = fmt.Appendf(key, "%d ", inputs[port.Name].Shape[i+1])
			}
		}
	}
	return string(key)
}
