package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func open(t testing.TB, config Config) *Spool {
	t.Helper()
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed twice where the test closes it
	return s
}

func topic(t testing.TB, s *Spool, name string) *Topic {
	t.Helper()
	q, err := s.Topic(name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func put(t testing.TB, q *Topic, records ...string) {
	t.Helper()
	n, err := q.Append(len(records), func(i int, dst []byte) []byte { return append(dst, records[i]...) })
	if err != nil || n != len(records) {
		t.Fatalf("%d of %d records: %v", n, len(records), err)
	}
}

// all reads what the topic holds, oldest first.
func all(t testing.TB, q *Topic) []string {
	t.Helper()
	var records []string
	for _, s := range q.Sealed() {
		if err := q.Read(s, func(r []byte) error { records = append(records, string(r)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

func TestRecordsComeBackInOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Name: "gw-a", SegmentBytes: 64})
	q := topic(t, s, "../flights 2")
	var want []string
	for i := range 20 {
		record := fmt.Sprintf("record %d", i)
		want = append(want, record)
		put(t, q, record)
	}
	if err := q.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, q); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	segments := q.Sealed()
	if len(segments) < 5 || segments[0].Name != "gw-a-00000001" {
		t.Errorf("segments %+v", segments)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: dir, Name: "gw-b"})
	if got := again.Topics(); !slices.Equal(got, []string{"../flights 2"}) {
		t.Errorf("topics %q", got)
	}
	q = topic(t, again, "../flights 2")
	put(t, q, "new")
	if err := q.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, q); !slices.Equal(got, append(want, "new")) || q.Records() != 21 {
		t.Errorf("after a restart %q", got)
	}
	for _, s := range q.Sealed() {
		if err := q.Remove(s); err != nil {
			t.Fatal(err)
		}
		if err := q.Remove(s); err != nil {
			t.Error("removing twice:", err)
		}
	}
	if again.Bytes() != 0 || q.Records() != 0 || again.Topics() != nil {
		t.Errorf("%d bytes, %d records, topics %v in an empty spool", again.Bytes(), q.Records(), again.Topics())
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{Dir: dir, Name: "a"})
	if _, err := Open(Config{Dir: dir, Name: "b"}); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
}

func TestFullSpoolTakesAsMuchAsFits(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), Name: "a", MaxBytes: 600 << 10})
	q := topic(t, s, "x")
	large := strings.Repeat("x", 200<<10) // each write takes two
	n, err := q.Append(5, func(_ int, dst []byte) []byte { return append(dst, large...) })
	if !errors.Is(err, ErrFull) || n != 2 {
		t.Errorf("%d records, %v; want 2 and a full spool", n, err)
	}
	if err := q.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := len(all(t, q)); got != 2 {
		t.Errorf("%d records are readable", got)
	}
	if err := q.Remove(q.Sealed()[0]); err != nil {
		t.Fatal(err)
	}
	put(t, q, large)
}

func TestFailedWriteLosesNothingThatWasWritten(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), Name: "a"})
	q := topic(t, s, "x")
	put(t, q, "one")
	before := s.Bytes()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	kept := q.active
	q.active = full
	if n, err := q.Append(1, func(_ int, dst []byte) []byte { return append(dst, "two"...) }); err == nil || n != 0 {
		t.Errorf("%d records, %v", n, err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Bytes() != before {
		t.Errorf("%d bytes, want %d", s.Bytes(), before)
	}
	put(t, q, "three")
	if err := q.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, q); !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("got %q", got)
	}
}

func TestForeignFilesAreSetAside(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Name: "a"})
	put(t, topic(t, s, "x"), "one")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	strange := filepath.Join(dir, "topic-x", "zz.spool")
	if err := os.WriteFile(strange, []byte("MSSPOOL9 from the future"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: dir, Name: "b"})
	if got := all(t, topic(t, again, "x")); !slices.Equal(got, []string{"one"}) {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(strange + setAside); err != nil {
		t.Error(err)
	}
	if topic(t, again, "x").Torn() == 0 {
		t.Error("nothing is said about it")
	}
}

// TestKilledAtAnyByte cuts and damages segments as a kill or a bad disk may,
// and wants every whole record before that point, in order, and none of those
// behind it in the same segment.
func TestKilledAtAnyByte(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		dir := t.TempDir()
		s := open(t, Config{Dir: dir, Name: "a", SegmentBytes: 1 + random.Int64N(400)})
		q := topic(t, s, "x")
		var written []string
		for i := range 1 + random.IntN(40) {
			record := fmt.Sprintf("%d-%d-%s", round, i, strings.Repeat("y", random.IntN(50)))
			put(t, q, record)
			written = append(written, record)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		segments := q.Sealed()
		victim := segments[random.IntN(len(segments))]
		at := random.Int64N(victim.Bytes + 1)
		data, err := os.ReadFile(victim.path)
		if err != nil {
			t.Fatal(err)
		}
		switch random.IntN(3) {
		case 0: // killed in the middle of a write
			data = data[:at]
		case 1: // the file system filled the end up
			clear(data[at:])
		default: // a flipped bit
			if at < victim.Bytes {
				data[at] ^= 1 << random.IntN(8)
			}
		}
		info, err := os.Stat(victim.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(victim.path, data, 0o600), os.Chtimes(victim.path, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
		want, next := []string{}, 0
		for _, s := range segments {
			end := int64(len(magic))
			for range s.Records {
				end += int64(frameHeader + len(written[next]))
				if s.path != victim.path || end <= at {
					want = append(want, written[next])
				}
				next++
			}
		}
		if at < int64(len(magic)) { // the whole segment is unknown
			want = without(want, written, segments, victim)
		}
		again := open(t, Config{Dir: dir, Name: "b"})
		got := all(t, topic(t, again, "x"))
		// A change that changes nothing, such as zeros over zeros, keeps more.
		if !reflect.DeepEqual(append([]string{}, got...), want) && !slices.Equal(got, written) {
			t.Fatalf("round %d, byte %d of %d: got %q\nwant %q", round, at, victim.Bytes, got, want)
		}
		put(t, topic(t, again, "x"), "goes on")
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func without(want, written []string, segments []Segment, victim Segment) []string {
	kept, next := []string{}, 0
	for _, s := range segments {
		for range s.Records {
			if s.path != victim.path && slices.Contains(want, written[next]) {
				kept = append(kept, written[next])
			}
			next++
		}
	}
	return kept
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, Config{Dir: b.TempDir(), Name: "a", MaxBytes: 1 << 40})
	q := topic(b, s, "x")
	record := make([]byte, 300)
	b.SetBytes(100 * 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Append(100, func(_ int, dst []byte) []byte { return append(dst, record...) }); err != nil {
			b.Fatal(err)
		}
		for _, segment := range q.Sealed() {
			if err := q.Remove(segment); err != nil {
				b.Fatal(err)
			}
		}
	}
}
