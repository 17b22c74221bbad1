package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// BenchmarkOneFile prepares one file of half a million rows, from a store in
// memory to a snapshot in it, with all checks and the profile.
func BenchmarkOneFile(b *testing.B) {
	const count = 500_000
	rows := make([]shipment, count)
	first, weights := march(1).AddDate(0, 0, -50), make([]int64, 1000)
	for i := range weights {
		weights[i] = int64(i)
	}
	for i := range rows {
		at := first.Add(time.Duration(i) * 8 * time.Second)
		rows[i] = shipment{ID: fmt.Sprintf("shipment-%06d", i), At: at.UnixMicro(), Late: int32(i / 7 % 2), Known: at.Add(time.Hour).UnixMicro(),
			Weight: &weights[i*7919%1000], Carrier: []string{"UA", "B6", "DL"}[i%3], Unused: "x"}
	}
	content := encode(b, rows)
	for b.Loop() {
		p := &activities.Prepare{Store: artifact.NewMemory("mainspring")}
		putObject(b, p.Store, "s3://source/shipments/all.parquet", content)
		snapshot, err := prepare(b.Context(), p, shipmentSpec())
		if err != nil || snapshot.Train.Rows+snapshot.Test.Rows != count {
			b.Fatalf("%d rows train, %d test: %v", snapshot.Train.Rows, snapshot.Test.Rows, err)
		}
	}
	b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "rows/s")
}
