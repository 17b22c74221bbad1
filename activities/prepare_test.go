package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// shipment is a row of the tests' own source.
type shipment struct {
	ID      string `parquet:"id"`
	At      int64  `parquet:"at,timestamp(microsecond)"`
	Late    int32  `parquet:"late"`
	Known   int64  `parquet:"known,timestamp(microsecond)"`
	Weight  *int64 `parquet:"weight,optional"`
	Carrier string `parquet:"carrier,dict"`
	Unused  string `parquet:"unused"`
}

func shipmentSpec() models.DataSpec {
	return models.DataSpec{
		Source: "s3://source/shipments/", Time: "at", Key: "id", Label: "late", LabelTime: "known",
		Features: []string{"weight", "carrier"},
		AsOf:     march(1), Window: 59 * models.Day, Holdout: 14 * models.Day,
	}
}

func march(day int) time.Time { return time.Date(2013, 3, day, 0, 0, 0, 0, time.UTC) }

// month makes eight shipments a day.
func month(year int, m time.Month) []shipment {
	var rows []shipment
	for at := time.Date(year, m, 1, 0, 0, 0, 0, time.UTC); at.Month() == m; at = at.Add(3 * time.Hour) {
		weight := int64(at.YearDay())
		rows = append(rows, shipment{
			ID: at.Format(time.RFC3339), At: at.UnixMicro(), Late: int32(at.Hour() / 3 % 2),
			Known: at.Add(36 * time.Hour).UnixMicro(), Weight: &weight, Carrier: []string{"UA", "B6"}[at.Day()%2], Unused: "x",
		})
	}
	return rows
}

func encode[T any](t testing.TB, rows []T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func shipments(t *testing.T) artifact.Store {
	t.Helper()
	store := artifact.NewMemory("mainspring")
	for m := time.January; m <= time.April; m++ {
		putObject(t, store, fmt.Sprintf("s3://source/shipments/2013-%02d.parquet", m), encode(t, month(2013, m)))
	}
	putObject(t, store, "s3://source/shipments/README.md", []byte("no data"))
	putObject(t, store, "s3://source/shipments/_temporary/x.parquet", []byte("half"))
	putObject(t, store, "s3://source/shipments-old/2013-01.parquet", []byte("another prefix"))
	return store
}

func prepare(ctx context.Context, p *activities.Prepare, spec models.DataSpec) (models.Snapshot, error) {
	list, err := p.ListPartitions(ctx, models.ListPartitionsRequest{Data: spec})
	if err != nil {
		return models.Snapshot{}, err
	}
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: spec}
	for _, task := range slices.Backward(list.Tasks) { // the order must not matter
		if _, err := p.PreparePartitions(ctx, models.PreparePartitionsRequest{Preparation: work, Task: task}); err != nil {
			return models.Snapshot{}, err
		}
	}
	return p.WriteSnapshot(ctx, models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: models.SnapshotUse{Model: "m", Workflow: "w", Run: "r"}})
}

