package activities_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// asked is a row of the inference log that the tests write themselves.
type asked struct {
	ID        string  `parquet:"id"`
	EventTime int64   `parquet:"event_time,timestamp(microsecond)"`
	Version   string  `parquet:"version"`
	Role      string  `parquet:"role"`
	Status    int32   `parquet:"status"`
	LogShare  float64 `parquet:"log_share"`
	Time      int64   `parquet:"time,timestamp(microsecond)"`
	Outputs   string  `parquet:"outputs"`
	Inputs    string  `parquet:"inputs"`
}

// ask logs one request a shipment of a month, in files of a day each.
func ask(t *testing.T, store artifact.Store, m time.Month, change func(i int, r *asked, inputs map[string]any)) {
	t.Helper()
	days := map[string][]asked{}
	for i, r := range month(2013, m) {
		inputs := map[string]any{"weight": []any{float64(float32(*r.Weight))}, "carrier": []any{r.Carrier}}
		row := asked{ID: r.ID, EventTime: r.At, Time: r.At, Version: "6", Role: "champion", Status: 200, LogShare: 1}
		if change != nil {
			change(i, &row, inputs)
		}
		text, err := json.Marshal(inputs)
		if err != nil {
			t.Fatal(err)
		}
		row.Inputs = string(text)
		day := models.InferencePrefix("shipments", time.UnixMicro(r.At).UTC())
		days[day] = append(days[day], row)
	}
	for prefix, rows := range days {
		putObject(t, store, "s3://mainspring/"+strings.TrimSuffix(prefix, "/")+"/a.parquet", encode(t, rows))
	}
}

// against prepares with traffic to hold the rows against.
func against(t *testing.T, store artifact.Store, spec models.DataSpec) []models.CheckResult {
	t.Helper()
	p := &activities.Prepare{Store: store}
	served := &models.Served{Endpoint: "shipments", Version: "6"}
	list, err := p.ListPartitions(t.Context(), models.ListPartitionsRequest{Data: spec, Served: served})
	if err != nil {
		t.Fatal(err)
	}
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: spec, Served: served}
	for _, task := range list.Tasks {
		if _, err := p.PreparePartitions(t.Context(), models.PreparePartitionsRequest{Preparation: work, Task: task}); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := p.WriteSnapshot(t.Context(), models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: models.SnapshotUse{Workflow: "w", Run: "r"}})
	if err != nil {
		t.Fatal(err)
	}
	content, err := artifact.ReadRef(t.Context(), store, snapshot.Report, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var report models.CheckReport
	if err := json.Unmarshal(content, &report); err != nil {
		t.Fatal(err)
	}
	return report.Checks
}

func resultOf(t *testing.T, results []models.CheckResult, check, column string) models.CheckResult {
	t.Helper()
	i := slices.IndexFunc(results, func(r models.CheckResult) bool { return r.Check == check && r.Column == column })
	if i < 0 {
		t.Fatalf("no %s of %q among %+v", check, column, results)
	}
	return results[i]
}

// warned lets a failing check pass, so that there is a report.
func warned() models.DataSpec {
	spec := shipmentSpec()
	spec.Checks.Severity = map[string]models.Severity{"skew": models.SeverityWarn, "leakage": models.SeverityWarn}
	return spec
}

func TestRowsAreHeldAgainstWhatWasServed(t *testing.T) {
	store := shipments(t)
	ask(t, store, time.January, func(i int, r *asked, inputs map[string]any) {
		switch {
		case i < 31: // a day's worth of another weight, and a little more
			inputs["weight"] = []any{1000 + i}
		case i == 40:
			delete(inputs, "carrier")
		case i == 41: // copies answered nobody, and another version may be asked in another way
			r.Role, inputs["weight"] = "shadow", []any{-1}
		case i == 42:
			r.Version, inputs["weight"] = "5", []any{-1}
		case i == 43:
			inputs["weight"] = []any{float64(1+i/8) * (1 + 5e-7)} // within what 24 bits hold
		}
	})
	results := against(t, store, warned())
	weight := resultOf(t, results, "skew", "weight")
	if want := 31.0 / 246; weight.Passed || weight.Figure != want || !strings.Contains(weight.Message, "31 of 246 rows") {
		t.Errorf("skew of weight: %+v, want a figure of %v", weight, want)
	}
	if len(weight.Rows) != models.MaxOffendingRows || weight.Rows[0].File != "2013-01.parquet" || weight.Rows[0].Row != 1 || !strings.Contains(weight.Rows[0].Value, "1; 1000 was served") {
		t.Errorf("offending rows %+v", weight.Rows)
	}
	if i := slices.IndexFunc(results, func(r models.CheckResult) bool { return r.Check == "skew" && r.Column == "carrier" && !r.Passed }); i >= 0 {
		t.Errorf("skew of carrier: %+v", results[i])
	}
	if shift := resultOf(t, results, "shift", "carrier"); shift.Figure > 0.1 {
		t.Errorf("shift of carrier: %+v", shift)
	}
	if shift := resultOf(t, results, "shift", "weight"); shift.Figure < 0.1 || shift.Figure > 1 {
		t.Errorf("shift of weight: %+v, and a third of the requests is far outside", shift)
	}
}

// Keys that are pseudonyms in the snapshot join all the same: the log has the
// source's. Values of a sensitive feature are not shown.
func TestPseudonymsJoinTheLog(t *testing.T) {
	store := shipments(t)
	ask(t, store, time.January, func(_ int, _ *asked, inputs map[string]any) { inputs["weight"] = []any{123456} })
	spec := warned()
	spec.Columns = map[string]models.ColumnSpec{"id": {Sensitive: models.SensitivePseudonymise}, "weight": {Sensitive: models.SensitiveKeep}}
	spec.PseudonymKey = "file:" + t.TempDir() + "/key"
	writeKey(t, strings.TrimPrefix(spec.PseudonymKey, "file:"))
	results := against(t, store, spec)
	if weight := resultOf(t, results, "skew", "weight"); weight.Figure != 1 || weight.Rows[0].Value != models.Masked {
		t.Errorf("skew of weight: %+v", weight)
	}
	if strings.Contains(fmt.Sprint(results), "123456") {
		t.Error("a sensitive value is in the report")
	}
}

func TestNothingServedIsNoPass(t *testing.T) {
	results := against(t, shipments(t), warned())
	for _, check := range []string{"skew", "shift"} {
		if r := resultOf(t, results, check, ""); r.Passed || !strings.Contains(r.Skipped, "endpoint shipments has logged no request to version 6 in the window") {
			t.Errorf("%s: %+v", check, r)
		}
	}
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
