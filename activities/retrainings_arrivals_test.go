package activities_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// harbour is a source that a test adds partitions to, and what was found there.
type harbour struct {
	*testing.T
	store artifact.Store
	r     *activities.Retrainings
	data  models.DataSpec
	state *models.ArrivalState
	now   time.Time
}

func newHarbour(t *testing.T) *harbour {
	store := shipments(t)
	h := &harbour{T: t, store: store, data: shipmentSpec(), now: time.Date(2013, 6, 1, 0, 0, 0, 0, time.UTC)}
	h.r = &activities.Retrainings{Store: store, Now: func() time.Time { return h.now }}
	return h
}

// look finds arrivals twice, an hour apart: the same, but for the second look's
// own state.
func (h *harbour) look() models.ArrivalState {
	h.Helper()
	request := models.ArrivalRequest{Data: h.data, State: h.state}
	found, err := h.r.FindArrivals(h.Context(), request)
	if err != nil {
		h.Fatal(err)
	}
	if again, err := h.r.FindArrivals(h.Context(), request); err != nil || again != found {
		h.Fatalf("not the same again: %+v, %v; first %+v", again, err, found)
	}
	h.state = &found
	h.now = h.now.Add(time.Hour)
	return found
}

func (h *harbour) put(name string, data []byte) {
	h.Helper()
	putObject(h.T, h.store, "s3://source/shipments/"+name, data)
}

func (h *harbour) remove(name string) {
	h.Helper()
	if err := h.store.InBucket("source").Delete(h.Context(), "shipments/"+name); err != nil {
		h.Fatal(err)
	}
}

// knownAt is when the last label of a month's shipments is known.
func knownAt(year int, m time.Month) time.Time {
	return time.Date(year, m+1, 1, 0, 0, 0, 0, time.UTC).Add(-3*time.Hour + 36*time.Hour)
}

func TestFindArrivals(t *testing.T) {
	h := newHarbour(t)
	first := h.look()
	if first.Count != 4 || first.New != 0 || !first.Newest.IsZero() || !first.Changed.IsZero() || first.Listing.SHA256 == "" {
		t.Errorf("first look: %+v", first)
	}
	if still := h.look(); still != first {
		t.Errorf("nothing came: %+v", still)
	}

	h.put("2013-05.parquet", encode(t, month(2013, time.May)))
	h.put("readme.txt", []byte("no data"))
	came := h.now
	want := models.ArrivalState{Count: 5, New: 1, Newest: h.now, Changed: came, Example: "s3://source/shipments/2013-05.parquet"}
	h.now = knownAt(2013, time.May) // its last labels are known right now
	want.Newest, want.Changed = h.now, h.now
	found := h.look()
	if want.Listing = found.Listing; found != want {
		t.Errorf("one came: %+v, want %+v", found, want)
	}
	if still := h.look(); still != found {
		t.Errorf("it counts twice: %+v", still)
	}

	// Replaced before anybody asked: new once. A second one is counted with it.
	h.put("2013-05.parquet", encode(t, month(2013, time.May)[:8]))
	h.put("2012-12.parquet", encode(t, month(2012, time.December)))
	found = h.look()
	day := time.Date(2013, 5, 1, 21, 0, 0, 0, time.UTC).Add(36 * time.Hour)
	if found.Count != 6 || found.New != 2 || !found.Newest.Equal(day) {
		t.Errorf("replaced, and an old one added: %+v, want newest %s", found, day)
	}
	h.remove("2013-05.parquet")
	found = h.look()
	if found.Count != 5 || found.New != 1 || !found.Newest.Equal(knownAt(2012, time.December)) || found.Example != "s3://source/shipments/2012-12.parquet" {
		t.Errorf("one of two is gone again: %+v", found)
	}

	// A retraining was asked for: everything is known.
	h.state.New = 0
	changed := h.state.Changed
	found = h.look()
	if found.New != 0 || !found.Newest.IsZero() || found.Example != "" || !found.Changed.Equal(changed) {
		t.Errorf("after a request: %+v", found)
	}
	h.put("2013-01.parquet", encode(t, month(2013, time.January)[:8]))
	if found = h.look(); found.New != 1 || found.Count != 5 {
		t.Errorf("a known one was replaced: %+v", found)
	}
}

