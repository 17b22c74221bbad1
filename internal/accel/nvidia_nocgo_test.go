//go:build !cgo

package accel

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
)

func TestBuildWithoutNVMLSaysSo(t *testing.T) {
	host := fstest.MapFS{"proc/driver/nvidia/version": {}}
	if _, err := (nvidia{host: host}).Devices(context.Background()); err == nil || !strings.Contains(err.Error(), "compiled out") {
		t.Errorf("got %v", err)
	}
}
