package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/models"
)

// refresh is how often a watermark is written anew though it has not moved: a
// reader can tell a gateway that is idle from one that is gone.
const refresh = 10 * time.Second

// flushState is what the flusher knows about one endpoint; the gateway's flush
// lock guards it.
type flushState struct {
	uploads   []upload // cut and not durable yet, oldest first
	sequence  int
	watermark time.Time // promised once the uploads are durable; zero: no request yet
	written   models.Watermark
	stats     []byte // the counters as they were written last
}

// upload is one Parquet file on its way to the store. Its key stays the same
// however often it is tried.
type upload struct {
	key  string
	data []byte
	rows int
}

// runFlusher flushes at every interval and whenever enough rows wait.
func (g *Gateway) runFlusher(ctx context.Context) {
	ticker := time.NewTicker(g.config.Flush)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-g.full:
		}
		_, err := g.flush(ctx, false)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			g.config.Log.Warn("the inference log can't be written; rows wait in memory", slog.Any("error", err))
		case err == nil && failing:
			g.config.Log.Info("the inference log is written again")
		}
		failing = err != nil
	}
}

// flush makes everything that was answered so far durable and returns the
// number of rows written. closing marks the watermarks as the last ones.
func (g *Gateway) flush(ctx context.Context, closing bool) (rows int, err error) {
	g.flushing.Lock()
	defer g.flushing.Unlock()
	var failures []error
	for _, e := range g.endpoints() {
		n, err := g.flushEndpoint(ctx, e, closing)
		rows += n
		if err != nil {
			failures = append(failures, fmt.Errorf("endpoint %s: %w", e.name, err))
		}
	}
	return rows, errors.Join(failures...)
}

// flushEndpoint keeps the order of effects: rows, counters, watermark.
func (g *Gateway) flushEndpoint(ctx context.Context, e *endpoint, closing bool) (rows int, err error) {
	cut, watermark, seen := e.log.cut()
	if err := g.encode(e, cut); err != nil {
		return 0, err
	}
	if at := time.UnixMicro(watermark).UTC(); seen && at.After(e.flush.watermark) {
		e.flush.watermark = at
	}
	for len(e.flush.uploads) > 0 {
		next := e.flush.uploads[0]
		if err := g.store.Put(ctx, next.key, next.data); err != nil {
			return rows, fmt.Errorf("write %s: %w", next.key, err)
		}
		e.flush.uploads = e.flush.uploads[1:]
		e.log.settle(next.rows, false)
		rows += next.rows
	}
	if err := g.putStats(ctx, e); err != nil {
		return rows, err
	}
	return rows, g.putWatermark(ctx, e, closing)
}

// encode turns rows into uploads, one per event-time day.
func (g *Gateway) encode(e *endpoint, rows []models.InferenceRow) error {
	slices.SortStableFunc(rows, func(a, b models.InferenceRow) int { return cmp.Compare(a.EventTime, b.EventTime) })
	for len(rows) > 0 {
		day := time.UnixMicro(rows[0].EventTime)
		n := 1
		for n < len(rows) && models.DayKey(time.UnixMicro(rows[n].EventTime)) == models.DayKey(day) {
			n++
		}
		data, err := encodeParquet(rows[:n])
		if err != nil {
			e.log.settle(len(rows), true)
			return fmt.Errorf("encode %d rows of the inference log, which are lost: %w", len(rows), err)
		}
		e.flush.sequence++
		key := fmt.Sprintf("%s%s-%s-%08d.parquet", models.InferencePrefix(e.name, day), g.config.Name, g.config.Boot, e.flush.sequence)
		e.flush.uploads = append(e.flush.uploads, upload{key, data, n})
		rows = rows[n:]
	}
	return nil
}

func (g *Gateway) putStats(ctx context.Context, e *endpoint) error {
	arms := e.stats()
	text, err := json.Marshal(arms)
	if err != nil {
		return fmt.Errorf("encode counters: %w", err)
	}
	if len(arms) == 0 || bytes.Equal(text, e.flush.stats) {
		return nil
	}
	key := models.StatsPrefix(e.name) + g.config.Name + "-" + g.config.Boot + ".json"
	stats := models.GatewayStats{Gateway: g.config.Name, Boot: g.config.Boot, Written: time.Now().UTC(), Arms: arms}
	if err := g.putJSON(ctx, key, stats); err != nil {
		return err
	}
	e.flush.stats = text
	return nil
}

func (g *Gateway) putWatermark(ctx context.Context, e *endpoint, closing bool) error {
	next := models.Watermark{EventTime: e.flush.watermark, Written: time.Now().UTC(), Closed: closing}
	last := e.flush.written
	unchanged := next.EventTime.Equal(last.EventTime) && next.Closed == last.Closed && next.Written.Sub(last.Written) < refresh
	if next.EventTime.IsZero() || unchanged {
		return nil
	}
	if err := g.putJSON(ctx, models.WatermarkPrefix(e.name)+g.config.Name+".json", next); err != nil {
		return err
	}
	e.flush.written = next
	e.durable.Store(&next.EventTime)
	return nil
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

func encodeParquet[Row any](rows []Row) ([]byte, error) {
	var buffer bytes.Buffer
	writer := parquet.NewGenericWriter[Row](&buffer, parquet.Compression(&parquet.Zstd))
	if _, err := writer.Write(rows); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
