package activities

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

func TestRanksSeeTheirCoresAndThreads(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.request("steps=1", "model=distance")
	req.Node.CPUMilli = 2500
	if _, err := b.RunRanks(context.Background(), req); err != nil {
		t.Fatal(err)
	}
	handle, found, err := b.Runner.Attach(newGang(b.Hosts, req).key)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	data, err := os.ReadFile(filepath.Join(handle.Dir(), "job.json"))
	if err != nil || !strings.Contains(string(data), `"cores":2,`) {
		t.Errorf("job.json is %s, %v", data, err)
	}
	for _, c := range []struct{ milli, ranks, local, want int }{{0, 2, 0, 1}, {900, 1, 0, 1}, {1000, 4, 0, 1}, {1999, 1, 0, 1}} {
		node := models.LeaseNode{CPUMilli: int64(c.milli), Devices: make([]models.Device, c.ranks)}
		if got := threads(node, c.local); got != c.want {
			t.Errorf("%+v: got %d threads", c, got)
		}
	}
}

func TestSharesOfDevicesReachTheRunner(t *testing.T) {
	node := 0
	var job runner.Job
	leased(&job, models.LeaseNode{CPUMilli: 4000, MemoryMiB: 512, Devices: []models.Device{{UUID: "a", Milli: 250}, {UUID: "b", Milli: 1000}, {UUID: "c"}}})
	if fmt.Sprint(job.Devices, job.Shares, job.Cores, job.MemoryMiB) != "[a b c] map[a:250] 4 512" {
		t.Errorf("got %+v", job)
	}
	if got := near(models.Device{CPUs: "4-7", NUMANode: &node}); got != "4-7" {
		t.Errorf("got %q", got)
	}
}
