package gateway

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/mainspring-ml/mainspring/models"
)

// inferenceLog buffers an endpoint's rows until they are collected. It never
// blocks: a row that does not fit is dropped and counted.
type inferenceLog struct {
	mu       sync.Mutex
	rows     []models.InferenceRow
	spare    []models.InferenceRow // empty; the next buffer
	limit    int
	cutRows  int   // rows handed out by cut that are in memory and not durable yet
	dropped  int64 // since the start
	newest   int64 // latest event time admitted, in Unix microseconds
	admitted bool
	// inflight has the event times of requests that were admitted and are not
	// finished; free lists the slots that are not in use.
	inflight []int64
	free     []int

	unsampled atomic.Int64 // requests left out by sampling, since the start
	large     atomic.Int64 // tensors logged without their values, which are too large, since the start
	onDisk    atomic.Int64 // rows in the spool
}

const noRequest = math.MaxInt64

func newInferenceLog(limit int) *inferenceLog { return &inferenceLog{limit: limit} }

// admit registers a request before it is forwarded; finish must follow.
func (l *inferenceLog) admit(eventTime int64) (ticket int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.admitted || eventTime > l.newest {
		l.newest, l.admitted = eventTime, true
	}
	if n := len(l.free); n > 0 {
		ticket, l.free = l.free[n-1], l.free[:n-1]
	} else {
		ticket, l.inflight = len(l.inflight), append(l.inflight, noRequest)
	}
	l.inflight[ticket] = eventTime
	return ticket
}

// finish ends a request and logs its row; nil: there is none. It returns the
// number of rows that wait in the buffer.
func (l *inferenceLog) finish(ticket int, row *models.InferenceRow) (waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inflight[ticket] = noRequest
	l.free = append(l.free, ticket)
	switch {
	case row == nil:
	case len(l.rows)+l.cutRows >= l.limit:
		l.dropped++
	default:
		l.rows = append(l.rows, *row)
	}
	return len(l.rows)
}

// cut hands out the buffered rows and the watermark that holds once they are
// durable: every finished request before it is in this cut or an earlier one.
// ok is false when no request was seen yet.
func (l *inferenceLog) cut() (rows []models.InferenceRow, watermark int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows, l.rows, l.spare = l.rows, l.spare, nil
	l.cutRows += len(rows)
	watermark = l.newest
	for _, eventTime := range l.inflight {
		watermark = min(watermark, eventTime)
	}
	return rows, watermark, l.admitted
}

// settle takes rows of an earlier cut off the account of the memory.
func (l *inferenceLog) settle(rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutRows -= rows
}

// lose counts rows that were logged and can't be written.
func (l *inferenceLog) lose(rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += int64(rows)
}

// spooled moves rows of a cut from the memory to the disk. The buffer, of which
// nobody may use anything any more, comes back to be filled again.
func (l *inferenceLog) spooled(rows int, buffer []models.InferenceRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutRows -= rows
	l.onDisk.Add(int64(rows))
	if l.spare == nil && buffer != nil {
		clear(buffer)
		l.spare = buffer[:0]
	}
}

// load is the number of rows that are not durable, and of those dropped since
// the start.
func (l *inferenceLog) load() (waiting int, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows) + l.cutRows + int(l.onDisk.Load()), l.dropped
}
