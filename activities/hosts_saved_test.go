package activities

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// signalBook remembers what pools were told, and can be out of order.
type signalBook struct {
	mu     sync.Mutex
	broken bool
	saved  []models.LeaseSaved
}

func (s *signalBook) SignalPool(_ context.Context, pool, signal string, message any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("the server is away")
	}
	if told, ok := message.(models.LeaseSaved); ok && pool == "p" && signal == models.SignalLeaseSaved {
		s.saved = append(s.saved, told)
	}
	return nil
}

func TestPoolHearsOfSavedWorkOnce(t *testing.T) {
	book := &signalBook{}
	s := &savedWork{pools: book, req: models.RunRanksRequest{Lease: "l", Pool: "p", Preemptible: true}}
	noon := time.Date(2013, 8, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at     time.Time
		broken bool
		sent   bool
	}{{time.Time{}, false, false}, {noon, true, false}, {noon, false, true}, {noon, false, false}, {noon.Add(-time.Hour), false, false}, {noon.Add(time.Hour), false, true}} {
		book.broken = c.broken
		s.at(c.at)
		if sent, err := s.tell(context.Background()); sent != c.sent || (err != nil) != c.broken {
			t.Errorf("at %s: sent %v, %v", c.at, sent, err)
		}
	}
	if len(book.saved) != 2 || book.saved[0] != (models.LeaseSaved{RequestID: "l", At: noon}) {
		t.Errorf("got %+v", book.saved)
	}
}

func TestPreemptibleGangTellsItsPool(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	book := &signalBook{}
	b.Pools = book
	gate := filepath.Join(b.dir, "go")
	req := b.request("steps=2", "every=2", "model=distance", "until="+gate)
	req.Lease, req.Pool, req.Preemptible = "l", "p", true
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(context.Background(), req)
		done <- err
	}()
	b.eventually("the pool knows", func() bool {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.saved) == 1 && time.Since(book.saved[0].At) < 20*time.Second
	})
	if err := os.WriteFile(gate, []byte("go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
