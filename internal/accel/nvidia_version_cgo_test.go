//go:build cgo

package accel

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
)

func TestNVIDIADriverVersion(t *testing.T) {
	d := newDriver(dgxa100.New())
	inventory := d.inventory(fstest.MapFS{})
	got, err := DriverVersion(context.Background(), Join(inventory))
	if err != nil || !strings.HasPrefix(got, "NVIDIA 5") {
		t.Errorf("got %q, %v", got, err)
	}
	d.SystemGetDriverVersionFunc = func() (string, nvml.Return) { return "", nvml.ERROR_UNKNOWN }
	if got, err := DriverVersion(context.Background(), inventory); err == nil || got != "" {
		t.Errorf("got %q, %v; a failed probe is an error", got, err)
	}
}
