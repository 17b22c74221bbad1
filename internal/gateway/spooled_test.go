package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func spooledStage(t *testing.T, config Config) *stage {
	t.Helper()
	s := newStage(t, config)
	t.Cleanup(func() { _ = s.gateway.spool.Close() })
	s.replicas("v1", modelServer(t, "v1"))
	s.route(7, 0)
	return s
}

// killed takes the spool away from a gateway, as the end of its process does,
// and starts another one of the same name.
func (s *stage) killed(boot string) *stage {
	s.t.Helper()
	dir := s.gateway.config.SpoolDir
	if err := s.gateway.spool.Close(); err != nil {
		s.t.Fatal(err)
	}
	config := Config{SpoolDir: dir, Boot: boot, SpoolBytes: s.gateway.config.SpoolBytes}
	next := newStage(s.t, config)
	s.t.Cleanup(func() { _ = next.gateway.spool.Close() })
	next.gateway.store, next.store = s.store, s.store
	return next
}

func (s *stage) loggedIDs() []string {
	s.t.Helper()
	ids := []string{}
	for _, row := range rowsUnder[models.InferenceRow](s.t, s.store, models.InferenceRoot("flights")) {
		ids = append(ids, row.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestSpooledRowsSurviveAKill(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	s.infer("a", day(1, 1))
	s.flush()
	s.infer("b", day(1, 2))
	s.infer("c", day(2, 2))
	s.gateway.collectAll()
	s.infer("lost", day(2, 3)) // in memory only

	next := s.killed("b2") // and its route is gone
	if rows, err := next.gateway.flush(context.Background(), false); err != nil || rows != 2 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if got := next.loggedIDs(); !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Errorf("logged %q", got)
	}
	if got := next.watermark(); !got.Equal(day(2, 2)) {
		t.Errorf("watermark %v", got)
	}
	if next.gateway.spool.Bytes() != 0 {
		t.Errorf("%d bytes are left", next.gateway.spool.Bytes())
	}
	if r := next.infer("d", day(3, 1)); r.status != 503 {
		t.Errorf("an endpoint that has rows only: %+v", r)
	}
}

// TestLeftRowsHoldTheWatermark is the promise across a kill: nobody may pass
// rows that are in the spool.
func TestLeftRowsHoldTheWatermark(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	s.infer("a", day(1, 1))
	s.flush()
	s.infer("b", day(1, 2))
	s.gateway.collectAll()
	next := s.killed("b2")
	next.store.setOut(func(operation, key string) bool { return operation == "put" && strings.HasPrefix(key, "inference/") })
	next.replicas("v1", modelServer(t, "v1"))
	next.route(7, 0)
	next.infer("new", day(5, 1))
	before := time.Now()
	if _, err := next.gateway.flush(context.Background(), false); err == nil {
		t.Fatal("no error")
	}
	var mark models.Watermark
	if !next.store.read(t, models.WatermarkPrefix("flights")+"gw.json", &mark) || !mark.EventTime.Equal(day(1, 1)) || mark.Written.Before(before) || mark.Closed {
		t.Errorf("mark %+v, want that of the last process, written anew", mark)
	}
	next.store.setOut(nil)
	next.flush()
	if got := next.watermark(); !got.Equal(day(5, 1)) {
		t.Errorf("watermark %v", got)
	}
	if got := next.loggedIDs(); !reflect.DeepEqual(got, []string{"a", "b", "new"}) {
		t.Errorf("logged %q", got)
	}
}

func TestLeftRowsHoldTheWatermarkBeforeTheFirst(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	s.infer("b", day(1, 3))
	s.infer("a", day(1, 2))
	s.gateway.collectAll()
	next := s.killed("b2")
	next.store.setOut(func(operation, key string) bool { return operation == "put" && strings.HasPrefix(key, "inference/") })
	if _, err := next.gateway.flush(context.Background(), false); err == nil {
		t.Fatal("no error")
	}
	if got := next.watermark(); !got.Equal(day(1, 2)) {
		t.Errorf("watermark %v", got)
	}
}

// TestUploadedTwiceIsLoggedOnce kills a gateway between an upload and the
// removal of its segment.
func TestUploadedTwiceIsLoggedOnce(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	for i := range 50 {
		s.infer(fmt.Sprintf("r%02d", i), day(1, float64(i)/10)) // five hours
	}
	s.gateway.collectAll()
	kept := t.TempDir()
	copyTree(t, s.gateway.config.SpoolDir, kept)
	s.flush()
	objects := len(s.store.objects)
	s.gateway.config.SpoolDir = kept
	next := s.killed("b2")
	if got := next.flush(); got != 50 {
		t.Errorf("uploaded %d rows again", got)
	}
	if got := next.loggedIDs(); len(got) != 50 || len(next.store.objects) != objects {
		t.Errorf("%d rows, %d objects; want 50, %d", len(got), len(next.store.objects), objects)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(to, "copy"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(to, "copy"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(to, "copy", e.Name()), filepath.Join(to, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullSpoolFallsBackToMemory(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir(), SpoolBytes: 2000, BufferRows: 30})
	s.store.setOut(func(operation, key string) bool { return operation == "put" })
	answered := 0
	for range 10 {
		for range 10 {
			if r := s.infer(fmt.Sprintf("r%03d", answered), day(1, 1)); r.status != 200 {
				t.Fatalf("%+v", r)
			}
			answered++
		}
		s.gateway.collectAll()
	}
	waiting, dropped := (*s.gateway.known.Load())["flights"].log.load()
	if dropped == 0 || s.gateway.spool.Bytes() > 2000 || waiting+int(dropped) != answered || s.gateway.unspooled.Load() == 0 {
		t.Errorf("%d wait, %d dropped of %d; %d bytes, %d rows past the spool", waiting, dropped, answered, s.gateway.spool.Bytes(), s.gateway.unspooled.Load())
	}
	if got := s.gateway.Status(); got.Spool == nil || !got.Spool.Failing || got.Endpoints[0].Dropped != dropped || got.Endpoints[0].Waiting != waiting {
		t.Errorf("status %+v", got)
	}
	s.store.setOut(nil)
	if got := s.flush(); got != waiting {
		t.Errorf("flushed %d of %d", got, waiting)
	}
	if got := len(s.loggedIDs()); got+int(dropped) != answered {
		t.Errorf("%d logged, %d dropped of %d", got, dropped, answered)
	}
	if waiting, _ := (*s.gateway.known.Load())["flights"].log.load(); waiting != 0 {
		t.Errorf("%d rows wait", waiting)
	}
	s.infer("later", day(1, 2))
	s.gateway.collectAll()
	if s.gateway.spoolFailing.Load() || s.gateway.spool.Bytes() == 0 {
		t.Error("the spool isn't used again")
	}
}

func TestAnOutageGrowsSegmentsNotTheirNumber(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	s.store.setOut(func(operation, key string) bool { return operation == "put" })
	for i := range 20 {
		s.infer(fmt.Sprint(i), day(1, 1))
		if _, err := s.gateway.flush(context.Background(), false); err == nil {
			t.Fatal("no error")
		}
	}
	segments, err := filepath.Glob(filepath.Join(s.gateway.config.SpoolDir, "*", "*.spool"))
	if err != nil || len(segments) > 2 {
		t.Errorf("%d segments, %v", len(segments), err)
	}
}

func TestAnUnreadableSegmentDoesNotBlockTheOthers(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	topic, err := s.gateway.spool.Topic("flights")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Append(1, func(_ int, dst []byte) []byte { return append(dst, "?from the future"...) }); err != nil {
		t.Fatal(err)
	}
	if err := topic.Seal(); err != nil {
		t.Fatal(err)
	}
	s.infer("a", day(1, 1))
	s.flush()
	if _, dropped := (*s.gateway.known.Load())["flights"].log.load(); dropped != 1 || !reflect.DeepEqual(s.loggedIDs(), []string{"a"}) {
		t.Errorf("%d dropped, logged %q", dropped, s.loggedIDs())
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	want := spooled{mark: -5, marked: true, rows: []models.InferenceRow{
		{Endpoint: "e"},
		{ID: "a\x00é", EventTime: -1, Time: 1 << 60, Endpoint: "e", Version: "v", Role: "shadow", Generation: 9, ArmShare: 0.1,
			Status: 504, LatencyUS: 7, Drawn: "w", LogShare: 0.25, Inputs: `{"x":[1]}`, Outputs: "{}"},
	}}
	var got spooled
	records := [][]byte{appendRow(nil, &want.rows[0]), appendMark(nil, -5), appendRow(nil, &want.rows[1])}
	for _, record := range records {
		if err := got.read("e", record); err != nil {
			t.Fatal(err)
		}
		for cut := range len(record) {
			if err := new(spooled).read("e", record[:cut]); err == nil {
				t.Errorf("%d of %d bytes were taken", cut, len(record))
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// BenchmarkLogPath is what one row costs from the answer to the spool, without
// the server and the store.
func BenchmarkLogPath(b *testing.B) {
	for _, kind := range []string{"spool", "memory"} {
		b.Run(kind, func(b *testing.B) {
			config := Config{Name: "gw", BufferRows: 1 << 30}
			if kind == "spool" {
				config.SpoolDir, config.SpoolBytes = b.TempDir(), 1<<40
			}
			g, err := New(config, newMemoryStore())
			if err != nil {
				b.Fatal(err)
			}
			e := g.endpoint("flights")
			row := models.InferenceRow{
				ID: "8a1c-1", Version: "3", Role: "champion", Drawn: "3", Status: 200, LogShare: 1, ArmShare: 0.9,
				Inputs: `{"carrier":["UA"],"origin":["IAH"],"distance":[700],"hour":[17]}`, Outputs: `{"probability":[0.25]}`,
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				row.EventTime = int64(i)
				e.log.finish(e.log.admit(row.EventTime), &row)
				if i%2500 == 2499 { // 5000 requests per second, collected twice
					discard(b, g, e)
				}
			}
			discard(b, g, e)
			if g.spool != nil {
				if err := g.spool.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// discard collects and forgets.
func discard(b *testing.B, g *Gateway, e *endpoint) {
	g.collect(e)
	e.book.memory = nil
	e.log.cutRows = 0
	if g.spool == nil {
		return
	}
	for _, s := range e.book.topic.Sealed() {
		if err := e.book.topic.Remove(s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestARouteThatComesDuringAFlush: rows of an earlier process are uploaded while
// their endpoint gets its route again, and a request that the full spool can't
// take.
func TestARouteThatComesDuringAFlush(t *testing.T) {
	s := spooledStage(t, Config{SpoolDir: t.TempDir()})
	s.infer("old", day(1, 1))
	s.gateway.collectAll()
	s.gateway.config.SpoolBytes = 1
	next := s.killed("b2")
	came := false
	next.store.setOut(func(operation, key string) bool {
		if operation == "put" && strings.HasPrefix(key, "inference/") && !came {
			came = true
			e := next.gateway.endpoint("flights")
			row := models.InferenceRow{ID: "new", EventTime: day(1, 2).UnixMicro()}
			e.log.finish(e.log.admit(row.EventTime), &row)
			next.gateway.collect(e)
		}
		return false
	})
	next.flush()
	if got := next.loggedIDs(); !came || !reflect.DeepEqual(got, []string{"new", "old"}) {
		t.Errorf("logged %q", got)
	}
	if waiting, _ := (*next.gateway.known.Load())["flights"].log.load(); waiting != 0 {
		t.Errorf("%d rows wait", waiting)
	}
	next.flush()
	if got := next.watermark(); !got.Equal(day(1, 2)) {
		t.Errorf("watermark %v", got)
	}
}
