package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mainspring-ml/mainspring/internal/gateway/spool"
	"github.com/mainspring-ml/mainspring/models"
)

// upload makes the rows of the sealed segments durable, oldest first, and then
// those that are in memory.
func (g *Gateway) upload(ctx context.Context, b *logbook) (rows int, err error) {
	if b.topic != nil {
		for _, segment := range b.topic.Sealed() {
			n, err := g.uploadSegment(ctx, b, segment)
			rows += n
			if err != nil {
				return rows, err
			}
			if err := g.hold(ctx, b); err != nil {
				return rows, err
			}
		}
	}
	for _, segment := range b.inMemory() {
		n, lost, err := g.putRows(ctx, b.endpoint, segment.name, segment.rows)
		if err != nil {
			return rows, err
		}
		b.uploaded()
		if log := g.logOf(b); log != nil {
			log.settle(n + lost)
			log.lose(lost)
		}
		rows += n
	}
	return rows, nil
}

// logOf is the buffer of the endpoint as it is now: a flush takes long, and an
// endpoint that an earlier process left rows of may get its route meanwhile.
// nil: it has none.
func (g *Gateway) logOf(b *logbook) *inferenceLog {
	if e := (*g.known.Load())[b.endpoint]; e != nil {
		return e.log
	}
	return nil
}

// uploadSegment uploads one segment of the spool and removes it. Killed in
// between, the gateway uploads the same objects again. A segment that can't be
// read is set aside, as is one whose rows make no Parquet file: they must not
// keep all others from the log.
func (g *Gateway) uploadSegment(ctx context.Context, b *logbook, segment spool.Segment) (rows int, err error) {
	var found spooled
	found.rows = make([]models.InferenceRow, 0, segment.Records)
	err = b.topic.Read(segment, func(record []byte) error { return found.read(b.endpoint, record) })
	lost := 0
	switch {
	case errors.Is(err, spool.ErrForeign), errors.Is(err, errRecord):
		g.setAside(b, segment, err)
		lost = segment.Records
	case err != nil:
		return 0, err
	default:
		if rows, lost, err = g.putRows(ctx, b.endpoint, segment.Name, found.rows); err != nil {
			return 0, err
		}
		if err := b.topic.Remove(segment); err != nil {
			return 0, err
		}
	}
	if found.marked {
		b.raise(time.UnixMicro(found.mark).UTC())
	}
	log := g.logOf(b)
	if log != nil && strings.HasPrefix(segment.Name, g.config.Name+"-"+g.config.Boot+"-") {
		log.onDisk.Add(-int64(rows + lost))
	}
	if log != nil {
		log.lose(lost)
	}
	return rows, nil
}

func (g *Gateway) setAside(b *logbook, segment spool.Segment, cause error) {
	path, err := b.topic.SetAside(segment)
	g.config.Log.Error("a segment of the spool can't be read and is set aside; its rows are missing in the inference log",
		slog.String("endpoint", b.endpoint), slog.String("path", path), slog.Int("records", segment.Records), slog.Any("error", errors.Join(cause, err)))
}

// putRows writes a segment's rows, one object per event-time hour. The same
// segment gives the same objects, so that writing it twice is harmless. Rows
// that make no Parquet file are lost, and logged.
func (g *Gateway) putRows(ctx context.Context, endpoint, segment string, rows []models.InferenceRow) (written, lost int, err error) {
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b models.InferenceRow) int { return cmp.Compare(a.EventTime, b.EventTime) })
	for rest := sorted; len(rest) > 0; {
		prefix := models.InferenceHourPrefix(endpoint, time.UnixMicro(rest[0].EventTime))
		n := 1
		for n < len(rest) && models.InferenceHourPrefix(endpoint, time.UnixMicro(rest[n].EventTime)) == prefix {
			n++
		}
		data, err := encodeParquet(rest[:n])
		if err != nil {
			g.config.Log.Error("rows of the inference log can't be encoded and are lost", slog.String("endpoint", endpoint), slog.Int("rows", n), slog.Any("error", err))
			lost += n
		} else {
			key := prefix + segment + ".parquet"
			if err := g.store.Put(ctx, key, data); err != nil {
				return 0, 0, fmt.Errorf("write %s: %w", key, err)
			}
			written += n
		}
		rest = rest[n:]
	}
	return written, lost, nil
}

// compression is the cheapest of its kind: objects are written every second, on
// the cores that answer requests.
var compression = &zstd.Codec{Level: zstd.SpeedFastest}

func encodeParquet[Row any](rows []Row) ([]byte, error) {
	var buffer bytes.Buffer
	writer := parquet.NewGenericWriter[Row](&buffer, parquet.Compression(compression))
	if _, err := writer.Write(rows); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
