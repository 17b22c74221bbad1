package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// writeBytes is about how much is handed to one write(2).
const writeBytes = 256 << 10

// Topic is a queue of records. It is safe for concurrent use.
type Topic struct {
	spool *Spool
	dir   string

	mu      sync.Mutex
	sealed  []Segment // oldest first
	active  *os.File  // nil: the next record opens one
	growing Segment   // what the active file is
	buffer  []byte
	torn    int64
}

// Segment is a sealed file of records.
type Segment struct {
	Name    string // without the extension
	Records int
	Bytes   int64
	path    string
}

// Append writes the records that fill appends, 0 to n-1 in order, and returns
// how many of them are written. Those before the failure stay.
func (t *Topic) Append(n int, fill func(i int, dst []byte) []byte) (written int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := 0 // records in the buffer
	t.buffer = t.buffer[:0]
	for i := range n {
		t.buffer = appendFrame(t.buffer, func(dst []byte) []byte { return fill(i, dst) })
		pending++
		if i < n-1 && len(t.buffer) < writeBytes {
			continue
		}
		done, err := t.write(pending)
		written += done
		if err != nil {
			return written, err
		}
		pending, t.buffer = 0, t.buffer[:0]
	}
	if cap(t.buffer) > 4*writeBytes {
		t.buffer = nil // one large record must not keep its memory
	}
	return written, nil
}

// write appends the buffer, which has so many records, to the active segment.
func (t *Topic) write(records int) (written int, err error) {
	size := int64(len(t.buffer))
	if t.spool.bytes.Add(size) > t.spool.config.MaxBytes {
		t.spool.bytes.Add(-size)
		return 0, fmt.Errorf("%w: it may have %d bytes", ErrFull, t.spool.config.MaxBytes)
	}
	if err := t.open(); err != nil {
		t.spool.bytes.Add(-size)
		return 0, err
	}
	n, err := t.active.Write(t.buffer)
	if err == nil {
		t.growing.Records += records
		t.growing.Bytes += size
		if t.growing.Bytes >= t.spool.config.SegmentBytes {
			return records, t.seal()
		}
		return records, nil
	}
	// Whole records that were written count. The rest is cut off, and should that
	// fail as well, a reader stops where it starts.
	whole := 0
	for at := 0; ; written++ {
		_, frame, ok := nextFrame(t.buffer[at:n])
		if !ok {
			break
		}
		at += frame
		whole = at
	}
	t.growing.Records += written
	t.growing.Bytes += int64(whole)
	t.spool.bytes.Add(int64(whole) - size)
	err = fmt.Errorf("write to the spool: %w", err)
	if cut := t.active.Truncate(t.growing.Bytes); cut != nil {
		err = errors.Join(err, cut)
	}
	return written, errors.Join(err, t.seal())
}

// open makes sure that there is an active segment.
func (t *Topic) open() error {
	if t.active != nil {
		return nil
	}
	name := t.spool.segmentName()
	path := filepath.Join(t.dir, name+extension)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // somebody cleaned up
		if err = os.MkdirAll(t.dir, 0o700); err == nil {
			file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("open a segment of the spool: %w", err)
	}
	if _, err := file.WriteString(magic); err != nil {
		return errors.Join(fmt.Errorf("write to the spool: %w", err), file.Close(), os.Remove(path))
	}
	t.active, t.growing = file, Segment{Name: name, Bytes: int64(len(magic)), path: path}
	t.spool.bytes.Add(int64(len(magic)))
	return nil
}

// Seal ends the active segment.
func (t *Topic) Seal() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seal()
}

func (t *Topic) seal() error {
	if t.active == nil {
		return nil
	}
	err := t.active.Close()
	t.active = nil
	if t.growing.Records == 0 {
		return errors.Join(err, t.discard(t.growing))
	}
	t.sealed = append(t.sealed, t.growing)
	return err
}

// Sealed are the sealed segments, oldest first.
func (t *Topic) Sealed() []Segment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.sealed)
}

// Records is how many are in the topic, those of the active segment included.
func (t *Topic) Records() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	records := 0
	if t.active != nil {
		records = t.growing.Records
	}
	for _, s := range t.sealed {
		records += s.Records
	}
	return records
}

// Torn is how many bytes were cut off when the topic was taken over.
func (t *Topic) Torn() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.torn
}

// Read visits the records of a sealed segment. The bytes are the visitor's to
// keep.
func (t *Topic) Read(s Segment, visit func(record []byte) error) error {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("read a segment of the spool: %w", err)
	}
	if records, _, err := walk(data, visit); err != nil || records < s.Records {
		return cmp.Or(err, fmt.Errorf("%w: %s has %d whole records of %d; the disk changed it", ErrForeign, s.path, records, s.Records))
	}
	return nil
}

// Remove deletes a sealed segment; one that is gone already is success.
func (t *Topic) Remove(s Segment) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(s, os.Remove)
}

// SetAside takes a segment that can't be read out of the queue and leaves its
// file to people.
func (t *Topic) SetAside(s Segment) (path string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	path = s.path + setAside
	return path, t.take(s, func(from string) error { return os.Rename(from, path) })
}

func (t *Topic) take(s Segment, away func(path string) error) error {
	i := slices.IndexFunc(t.sealed, func(other Segment) bool { return other.path == s.path })
	if i < 0 {
		return nil
	}
	if err := away(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a segment of the spool: %w", err)
	}
	t.sealed = slices.Delete(t.sealed, i, i+1)
	t.spool.bytes.Add(-s.Bytes)
	return nil
}

// discard removes the file of a segment without records.
func (t *Topic) discard(s Segment) error {
	t.spool.bytes.Add(-s.Bytes)
	return os.Remove(s.path)
}

func (t *Topic) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seal()
}

// recover takes over the segments in the topic's directory.
func (t *Topic) recover() error {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return err
	}
	written := map[string]time.Time{}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), extension)
		if !ok {
			continue
		}
		s := Segment{Name: name, path: filepath.Join(t.dir, entry.Name())}
		info, err := os.Stat(s.path)
		if err != nil {
			return err
		}
		written[name] = info.ModTime()
		if err := t.recoverSegment(s, info.Size()); err != nil {
			return err
		}
	}
	slices.SortStableFunc(t.sealed, func(a, b Segment) int {
		return cmp.Or(written[a.Name].Compare(written[b.Name]), strings.Compare(a.Name, b.Name))
	})
	return nil
}

// recoverSegment cuts the torn end off a segment. A file that has another
// format is set aside.
func (t *Topic) recoverSegment(s Segment, size int64) error {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	s.Records, s.Bytes, err = walk(data, func([]byte) error { return nil })
	switch {
	case err != nil:
		t.torn += size
		return os.Rename(s.path, s.path+setAside)
	case s.Records == 0:
		t.torn += max(0, size-int64(len(magic)))
		return os.Remove(s.path)
	case s.Bytes < size:
		t.torn += size - s.Bytes
		// Truncating would change the time that orders segments.
		info, err := os.Stat(s.path)
		if err != nil {
			return err
		}
		if err := errors.Join(os.Truncate(s.path, s.Bytes), os.Chtimes(s.path, time.Time{}, info.ModTime())); err != nil {
			return err
		}
	}
	t.sealed = append(t.sealed, s)
	t.spool.bytes.Add(s.Bytes)
	return nil
}
