package activities

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/hostload"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// meterPart tells one figure.
type meterPart struct{ err error }

func (m meterPart) Read(context.Context) (map[string]float64, error) {
	return map[string]float64{"cpu_utilization_percentage": 12.5}, m.err
}

func TestAShortTrainingHasTwoReadingsOfItsHost(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	b.Meters = NewHostMeters(hostload.Config{Disk: b.dir})
	req := b.request("steps=1", "model=distance", "until="+filepath.Join(b.dir, "go"))
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(context.Background(), req)
		done <- err
	}()
	memory := func() (readings []mlflow.Metric) { return b.metrics.of("system/system_memory_usage_percentage") }
	b.eventually("the host is read while ranks run", func() bool { return len(memory()) == 1 })
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "go"), []byte("go"), 0o600))
	require.NoError(t, <-done)
	require.Len(t, memory(), 2, "and once more at the end")
	first, last := memory()[0], memory()[1]
	require.Positive(t, first.Value)
	require.True(t, last.Time.After(first.Time))
	require.NotEmpty(t, b.metrics.of("system/cpu_utilization_percentage"))
	require.Empty(t, b.metrics.of("system/gpu_0_utilization_percentage"), "virtual devices tell nothing")
}

func TestHostsOfAGangAreToldApart(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	var devices []models.Device
	b.Meters = func(d []models.Device) HostMeter {
		devices = d
		return meterPart{err: errors.New("driver does not answer")}
	}
	req := b.request("steps=1")
	req.Groups, req.GroupRank, req.WorldSize = 2, 1, 4
	_, err := b.RunRanks(context.Background(), req)
	require.NoError(t, err, "a host that can't be read all is no reason to fail")
	require.Len(t, b.metrics.of("system/n/cpu_utilization_percentage"), 1)
	require.Equal(t, req.Node.Devices, devices)
}

// refusing is an MLflow that answers with one error.
type refusing struct{ err error }

func (r refusing) LogBatch(context.Context, mlflow.Batch) error { return r.err }

func TestReadingsWaitForMLflowWithinBounds(t *testing.T) {
	s := systemSampler{logger: refusing{mlflow.ErrUnavailable}, prefix: "system/", meter: meterPart{}, run: models.Run{StartTime: time.Now()}}
	for range maxPendingSystem + 3 {
		s.sample(t.Context())
	}
	require.Len(t, s.pending, maxPendingSystem)
	s.logger = refusing{mlflow.ErrInvalid}
	s.sample(t.Context())
	require.Empty(t, s.pending, "what is refused would be refused for ever")
}
