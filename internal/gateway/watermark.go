package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// refresh is how often a watermark is written anew though it has not moved: a
// reader can tell a gateway that is idle from one that is gone.
const refresh = 10 * time.Second

// promise writes the watermark that holds now that the rows are durable. It
// never goes back.
func (g *Gateway) promise(ctx context.Context, b *logbook, e *endpoint, mark time.Time, closing bool) error {
	b.leftover = false
	if mark.After(b.watermark) {
		b.watermark = mark
	}
	if err := g.putWatermark(ctx, b, closing); err != nil {
		return err
	}
	if e != nil && !b.watermark.IsZero() {
		at := b.watermark
		e.durable.Store(&at)
	}
	return nil
}

// hold keeps readers from passing rows that an earlier process left in the
// spool: their gateway is there again and has promised no more than before.
func (g *Gateway) hold(ctx context.Context, b *logbook) error {
	if !b.leftover {
		return nil
	}
	if b.watermark.IsZero() {
		at, err := g.lastPromise(ctx, b)
		if err != nil {
			return err
		}
		b.watermark = at
	}
	return g.putWatermark(ctx, b, false)
}

// lastPromise is the watermark that this gateway wrote last, in whatever
// process; without one it is the first row in the spool.
func (g *Gateway) lastPromise(ctx context.Context, b *logbook) (time.Time, error) {
	key := g.watermarkKey(b)
	objects, err := g.store.List(ctx, key)
	if err != nil {
		return time.Time{}, fmt.Errorf("list %s: %w", key, err)
	}
	if len(objects) > 0 && objects[0].Key == key {
		data, err := g.store.Get(ctx, key)
		if err != nil {
			return time.Time{}, fmt.Errorf("read %s: %w", key, err)
		}
		var last models.Watermark
		if err := json.Unmarshal(data, &last); err == nil && !last.EventTime.IsZero() {
			return last.EventTime, nil
		}
	}
	var first time.Time
	for _, segment := range b.topic.Sealed() {
		var found spooled
		if err := b.topic.Read(segment, func(record []byte) error { return found.read(b.endpoint, record) }); err != nil {
			continue // the upload will tell
		}
		for _, row := range found.rows {
			if at := time.UnixMicro(row.EventTime).UTC(); first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	return first, nil
}

func (g *Gateway) watermarkKey(b *logbook) string {
	return models.WatermarkPrefix(b.endpoint) + g.config.Name + ".json"
}

func (g *Gateway) putWatermark(ctx context.Context, b *logbook, closing bool) error {
	next := models.Watermark{EventTime: b.watermark, Written: time.Now().UTC(), Closed: closing}
	last := b.written
	unchanged := next.EventTime.Equal(last.EventTime) && next.Closed == last.Closed && next.Written.Sub(last.Written) < refresh
	if next.EventTime.IsZero() || unchanged {
		return nil
	}
	if err := g.putJSON(ctx, g.watermarkKey(b), next); err != nil {
		return err
	}
	b.written = next
	return nil
}
