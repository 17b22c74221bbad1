package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// runFlusher writes the log, the spool and the counters, each at its own
// interval, until ctx ends. Rows are spooled and counters written also while
// an upload takes long.
func (g *Gateway) runFlusher(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() {
		every(ctx, g.config.Stats, nil, g.watched("the counters can't be written", "the counters are written again", g.count))
	})
	full := g.full
	if g.spool != nil {
		full = g.sealed
		loops.Go(func() { every(ctx, g.config.SpoolEvery, g.full, func(context.Context) { g.collectAll() }) })
	}
	every(ctx, g.config.Flush, full, g.watched("the inference log can't be written; its rows wait", "the inference log is written again",
		func(ctx context.Context) error {
			_, err := g.flush(ctx, false)
			return err
		}))
	loops.Wait()
}

// every calls do at each interval, and whenever it is woken.
func every(ctx context.Context, interval time.Duration, woken <-chan struct{}, do func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-woken:
		}
		do(ctx)
	}
}

// watched logs when something begins to fail and when it works again.
func (g *Gateway) watched(broken, mended string, do func(context.Context) error) func(context.Context) {
	failing := false
	return func(ctx context.Context) {
		err := do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			g.config.Log.Warn(broken, slog.Any("error", err))
		case err == nil && failing:
			g.config.Log.Info(mended)
		}
		failing = err != nil
	}
}

// collectAll spools what was answered so far. Where a segment has become full
// an upload is due.
func (g *Gateway) collectAll() {
	sealed := false
	for _, e := range g.endpoints() {
		sealed = g.collect(e) || sealed
	}
	if sealed {
		select {
		case g.sealed <- struct{}{}:
		default:
		}
	}
}

// flush makes everything that was answered so far durable and returns the
// number of rows written. closing marks the watermarks as the last ones.
func (g *Gateway) flush(ctx context.Context, closing bool) (rows int, err error) {
	g.flushing.Lock()
	defer g.flushing.Unlock()
	known := *g.known.Load()
	var failures []error
	for _, b := range g.allBooks() {
		n, err := g.flushBook(ctx, b, known[b.endpoint], closing)
		rows += n
		if err != nil {
			failures = append(failures, fmt.Errorf("endpoint %s: %w", b.endpoint, err))
		}
	}
	return rows, errors.Join(failures...)
}

// flushBook keeps the order of effects: rows, counters, watermark. Without an
// endpoint there are only rows of an earlier process.
func (g *Gateway) flushBook(ctx context.Context, b *logbook, e *endpoint, closing bool) (rows int, err error) {
	if e != nil {
		g.collect(e)
	}
	if err := g.hold(ctx, b); err != nil {
		return 0, err
	}
	// The active segment is sealed only when the older ones are gone: during an
	// outage segments are to grow, not to become many.
	if rows, err = g.upload(ctx, b); err != nil {
		return rows, err
	}
	mark, err := b.seal()
	if err != nil {
		return rows, fmt.Errorf("seal the spool: %w", err)
	}
	more, err := g.upload(ctx, b)
	if rows += more; err != nil {
		return rows, err
	}
	if e != nil {
		if err := g.putStats(ctx, e); err != nil {
			return rows, err
		}
	}
	return rows, g.promise(ctx, b, e, mark, closing)
}

func (g *Gateway) putJSON(ctx context.Context, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if err := g.store.Put(ctx, key, data); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
