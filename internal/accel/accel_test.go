package accel

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

func TestVirtualDevicesAreNamedAfterTheirNode(t *testing.T) {
	got, err := Virtual{Node: "east-1", Count: 2, MemoryMiB: 512}.Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []models.Device{
		{UUID: "VIRT-east-1-0", Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 512, Index: 0},
		{UUID: "VIRT-east-1-1", Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 512, Index: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

type inventoryFunc func() ([]models.Device, error)

func (f inventoryFunc) Devices(context.Context) ([]models.Device, error) { return f() }

func TestJoinSortsAndNeverHidesAFailure(t *testing.T) {
	ctx := context.Background()
	gpu := inventoryFunc(func() ([]models.Device, error) { return []models.Device{{UUID: "GPU-1"}}, nil })
	got, err := Join(Virtual{Node: "n", Count: 11}, gpu).Devices(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 12 || got[0].UUID != "GPU-1" || !slices.IsSortedFunc(got, func(a, b models.Device) int {
		if a.UUID < b.UUID {
			return -1
		}
		return 1
	}) {
		t.Errorf("got %v, want 12 devices in order of UUID", got)
	}

	broken := errors.New("driver gone")
	failing := inventoryFunc(func() ([]models.Device, error) { return nil, broken })
	if got, err := Join(gpu, failing).Devices(ctx); !errors.Is(err, broken) || got != nil {
		t.Errorf("got %v, %v; one failing probe must fail the whole inventory", got, err)
	}
	if _, err := Join(gpu, gpu).Devices(ctx); err == nil {
		t.Error("the same device twice was accepted")
	}
	none, err := Join().Devices(ctx)
	if err != nil || none == nil || len(none) != 0 {
		t.Errorf("got %v, %v; no inventory means an empty list", none, err)
	}
}

func TestVisibilityHidesWhatIsNotLeased(t *testing.T) {
	gpus := []models.Device{{UUID: "GPU-a", Vendor: models.VendorNVIDIA}, {UUID: "MIG-b", Vendor: models.VendorNVIDIA}}
	virtual := []models.Device{{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}}
	for _, c := range []struct {
		devices []models.Device
		want    []string
	}{
		{gpus, []string{"CUDA_VISIBLE_DEVICES=GPU-a,MIG-b", "MAINSPRING_VISIBLE_DEVICES=GPU-a,MIG-b"}},
		{virtual, []string{"CUDA_VISIBLE_DEVICES=", "MAINSPRING_VISIBLE_DEVICES=VIRT-n-0"}},
		{nil, []string{"CUDA_VISIBLE_DEVICES=", "MAINSPRING_VISIBLE_DEVICES="}},
	} {
		if diff := cmp.Diff(c.want, Visibility(c.devices)); diff != "" {
			t.Error(diff)
		}
	}
}
