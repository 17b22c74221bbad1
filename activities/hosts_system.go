package activities

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/hostload"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// systemEvery is the time between two readings of the host, MLflow's own.
	systemEvery = 10 * time.Second
	// systemFirst is when the first is taken; a last one ends every training, so
	// that a short one has two.
	systemFirst = time.Second
	// systemLimit bounds a reading and the sending of it. The end of a training
	// waits for both.
	systemLimit = 3 * time.Second
	// maxPendingSystem bounds the memory while MLflow is down; the oldest go.
	maxPendingSystem = 10_000
)

// HostMeter reads how busy this host is, see hostload.Meter.
type HostMeter interface {
	Read(context.Context) (map[string]float64, error)
}

// NewHostMeters makes the meters of a host whose trainings write below disk.
// The measurer is nil where devices tell nothing.
func NewHostMeters(config hostload.Config) func([]models.Device) HostMeter {
	return func(devices []models.Device) HostMeter {
		config.Devices = devices
		return hostload.NewMeter(config)
	}
}

// systemSampler records how busy the host is while ranks run, where MLflow's
// pages look for it. It is worth less than the training: what can't be read is
// left out, and what can't be sent in time is dropped.
type systemSampler struct {
	logger  MetricLogger
	run     models.Run
	prefix  string
	meter   HostMeter
	pending []mlflow.Metric
	warned  bool
}

// sampleSystem begins to sample. The returned function takes a last reading and
// ends it.
func (g *gang) sampleSystem(ctx context.Context) (stop func()) {
	if g.h.Meters == nil {
		return func() {}
	}
	s := &systemSampler{logger: g.h.Metrics, run: g.req.Run, prefix: "system/", meter: g.h.Meters(g.req.Node.Devices)}
	if g.req.Groups > 1 {
		s.prefix += metricKey(g.req.Node.Node) + "/"
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	group.Go(func() { s.work(working) })
	return func() { cancel(); group.Wait() }
}

func (s *systemSampler) work(ctx context.Context) {
	timer := time.NewTimer(systemFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.sample(context.WithoutCancel(ctx))
			return
		case <-timer.C:
			s.sample(ctx)
			timer.Reset(systemEvery)
		}
	}
}

// sample takes a reading and sends what is pending.
func (s *systemSampler) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, systemLimit)
	defer cancel()
	figures, err := s.meter.Read(ctx)
	s.warn("not all of this host's figures can be read", err)
	at := time.Now().UTC().Truncate(time.Millisecond)
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		// Seconds of the run as steps go on across attempts.
		s.pending = append(s.pending, mlflow.Metric{
			Key: s.prefix + name, Value: figures[name], Time: at, Step: int64(at.Sub(s.run.StartTime) / time.Second),
		})
	}
	s.pending = s.pending[max(len(s.pending)-maxPendingSystem, 0):]
	err = s.logger.LogBatch(ctx, mlflow.Batch{RunID: s.run.RunID, Metrics: s.pending})
	s.warn("system metrics wait for MLflow", err)
	if err == nil || errors.Is(err, mlflow.ErrInvalid) || errors.Is(err, mlflow.ErrNotFound) || errors.Is(err, mlflow.ErrDenied) {
		s.pending = nil
	}
}

// warn says something once a training.
func (s *systemSampler) warn(text string, err error) {
	if err != nil && !s.warned && !errors.Is(err, context.Canceled) {
		slog.Warn(text, "run", s.run.RunID, "error", err)
		s.warned = true
	}
}
