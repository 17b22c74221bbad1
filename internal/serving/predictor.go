package serving

import (
	"context"
	"runtime"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// limiter is a Predictor that runs no more predictions than there are cores for
// them; the others wait, and drop out when their context ends.
type limiter struct {
	model   Predictor
	slots   chan struct{}
	observe func(rows int64)
	waited  func(time.Duration)
	ports   []models.ModelPort
}

// Predict implements Predictor.
func (l *limiter) Predict(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	if err := checkInputs(l.ports, inputs); err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
		l.waited(0)
	default:
		since := time.Now()
		select {
		case l.slots <- struct{}{}:
			l.waited(time.Since(since))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-l.slots }()
	l.observe(batchOf(l.ports, inputs))
	return l.model.Predict(ctx, inputs)
}

// newPredictor puts the waiting in front of the model.
func newPredictor(config Config, model Predictor, m *metrics) (Predictor, error) {
	parallel := config.Parallel
	if parallel == 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	if config.Batch.MaxRows == 0 {
		return &limiter{model: model, slots: make(chan struct{}, parallel), observe: m.batch, waited: m.waited, ports: config.Inputs}, nil
	}
	if err := checkBatchable(config.Inputs, config.Outputs); err != nil {
		return nil, err
	}
	if config.Batch.MaxDelay == 0 {
		config.Batch.MaxDelay = time.Millisecond
	}
	return &batcher{
		config: config.Batch, ports: config.Inputs, outputs: config.Outputs, model: model, parallel: parallel, observe: m.batch, waited: m.waited,
	}, nil
}
