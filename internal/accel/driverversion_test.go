package accel

import (
	"context"
	"testing"
	"testing/fstest"
)

func TestDriverVersion(t *testing.T) {
	own := amd{Host{Files: fstest.MapFS{"sys/module/amdgpu/version": {Data: []byte("6.8.5\n")}}}}
	kernels := amd{Host{Files: fstest.MapFS{}}}
	for _, c := range []struct {
		inventory Inventory
		want      string
	}{
		{own, "amdgpu 6.8.5"}, {kernels, ""}, {Virtual{Count: 1}, ""},
		{Join(Virtual{Count: 1}, kernels, own), "amdgpu 6.8.5"}, {Join(), ""},
	} {
		if got, err := DriverVersion(context.Background(), c.inventory); err != nil || got != c.want {
			t.Errorf("%T: got %q, %v; want %q", c.inventory, got, err, c.want)
		}
	}
}
