package gateway

import (
	"math"
	"sync"

	"github.com/mainspring-ml/mainspring/models"
)

// inferenceLog buffers an endpoint's rows between flushes. It never blocks: a
// row that does not fit is dropped and counted.
type inferenceLog struct {
	mu       sync.Mutex
	rows     []models.InferenceRow
	limit    int
	cutRows  int   // rows handed out by cut that are not durable yet
	dropped  int64 // since the start
	newest   int64 // latest event time admitted, in Unix microseconds
	admitted bool
	// inflight has the event times of requests that were admitted and are not
	// finished; free lists the slots that are not in use.
	inflight []int64
	free     []int
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

// finish ends a request and logs its row; nil: there was no answer. It returns
// the number of rows that wait for a flush.
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
	rows, l.rows = l.rows, nil
	l.cutRows += len(rows)
	watermark = l.newest
	for _, eventTime := range l.inflight {
		watermark = min(watermark, eventTime)
	}
	return rows, watermark, l.admitted
}

// settle takes rows of an earlier cut off the account: durable, or dropped.
func (l *inferenceLog) settle(rows int, dropped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutRows -= rows
	if dropped {
		l.dropped += int64(rows)
	}
}

// load is the number of rows that are not durable, and of those dropped since
// the start.
func (l *inferenceLog) load() (waiting int, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows) + l.cutRows, l.dropped
}
