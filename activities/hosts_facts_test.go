package activities

import (
	"context"
	"reflect"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestRanksSayWhatTheyRanOn(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	b.Facts = func(context.Context) models.HostFacts {
		return models.HostFacts{OS: "linux/amd64 6.1.0", Driver: "NVIDIA 550.54.15", Software: "v1"}
	}
	req := b.request("steps=1", "every=1", "model=distance")
	req.Node.Devices[1].Model = "H100"
	want := models.HostFacts{
		Node: "n", OS: "linux/amd64 6.1.0", Driver: "NVIDIA 550.54.15", Software: "v1",
		Devices: []models.DeviceFact{{UUID: "VIRT-n-0"}, {UUID: "VIRT-n-1", Model: "H100"}},
	}
	for range 2 { // the second time the result is found
		result, err := b.RunRanks(t.Context(), req)
		if err != nil || !reflect.DeepEqual(result.Host, want) {
			t.Fatalf("got %+v, %v", result.Host, err)
		}
	}
}
