package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gateway/spool"
	"github.com/mainspring-ml/mainspring/models"
)

// logbook has what an endpoint's log has on its way to the store: segments of
// rows, on the disk or in memory, and the watermark that they allow. An
// endpoint whose route is gone has one for as long as it has rows in the spool.
type logbook struct {
	endpoint string
	topic    *spool.Topic // nil: there is no spool

	mu       sync.Mutex // guards the next three; held for writes to the disk, never to the store
	memory   []memorySegment
	sequence int
	mark     time.Time // holds once everything that was collected is uploaded

	// The gateway's flush lock guards these.
	watermark time.Time // promised; zero: no request yet
	written   models.Watermark
	leftover  bool // an earlier process left rows in the spool
}

// memorySegment has rows that are in memory only. Its name stays the same
// however often it is tried.
type memorySegment struct {
	name string
	rows []models.InferenceRow
}

// openSpool opens the spool, if there is to be one, and the books of the
// endpoints that an earlier process left rows of.
func (g *Gateway) openSpool() error {
	g.books = map[string]*logbook{}
	if g.config.SpoolDir == "" {
		return nil
	}
	s, err := spool.Open(spool.Config{
		Dir: g.config.SpoolDir, Name: g.config.Name + "-" + g.config.Boot, MaxBytes: g.config.SpoolBytes,
	})
	if err != nil {
		return err
	}
	g.spool = s
	for _, name := range s.Topics() {
		b := g.book(name)
		b.leftover = true
		g.config.Log.Info("an earlier process left rows of the inference log, which are uploaded first", slog.String("endpoint", name),
			slog.Int("rows", b.topic.Records()), slog.Int64("torn_bytes", b.topic.Torn()))
	}
	return nil
}

// book is the endpoint's; a new one where there is none.
func (g *Gateway) book(endpoint string) *logbook {
	g.booksMu.Lock()
	defer g.booksMu.Unlock()
	if b, ok := g.books[endpoint]; ok {
		return b
	}
	b := &logbook{endpoint: endpoint}
	if g.spool != nil {
		topic, err := g.spool.Topic(endpoint)
		if err != nil {
			g.spoolState(err, 0)
		}
		b.topic = topic
	}
	g.books[endpoint] = b
	return b
}

// allBooks are sorted by endpoint.
func (g *Gateway) allBooks() []*logbook {
	g.booksMu.Lock()
	defer g.booksMu.Unlock()
	books := make([]*logbook, 0, len(g.books))
	for _, b := range g.books {
		books = append(books, b)
	}
	slices.SortFunc(books, func(a, b *logbook) int { return cmp.Compare(a.endpoint, b.endpoint) })
	return books
}

// collect takes the buffered rows of an endpoint and puts them into its spool.
// Those that it can't take wait in memory.
func (g *Gateway) collect(e *endpoint) (sealed bool) {
	b := e.book
	b.mu.Lock()
	defer b.mu.Unlock()
	rows, watermark, seen := e.log.cut()
	if at := time.UnixMicro(watermark).UTC(); seen && at.After(b.mark) {
		b.mark = at
	}
	if len(rows) == 0 {
		e.log.spooled(0, rows)
		return false
	}
	written := 0
	if b.topic != nil {
		var err error
		written, err = b.topic.Append(len(rows)+1, func(i int, dst []byte) []byte {
			if i == len(rows) {
				return appendMark(dst, b.mark.UnixMicro())
			}
			return appendRow(dst, &rows[i])
		})
		written = min(written, len(rows))
		g.spoolState(err, len(rows)-written)
	}
	if written == len(rows) {
		e.log.spooled(written, rows)
		return len(b.topic.Sealed()) > 0
	}
	e.log.spooled(written, nil)
	b.memory = append(b.memory, memorySegment{g.memoryName(b), rows[written:]})
	return false
}

// memoryName is a new segment's, different from all names in the spool.
func (g *Gateway) memoryName(b *logbook) string {
	b.sequence++
	kind := ""
	if g.spool != nil {
		kind = "m"
	}
	return fmt.Sprintf("%s-%s-%s%08d", g.config.Name, g.config.Boot, kind, b.sequence)
}

// spoolState counts rows that the spool could not take, and logs when it stops
// taking them and when it does so again.
func (g *Gateway) spoolState(err error, unspooled int) {
	g.unspooled.Add(int64(unspooled))
	failing := err != nil
	switch was := g.spoolFailing.Swap(failing); {
	case failing && !was:
		hint := "rows wait in memory, and are lost should the gateway be killed"
		if errors.Is(err, spool.ErrFull) {
			hint += "; it holds what the store has not taken yet"
		}
		g.config.Log.Error("the spool can't be written: "+hint, slog.Any("error", err))
	case was && !failing:
		g.config.Log.Info("the spool is written again")
	}
}

// seal ends the active segment and returns the watermark that holds once all
// segments that there are now have been uploaded.
func (b *logbook) seal() (mark time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topic != nil {
		err = b.topic.Seal()
	}
	return b.mark, err
}

// raise takes in a watermark that was found in the spool.
func (b *logbook) raise(mark time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mark.After(b.mark) {
		b.mark = mark
	}
}

// inMemory are the segments in memory, oldest first.
func (b *logbook) inMemory() []memorySegment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.memory)
}

// uploaded takes the oldest segment in memory off the queue.
func (b *logbook) uploaded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory = b.memory[1:]
}