// listed reads the partitions that a source is found to hold.
func listed(t *testing.T, p *activities.Prepare, source string) ([]models.Partition, error) {
	t.Helper()
	list, err := p.ListPartitions(t.Context(), models.ListPartitionsRequest{Data: models.DataSpec{Source: source}})
	if err != nil {
		return nil, err
	}
	encoded, err := artifact.ReadRef(t.Context(), p.Store, list.Listing, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var partitions []models.Partition
	if err := json.Unmarshal(encoded, &partitions); err != nil {
		t.Fatal(err)
	}
	return partitions, nil
}

func TestListPartitions(t *testing.T) {
	p := &activities.Prepare{Store: shipments(t)}
	for _, source := range []string{"s3://source/shipments/", "s3://source/shipments"} {
		partitions, err := listed(t, p, source)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, part := range partitions {
			names = append(names, strings.TrimPrefix(part.URI, "s3://source/shipments/"))
			if part.Size == 0 || part.ETag == "" {
				t.Errorf("%s has no size or no ETag", part.URI)
			}
		}
		if want := []string{"2013-01.parquet", "2013-02.parquet", "2013-03.parquet", "2013-04.parquet"}; !slices.Equal(names, want) {
			t.Errorf("%s holds %q, want %q", source, names, want)
		}
	}
}

func TestListPartitionsOfADirectory(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.parquet", "a.parquet", "sub/c.parquet", "notes.txt", ".hidden/x.parquet"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	p := &activities.Prepare{Store: artifact.NewMemory("mainspring")}
	partitions, err := listed(t, p, "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.parquet", "b.parquet", "sub/c.parquet"}
	for i, part := range partitions {
		if part.URI != "file://"+dir+"/"+want[i] {
			t.Errorf("partition %d is %s", i, part.URI)
		}
	}
	if len(partitions) != len(want) {
		t.Errorf("%d partitions", len(partitions))
	}
}

func TestSourcesThatHoldNothing(t *testing.T) {
	p := &activities.Prepare{Store: shipments(t)}
	for source, text := range map[string]string{
		"s3://source/nothing/":      "there is nothing to read",
		"file:///no/such/directory": "no such file or directory",
		"data/flights":              "neither s3:// nor a local file://",
	} {
		_, err := listed(t, p, source)
		wantFailure(t, err, models.KindInvalidSpec, source, text)
	}
	_, err := prepare(t.Context(), &activities.Prepare{Store: downStore{shipments(t)}}, shipmentSpec())
	wantFailure(t, err, models.KindUnavailable, "connection refused")
}

func TestSnapshot(t *testing.T) {
	ctx, store := t.Context(), shipments(t)
	p := &activities.Prepare{Store: store}
	snapshot, err := prepare(ctx, p, shipmentSpec())
	if err != nil {
		t.Fatal(err)
	}
	// January 1 to February 14: 45 days of 8; the last 36 hours before March
	// are not known yet.
	if snapshot.Train.Rows != 45*8 || snapshot.Test.Rows != 14*8-11 || snapshot.Files != 3 || snapshot.Reused {
		t.Errorf("snapshot of %d and %d rows in %d files, reused %v", snapshot.Train.Rows, snapshot.Test.Rows, snapshot.Files, snapshot.Reused)
	}
	if !snapshot.Train.From.Equal(march(1).AddDate(0, 0, -59)) || !snapshot.Test.From.Equal(march(1).AddDate(0, 0, -14)) {
		t.Errorf("spans %v %v", snapshot.Train, snapshot.Test)
	}
	again, err := prepare(ctx, p, shipmentSpec())
	if err != nil {
		t.Fatal(err)
	}
	if again.SHA256() != snapshot.SHA256() || !again.Reused {
		t.Errorf("a second time: %s, reused %v; first %s", again.SHA256(), again.Reused, snapshot.SHA256())
	}
	elsewhere := shipments(t)
	third, err := prepare(ctx, &activities.Prepare{Store: elsewhere.InBucket("another-bucket")}, shipmentSpec())
	if err != nil {
		t.Fatal(err)
	}
	if third.SHA256() != snapshot.SHA256() {
		t.Error("another bucket gives another digest")
	}
	later := shipmentSpec()
	later.AsOf = later.AsOf.Add(-24 * time.Hour)
	other, err := prepare(ctx, p, later)
	if err != nil {
		t.Fatal(err)
	}
	if other.SHA256() == snapshot.SHA256() {
		t.Error("another day gives the same digest")
	}
	// A column that may have nulls is nullable in every file, so that all files
	// have one schema.
	loose := shipmentSpec()
	loose.Checks.MaxNullFraction = map[string]float64{"weight": 0.5}
	nullable, err := prepare(ctx, p, loose)
	if err != nil {
		t.Fatal(err)
	}
	if nullable.SHA256() == snapshot.SHA256() {
		t.Error("a column that may have nulls is written as one that may not")
	}
	if size, err := json.Marshal(snapshot); err != nil || len(size) > 8<<10 {
		t.Errorf("the snapshot's payload has %d bytes, %v", len(size), err)
	}
}

func TestPartitionOutsideTheWindowIsNotRead(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	p := &activities.Prepare{Store: store}
	putObject(t, store, "s3://source/shipments/2013-04.parquet", encode(t, month(2013, time.April)))
	// It still says what it covers, for the error about an empty window.
	spec := shipmentSpec()
	spec.AsOf = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := prepare(t.Context(), p, spec)
	wantFailure(t, err, models.KindNoRows, "2013-04-01 to 2013-04-30T21:00:00Z")
	objects, err := store.List(t.Context(), "objects/")
	if err != nil || len(objects) != 2 { // the listing and the report
		t.Errorf("%d objects, %v", len(objects), err)
	}
}

func TestEmptyPartitionAndWindowBetweenPartitions(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	p := &activities.Prepare{Store: store}
	putObject(t, store, "s3://source/shipments/empty.parquet", encode(t, []shipment{}))
	putObject(t, store, "s3://source/shipments/2012.parquet", encode(t, month(2012, time.June)))
	putObject(t, store, "s3://source/shipments/2014.parquet", encode(t, month(2014, time.June)))
	_, err := prepare(t.Context(), p, shipmentSpec())
	wantFailure(t, err, models.KindNoRows, "covers 2012-06-01 to 2014-06-30T21:00:00Z")
}

func TestAllNullColumn(t *testing.T) {
	rows := append(month(2013, time.January), month(2013, time.February)...)
	for i := range rows {
		rows[i].Weight = nil
	}
	store := artifact.NewMemory("mainspring")
	p := &activities.Prepare{Store: store}
	putObject(t, store, "s3://source/shipments/a.parquet", encode(t, rows))
	_, err := prepare(t.Context(), p, shipmentSpec())
	wantFailure(t, err, models.KindDataCheckFailed, `column "weight": 461 of 461 values are null or NaN (a share of 1), at most 0 allowed`)

	spec := shipmentSpec()
	spec.Checks.MaxNullFraction = map[string]float64{"weight": 1}
	if _, err := prepare(t.Context(), p, spec); err != nil {
		t.Errorf("allowed nulls: %v", err)
	}
}

func TestMissingColumnAndBadFile(t *testing.T) {
	store := shipments(t)
	p := &activities.Prepare{Store: store}
	spec := shipmentSpec()
	spec.Features = []string{"weigth", "carrier"}
	_, err := prepare(t.Context(), p, spec)
	wantFailure(t, err, models.KindInvalidSpec, "2013-02.parquet", `no column "weigth" (feature), did you mean "weight"?`)

	putObject(t, store, "s3://source/shipments/2013-05.parquet", []byte("this is no Parquet"))
	_, err = prepare(t.Context(), p, shipmentSpec())
	wantFailure(t, err, models.KindInvalidSpec, "2013-05.parquet", "damaged or not Parquet")
}

func TestChangedPartitionIsNoticed(t *testing.T) {
	store := shipments(t)
	p := &activities.Prepare{Store: store}
	list, err := p.ListPartitions(t.Context(), models.ListPartitionsRequest{Data: shipmentSpec()})
	if err != nil {
		t.Fatal(err)
	}
	putObject(t, store, "s3://source/shipments/2013-01.parquet", encode(t, month(2013, time.February)))
	_, err = p.PreparePartitions(t.Context(), models.PreparePartitionsRequest{
		Preparation: models.Preparation{ID: list.ID, Listing: list.Listing, Data: shipmentSpec()}, Task: list.Tasks[0]})
	wantFailure(t, err, models.KindInvalidSpec, "changed after the source was listed")
}

// The example's own data, with the figures of a row-by-row count done with
// another reader.
func TestFlights(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "examples", "flights", "data"))
	if err != nil {
		t.Fatal(err)
	}
	spec := flightsSpec(dir)
	p := &activities.Prepare{Store: artifact.NewMemory("mainspring")}
	started := time.Now()
	snapshot, err := prepare(t.Context(), p, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the snapshot took %v, %d bytes", time.Since(started), snapshot.Bytes)
	partitions, err := listed(t, p, spec.Source)
	if err != nil {
		t.Fatal(err)
	}
	wantTrain, wantTest := countFlights(t, partitions, spec)
	if wantTrain != 37_521 || wantTest != 12_435 {
		t.Errorf("the row-by-row count gives %d and %d: the example's data has changed", wantTrain, wantTest)
	}
	if snapshot.Train.Rows != wantTrain || snapshot.Test.Rows != wantTest || snapshot.Files != 3 {
		t.Errorf("%d and %d rows in %d files, want %d and %d", snapshot.Train.Rows, snapshot.Test.Rows, snapshot.Files, wantTrain, wantTest)
	}
}

