package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func TestPoolIsPrintedAsAnOperatorReadsIt(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	device := func(uuid string, milli int64) models.Device {
		return models.Device{UUID: uuid, Model: "H200", Milli: milli}
	}
	half := models.Lease{Token: 7, GrantedAt: now.Add(-90 * time.Second), LeaseRequest: models.LeaseRequest{Purpose: "train delay", Holder: "lifecycle/delay/1/train"},
		Nodes: []models.LeaseNode{{Node: "a", Devices: []models.Device{device("A0", 500)}}}}
	waits := models.PoolRequest{LeaseRequest: models.LeaseRequest{RequestID: "r1", Purpose: "train big", Holder: "h"}, QueuedAt: now.Add(-3 * time.Hour)}
	var out strings.Builder
	require.NoError(t, printPool(&out, models.PoolStatus{
		Pool:   "default",
		Counts: models.PoolCounts{Nodes: 2, NodesDown: 1, Devices: 4, Quarantined: 1, Leases: 1, Waiting: 1, LeasedMilli: 500},
		Nodes: []models.PoolNode{
			{NodeInfo: models.NodeInfo{Node: "a", Devices: []models.Device{device("A0", 0), device("A1", 0)}},
				Quarantined: []models.Quarantine{{UUID: "A1", Reason: "XID 79", By: "agent", At: now}}},
			{NodeInfo: models.NodeInfo{Node: "b", Devices: []models.Device{device("B0", 0), device("B1", 0)}}, Down: "its agent went silent"},
		},
		Leases: []models.Lease{half}, Waiting: []models.PoolRequest{waits},
		Reasons: map[string]string{"r1": "needs 2 nodes × 8 H200; best now 1 × 0"},
		Tenants: []models.Tenant{{Name: "research", QuotaMilli: 16_000, UsedGPUSeconds: 7200}},
	}, now))
	for _, want := range []string{
		"Pool default: 2 hosts (1 down), 4 devices (1 quarantined), 0.5 in use; leases: 1, waiting: 1",
		"a     up                           H200   2        0     0.5   1",
		"b     down: its agent went silent  H200   2        0     0     0",
		"7      1m30s  train delay  a: A0 (0.5)  lifecycle/delay/1/train",
		"train big, for 3h0m (h; request r1)\n    needs 2 nodes × 8 H200; best now 1 × 0",
		"research  1       16     2",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestPoolCommandsSayWhatIsWrong(t *testing.T) {
	require.Contains(t, mainspring(t, "pool").stderr, "no Temporal server answers")
	wrong := mainspring(t, "pool", "quota", "research", "many")
	require.Equal(t, exitUsage, wrong.code)
	require.Contains(t, wrong.stderr, "write 8, 0.5, or 0 for no limit")
	require.Equal(t, exitUsage, mainspring(t, "pool", "drain").code)
}
