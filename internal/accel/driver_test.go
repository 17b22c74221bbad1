package accel

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
)

// Both builds, with NVML and without, answer the same way on a host that has
// no driver; testing without a library needs a host without one.
func TestNoDriverMeansNoDevices(t *testing.T) {
	if trace, err := driverInstalled(hostFiles()); err != nil || trace != "" {
		t.Skipf("SKIPPED: this host has an NVIDIA driver (%s)", trace)
	}
	devices, err := NVIDIA().Devices(context.Background())
	if err != nil || len(devices) != 0 {
		t.Errorf("got %v, %v", devices, err)
	}
}

func TestDriverIsRecognisedByItsTraces(t *testing.T) {
	for _, trace := range driverTraces() {
		got, err := driverInstalled(fstest.MapFS{trace: {}})
		if err != nil || !strings.HasSuffix(got, trace) {
			t.Errorf("%s: got %q, %v", trace, got, err)
		}
	}
	if got, err := driverInstalled(fstest.MapFS{"proc/version": {}}); err != nil || got != "" {
		t.Errorf("a host without a driver: got %q, %v", got, err)
	}
}
