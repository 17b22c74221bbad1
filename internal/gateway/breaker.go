package gateway

import (
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// breaker bounds the harm of a version that does not answer, and how many
// requests wait for it. It belongs to the version's pool and outlives routes.
//
// It is closed until enough answers in a row have failed; then open: nobody
// passes. When the time of the opening is over it is half open: one request
// probes, and its answer closes the breaker or opens it for as long again.
// Only answers count: a server that can't be reached is no evidence, and
// opening for it would make it evidence.
type breaker struct {
	pending   atomic.Int64 // requests inside
	failures  atomic.Int64 // in a row
	openUntil atomic.Int64 // Unix nanoseconds; 0: closed
	probing   atomic.Bool
}

// admission is how a breaker received a request.
type admission int

const (
	unasked admission = iota
	refused
	passed
	probe
)

// conduct is what a request's answer says about the version.
type conduct int

const (
	silent conduct = iota // no answer of this version, and no evidence
	proper
	faulty // 5xx, or a time-out
)

// enter lets a request pass or not; leave must follow unless it was refused.
func (b *breaker) enter(now time.Time, limits models.BreakerSpec) admission {
	if b.pending.Add(1) > int64(limits.MaxPending) {
		b.pending.Add(-1)
		return refused
	}
	until := b.openUntil.Load()
	if until == 0 {
		return passed
	}
	if now.UnixNano() >= until && b.probing.CompareAndSwap(false, true) {
		if b.openUntil.Load() == until {
			return probe
		}
		b.probing.Store(false) // another probe ended since until was read
	}
	b.pending.Add(-1)
	return refused
}

// leave ends what enter let pass.
func (b *breaker) leave(now time.Time, limits models.BreakerSpec, as admission, how conduct) {
	if as != passed && as != probe {
		return
	}
	b.pending.Add(-1)
	open := now.Add(time.Duration(limits.OpenFor)).UnixNano()
	switch how {
	case silent:
	case proper:
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
		if as == probe {
			b.openUntil.Store(0)
		}
	case faulty:
		if b.failures.Add(1) >= int64(limits.Failures) && as == passed {
			b.openUntil.CompareAndSwap(0, open) // who passed earlier doesn't prolong it
		}
		if as == probe {
			b.openUntil.Store(open)
		}
	}
	if as == probe {
		b.probing.Store(false)
	}
}

// retryAfter is when it is worth to come back, in whole seconds, at least one.
func (b *breaker) retryAfter(now time.Time) int64 {
	wait := time.Duration(b.openUntil.Load() - now.UnixNano())
	return max(1, int64((wait+time.Second-1)/time.Second))
}

// BreakerState is what a breaker does with requests.
type BreakerState string

// The states.
const (
	BreakerClosed   BreakerState = "closed"    // lets requests pass
	BreakerOpen     BreakerState = "open"      // refuses them
	BreakerHalfOpen BreakerState = "half_open" // lets one try
)

func (b *breaker) state(now time.Time) BreakerState {
	switch until := b.openUntil.Load(); {
	case until == 0:
		return BreakerClosed
	case until > now.UnixNano():
		return BreakerOpen
	default:
		return BreakerHalfOpen
	}
}