func TestArrivalsThatCantBeRead(t *testing.T) {
	h := newHarbour(t)
	h.look()
	h.put("2013-05.parquet", []byte("half writ"))
	h.put("2013-06.parquet", encode(t, []struct {
		ID string `parquet:"id"`
	}{{"x"}}))
	found := h.look()
	if found.New != 0 || found.Count != 6 || found.Unreadable == "" || !found.Changed.IsZero() {
		t.Errorf("no Parquet yet: %+v", found)
	}
	h.put("2013-05.parquet", encode(t, month(2013, time.May)))
	h.remove("2013-06.parquet")
	if found = h.look(); found.New != 1 || found.Unreadable != "" {
		t.Errorf("written: %+v", found)
	}
	// What does not answer is no empty source.
	h.r.Store = downStore{h.store}
	_, err := h.r.FindArrivals(t.Context(), models.ArrivalRequest{Data: h.data, State: h.state})
	wantFailure(t, err, models.KindUnavailable, "connection refused")
	h.data.Source = "data/shipments"
	_, err = h.r.FindArrivals(t.Context(), models.ArrivalRequest{Data: h.data})
	wantFailure(t, err, models.KindInvalidSpec, "can't be listed")
}

func TestArrivalsInAnEmptySource(t *testing.T) {
	h := newHarbour(t)
	h.data.Source = "s3://source/nothing/yet/"
	if found := h.look(); found.Count != 0 || found.Listing.SHA256 == "" {
		t.Errorf("nothing is there: %+v", found)
	}
	putObject(t, h.store, "s3://source/nothing/yet/a.parquet", encode(t, month(2013, time.May)[:8]))
	if found := h.look(); found.Count != 1 || found.New != 1 {
		t.Errorf("the first one: %+v", found)
	}
}

// A listing that was cleaned up leaves nothing to compare with.
func TestArrivalsWithoutTheirListing(t *testing.T) {
	h := newHarbour(t)
	h.look()
	if err := h.store.Delete(t.Context(), artifact.ObjectKey(h.state.Listing.SHA256)); err != nil {
		t.Fatal(err)
	}
	h.put("2013-05.parquet", encode(t, month(2013, time.May)))
	if found := h.look(); found.New != 0 || found.Count != 5 {
		t.Errorf("it begins anew: %+v", found)
	}
	h.put("2013-06.parquet", encode(t, month(2013, time.May)))
	if found := h.look(); found.New != 1 {
		t.Errorf("and goes on: %+v", found)
	}
}

// Without statistics in the footer the column is read; without a label time a
// label is known at the event.
func TestTheNewestLabelWithoutStatistics(t *testing.T) {
	rows := month(2013, time.May)
	var b bytes.Buffer
	w := parquet.NewGenericWriter[shipment](&b, parquet.SkipPageBounds("known"), parquet.SkipPageBounds("at"))
	for _, part := range [][]shipment{rows[:100], rows[100:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range file.Metadata().RowGroups[0].Columns[1:4:4] {
		if name := column.MetaData.PathInSchema[0]; name != "late" && column.MetaData.Statistics.MaxValue != nil {
			t.Fatalf("column %s has statistics", name)
		}
	}
	for labelTime, want := range map[string]time.Time{
		"known": knownAt(2013, time.May), "": time.Date(2013, 5, 31, 21, 0, 0, 0, time.UTC),
	} {
		h := newHarbour(t)
		h.now = time.Date(2013, 7, 1, 0, 0, 0, 0, time.UTC)
		h.data.LabelTime = labelTime
		h.look()
		h.put("2013-05.parquet", b.Bytes())
		if found := h.look(); !found.Newest.Equal(want) {
			t.Errorf("label time %q: newest %s, want %s", labelTime, found.Newest, want)
		}
	}
}

// A label of the future is not known yet, whatever the data says.
func TestNewestIsNotInTheFuture(t *testing.T) {
	h := newHarbour(t)
	h.look()
	h.put("2099.parquet", encode(t, month(2099, time.May)))
	if at := h.now; !h.look().Newest.Equal(at) {
		t.Errorf("newest is %s, now %s", h.state.Newest, at)
	}
}

func TestArrivalsInADirectory(t *testing.T) {
	dir := t.TempDir()
	h := newHarbour(t)
	h.data.Source = "file://" + dir
	write := func(name string, rows []shipment) {
		if err := os.WriteFile(filepath.Join(dir, name), encode(t, rows), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.parquet", month(2013, time.January))
	h.look()
	write("b.parquet", month(2013, time.February))
	if found := h.look(); found.New != 1 || !found.Newest.Equal(knownAt(2013, time.February)) {
		t.Errorf("%+v", found)
	}
}
