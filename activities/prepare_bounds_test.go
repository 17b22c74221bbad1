package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// maxPayload is the largest payload that a history may hold.
const maxPayload = 32 << 10

func fits(t *testing.T, what string, payload any) {
	t.Helper()
	encoded, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", what, len(encoded))
	if len(encoded) > maxPayload {
		t.Errorf("%s has %d bytes; at most %d may be in a history", what, len(encoded), maxPayload)
	}
}

// wideSpec declares 300 columns with their types, as `mainspring data infer` does.
func wideSpec() models.DataSpec {
	spec := shipmentSpec()
	spec.Columns = map[string]models.ColumnSpec{}
	spec.Checks.Range = map[string]models.Range{}
	spec.Features = nil
	for i := range 300 {
		name := fmt.Sprintf("feature_number_%03d", i)
		spec.Features = append(spec.Features, name)
		spec.Columns[name] = models.ColumnSpec{Type: "float64"}
		if low, high := 0.0, 1e6; i%3 == 0 {
			spec.Checks.Range[name] = models.Range{Min: &low, Max: &high}
		}
	}
	return spec.WithDefaults()
}

// long is a store whose buckets have 10,000 files each.
type long struct{ artifact.Store }

// List implements artifact.Store.
func (long) List(_ context.Context, prefix string) (all []artifact.Info, err error) {
	for i := range 10_000 {
		all = append(all, artifact.Info{Key: fmt.Sprintf("%sdt=2013-01-%02d/part-%05d.parquet", prefix, 1+i/400, i), Size: int64(100 + i%977), ETag: fmt.Sprint(i)})
	}
	return all, nil
}

// InBucket implements artifact.Store.
func (l long) InBucket(string) artifact.Store { return l }

func TestPayloadsOfTenThousandPartitionsOfThreeHundredColumns(t *testing.T) {
	p := &activities.Prepare{Store: long{artifact.NewMemory("mainspring")}}
	request := models.ListPartitionsRequest{Data: wideSpec(),
		Baseline: &models.Baseline{Version: "12", Profile: models.Ref{URI: "s3://mainspring/objects/" + strings.Repeat("a", 64), SHA256: strings.Repeat("a", 64), Size: 1 << 20}},
		Served:   &models.Served{Endpoint: "shipments", Version: "12"}}
	list, err := p.ListPartitions(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	fits(t, "ListPartitions' request", request)
	fits(t, "ListPartitions' result", list)
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: request.Data, Baseline: request.Baseline, Served: request.Served}
	prepare := models.PreparePartitionsRequest{Preparation: work, Task: list.Tasks[0]}
	fits(t, "PreparePartitions' request", prepare)
	use := models.SnapshotUse{Model: "shipments", Workflow: strings.Repeat("w", 200), Run: strings.Repeat("r", 36), At: time.Now(), Source: request.Data.Source,
		Listing: list.Listing, Raw: list.Listing, CodeSHA256: strings.Repeat("c", 64), SpecSHA256: strings.Repeat("s", 64)}
	fits(t, "FindSnapshot's request", models.FindSnapshotRequest{Preparation: work, Use: use})
	fits(t, "WriteSnapshot's request", models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: use})
	if list.Count != 10_000 || len(list.Tasks) > models.MaxPartitionTasks {
		t.Errorf("%d partitions in %d tasks", list.Count, len(list.Tasks))
	}
	each, err := json.Marshal(prepare)
	if err != nil {
		t.Fatal(err)
	}
	if whole := len(list.Tasks) * len(each); whole > 10<<20 { // where Temporal warns
		t.Errorf("the tasks' inputs have %d bytes together", whole)
	}
}

func TestTheWorstSnapshotFits(t *testing.T) {
	spec := wideSpec()
	var results []models.CheckResult
	for i, name := range spec.Features {
		c := models.CheckResult{Check: "range", Column: name, Severity: models.SeverityWarn, Figure: 1e9 / 3, Limit: 1e9 / 7, Message: strings.Repeat("it is far too large, ", 40)}
		for row := range models.MaxOffendingRows {
			c.Rows = append(c.Rows, models.OffendingRow{File: "dt=2013-01-01/part-00000.parquet", Row: int64(row), Value: strings.Repeat("9", 60)})
		}
		if i == 250 {
			c.Severity = models.SeverityError
		}
		results = append(results, c)
	}
	brief := activities.BriefChecks(results)
	if len(brief) > models.MaxSnapshotChecks || brief[0].Column != spec.Features[250] || len(brief[0].Rows) != models.MaxOffendingRows {
		t.Errorf("%d checks travel; the first is of %s with %d rows", len(brief), brief[0].Column, len(brief[0].Rows))
	}
	ref := models.Ref{URI: "s3://mainspring/snapshots/" + strings.Repeat("a", 64) + "/manifest.json", SHA256: strings.Repeat("a", 64), Size: 1 << 20}
	snapshot := models.Snapshot{Manifest: ref, Report: ref, Profile: ref, Files: 20_000, Bytes: 1 << 40, Checks: brief,
		Train: models.Span{Rows: 1e9, From: time.Now(), To: time.Now()}, Test: models.Span{Rows: 1e9, From: time.Now(), To: time.Now()}}
	for _, name := range spec.Features {
		snapshot.Columns = append(snapshot.Columns, models.Column{Name: name, Type: "timestamp", Role: "label_time"})
	}
	fits(t, "the snapshot", snapshot)
	fits(t, "the failure's details", brief)
	if few := activities.BriefChecks(results[:3]); len(few) != 3 {
		t.Errorf("of three checks %d travel", len(few))
	}
}

func TestWorkIsDividedEvenly(t *testing.T) {
	sized := func(n int, size func(i int) int64) (all []models.Partition) {
		for i := range n {
			all = append(all, models.Partition{URI: fmt.Sprintf("s3://b/%05d", i), Size: size(i)})
		}
		return all
	}
	equal := func(n int64) func(int) int64 { return func(int) int64 { return n } }
	for name, test := range map[string]struct {
		partitions  []models.Partition
		least, most int   // tasks
		bytes       int64 // of the largest task, at most
	}{
		"one":                  {sized(1, equal(0)), 1, 1, 0},
		"ten of a few bytes":   {sized(10, equal(100)), 10, 10, 100},
		"one large among ten":  {sized(10, func(i int) int64 { return int64(1 + i/9<<30) }), 10, 10, 1<<30 + 1},
		"a thousand small":     {sized(1000, equal(1000)), 60, 64, 20_000},
		"a thousand large":     {sized(1000, equal(100<<20)), 390, 400, 301 << 20},
		"ten thousand uneven":  {sized(10_000, func(i int) int64 { return int64(i%100) << 20 }), 390, 400, 1_500 << 20},
		"all in the last file": {sized(500, func(i int) int64 { return int64(i/499) << 40 }), 1, 400, 1<<40 + 1},
	} {
		tasks := activities.Divide(test.partitions)
		next, largest := 0, int64(0)
		for _, task := range tasks {
			if task.From != next || task.To <= task.From {
				t.Fatalf("%s: task %+v after partition %d", name, task, next)
			}
			next, largest = task.To, max(largest, task.Bytes)
		}
		if next != len(test.partitions) || len(tasks) < test.least || len(tasks) > test.most || largest > test.bytes {
			t.Errorf("%s: %d partitions in %d tasks, the largest of %d bytes", name, next, len(tasks), largest)
		}
	}
}
