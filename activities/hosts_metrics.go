package activities

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// metricsEvery is the least time between two batches.
	metricsEvery = time.Second
	// maxPendingMetrics bounds the memory while MLflow is down; the oldest go.
	maxPendingMetrics = 200_000
	// flushLimit bounds the last flush: a training that is done waits no longer
	// for MLflow.
	flushLimit = 30 * time.Second
)

// metricSink sends metrics to MLflow in the background. MLflow being down never
// holds the training up. How far the progress file was sent is kept beside it,
// so that the next agent goes on from there; points that are sent twice are
// equal in time and step, and MLflow keeps one.
type metricSink struct {
	logger MetricLogger
	run    models.Run
	marker string // file with the offset behind the last record that was sent

	mu      sync.Mutex
	pending []mlflow.Metric
	offset  int64 // behind the last pending record
	sent    int64
}

func newMetricSink(logger MetricLogger, run models.Run, dir string) *metricSink {
	s := &metricSink{logger: logger, run: run, marker: filepath.Join(dir, "metrics-sent")}
	if text, err := os.ReadFile(s.marker); err == nil {
		// Unreadable means 0: everything is sent again.
		s.sent, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	}
	return s
}

// add takes one record, unless it was sent before.
func (s *metricSink) add(record progressRecord, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end <= s.sent {
		return
	}
	at := record.at
	if at.IsZero() {
		// Any time will do, as long as every attempt comes to the same.
		at = s.run.StartTime.Add(time.Duration(record.step) * time.Millisecond)
	}
	for _, name := range slices.Sorted(maps.Keys(record.metrics)) {
		s.pending = append(s.pending, mlflow.Metric{Key: metricKey(name), Value: record.metrics[name], Time: at, Step: record.step})
	}
	s.pending = s.pending[max(len(s.pending)-maxPendingMetrics, 0):]
	s.offset = end
}

// metricKey replaces what MLflow refuses.
func metricKey(name string) string {
	const longest = 250
	key := strings.Map(func(r rune) rune {
		if r < 128 && (r == '_' || r == '-' || r == '.' || r == ' ' || r == ':' || r == '/' ||
			'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '_'
	}, name)
	key = strings.Trim(filepath.ToSlash(filepath.Clean(key)), "/.")
	if key == "" {
		key = "_"
	}
	return key[:min(len(key), longest)]
}

// work sends a batch every second until ctx ends.
func (s *metricSink) work(ctx context.Context) {
	wait, failing := metricsEvery, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := s.flush(ctx)
		switch {
		case err == nil:
			wait, failing = metricsEvery, false
		case ctx.Err() != nil:
			return
		default:
			if !failing {
				slog.Warn("metrics wait for MLflow", "run", s.run.RunID, "error", err)
			}
			wait, failing = min(2*wait, 15*time.Second), true
		}
	}
}

// flush sends what is pending. Points that MLflow refuses are dropped: they
// would be refused for ever.
func (s *metricSink) flush(ctx context.Context) error {
	s.mu.Lock()
	batch, offset := s.pending, s.offset
	s.pending = nil
	s.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := s.logger.LogBatch(ctx, mlflow.Batch{RunID: s.run.RunID, Metrics: batch})
	if errors.Is(err, mlflow.ErrInvalid) || errors.Is(err, mlflow.ErrNotFound) || errors.Is(err, mlflow.ErrDenied) {
		slog.Error("MLflow refuses metrics; they are left out", "run", s.run.RunID, "points", len(batch), "error", err)
		err = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.pending = append(batch, s.pending...)
		return err
	}
	s.sent = offset
	return os.WriteFile(s.marker, []byte(strconv.FormatInt(offset, 10)), 0o600)
}

// finish sends the rest, patiently up to a limit.
func (s *metricSink) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	for {
		err := s.flush(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			slog.Error("metrics are lost: MLflow did not take them in time", "run", s.run.RunID, "error", err)
			return
		case <-time.After(metricsEvery):
		}
	}
}
