package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// savedEvery bounds how often a pool hears that a lease's work is safe.
const savedEvery = time.Minute

// savedWork tells a pool how much of a preemptible lease's work its end would
// not lose. A pool that does not hear of it chooses victims less well; nothing
// else depends on it.
type savedWork struct {
	pools PoolSignaller
	req   models.RunRanksRequest

	mu     sync.Mutex
	newest time.Time
	told   time.Time
}

// at notes that work up to t has been uploaded.
func (s *savedWork) at(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = latest(s.newest, t)
}

// work tells what is new until ctx ends, the first time at once.
func (s *savedWork) work(ctx context.Context) {
	if s.pools == nil || !s.req.Preemptible || s.req.Lease == "" {
		return
	}
	const look = time.Second
	wait := look
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = look
		sent, err := s.tell(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			slog.Warn("the pool does not know of saved work; told again later", "lease", s.req.Lease, "error", err)
			wait = savedEvery / 2
		case sent:
			wait = savedEvery
		}
	}
}

func (s *savedWork) tell(ctx context.Context) (sent bool, err error) {
	s.mu.Lock()
	newest := s.newest
	s.mu.Unlock()
	if !newest.After(s.told) {
		return false, nil
	}
	err = s.pools.SignalPool(ctx, s.req.Pool, models.SignalLeaseSaved, models.LeaseSaved{RequestID: s.req.Lease, At: newest})
	if err == nil {
		s.told = newest
	}
	return err == nil, err
}