// flightsSpec is the example's, on local files.
func flightsSpec(dir string) models.DataSpec {
	return models.DataSpec{
		Source: "file://" + dir, Time: "sched_dep", Key: "id", Label: "late", LabelTime: "label_time",
		Features: []string{"carrier", "origin", "dest", "distance", "dep_minute", "sched_minutes", "hour_departures", "day_of_week"},
		AsOf:     march(1), Window: 60 * models.Day, Holdout: 14 * models.Day,
	}
}

// countFlights counts in a deliberately dumb way: row by row, in memory.
func countFlights(t *testing.T, partitions []models.Partition, spec models.DataSpec) (train, test int64) {
	t.Helper()
	type flight struct {
		SchedDep  time.Time `parquet:"sched_dep,timestamp(microsecond)"`
		LabelTime time.Time `parquet:"label_time,timestamp(microsecond)"`
	}
	for _, part := range partitions {
		rows, err := parquet.ReadFile[flight](strings.TrimPrefix(part.URI, "file://"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range rows {
			age := spec.AsOf.Sub(f.SchedDep)
			switch {
			case f.LabelTime.After(spec.AsOf) || age <= 0 || age > spec.Window.Std():
			case age > spec.Holdout.Std():
				train++
			default:
				test++
			}
		}
	}
	return train, test
}
