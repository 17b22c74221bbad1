package parquetio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
)

// source is bytes that can be read with requests, which are counted.
type source struct {
	*bytes.Reader
	requests atomic.Int64
	down     error
}

func (s *source) ReadAt(p []byte, offset int64) (int, error) {
	s.requests.Add(1)
	if s.down != nil {
		return 0, s.down
	}
	return s.Reader.ReadAt(p, offset)
}

func TestRegionsFetchNeighboursAtOnce(t *testing.T) {
	data := make([]byte, 40<<20)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	s := &source{Reader: bytes.NewReader(data)}
	r := &regions{source: s}
	spans := []span{{30 << 20, 10}, {100, 50}, {200, 100}, {1 << 20, 18 << 20}}
	if err := r.load(spans); err != nil {
		t.Fatal(err)
	}
	// The first two lie close to each other; the large one takes three parts.
	if n := s.requests.Load(); n != 5 {
		t.Errorf("%d requests", n)
	}
	for _, want := range spans {
		got := make([]byte, want.length)
		if _, err := r.ReadAt(got, want.offset); err != nil || !bytes.Equal(got, data[want.offset:want.end()]) {
			t.Errorf("%d bytes at %d differ, %v", want.length, want.offset, err)
		}
	}
	if err := r.load(spans); err != nil || s.requests.Load() != 5 {
		t.Errorf("%d requests after loading twice, %v", s.requests.Load(), err)
	}
	r.forget(0)
	if len(r.loaded) != 0 || r.has(span{100, 50}) {
		t.Error("regions are kept")
	}
}

func TestFailingSourceIsNoDamage(t *testing.T) {
	s := &source{Reader: bytes.NewReader(make([]byte, 1000))}
	r := &regions{source: s}
	damage := fmt.Errorf("%w: no page", ErrNotParquet)
	if _, err := r.ReadAt(make([]byte, 10), 995); !errors.Is(err, io.EOF) || !errors.Is(r.fault(damage), damage) {
		t.Errorf("the end of the file counts as a failure: %v", err)
	}
	s.down = errors.New("connection reset")
	if err := r.load([]span{{0, 10}}); !errors.Is(err, s.down) {
		t.Errorf("load: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, s.down) || !errors.Is(r.fault(damage), s.down) || r.fault(nil) != nil {
		t.Errorf("%v; a reading that comes of it fails with %v", err, r.fault(damage))
	}
}
