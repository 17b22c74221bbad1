package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// refreshStats is how often counters are written anew though nothing was
// counted: a reader of blocks waits for every gateway that is there, and takes
// one whose counters are old for gone.
const refreshStats = 5 * time.Second

// writtenStats are the counters as they were written last.
type writtenStats struct {
	mu   sync.Mutex // held while they are written
	text []byte
	at   time.Time
}

// count writes the counters of all endpoints.
func (g *Gateway) count(ctx context.Context) error {
	var failures []error
	for _, e := range g.endpoints() {
		if err := g.putStats(ctx, e); err != nil {
			failures = append(failures, fmt.Errorf("endpoint %s: %w", e.name, err))
		}
	}
	return errors.Join(failures...)
}

func (g *Gateway) putStats(ctx context.Context, e *endpoint) error {
	e.written.mu.Lock()
	defer e.written.mu.Unlock()
	// The moment comes first: what is counted while the counters are read may be
	// missing in them, and a block must not look ended before all of it is there.
	now := time.Now().UTC()
	arms := e.stats()
	text, err := json.Marshal(arms)
	if err != nil {
		return fmt.Errorf("encode counters: %w", err)
	}
	if len(arms) == 0 || bytes.Equal(text, e.written.text) && now.Sub(e.written.at) < refreshStats {
		return nil
	}
	key := models.StatsPrefix(e.name) + g.config.Name + "-" + g.config.Boot + ".json"
	stats := models.GatewayStats{Gateway: g.config.Name, Boot: g.config.Boot, Written: now, Arms: arms}
	if err := g.putJSON(ctx, key, stats); err != nil {
		return err
	}
	e.written.text, e.written.at = text, now
	return nil
}
