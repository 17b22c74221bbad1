package workflows

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// An account is arithmetic over moments: nothing here asks a clock or a
// workflow. A moment is clamped into its lease, because it was read from
// another host's clock; so no part is negative and the parts add up to what was
// leased, whatever the clocks say.

// keptAttempts is how many attempts are told one by one; older ones are in the
// sums only.
const keptAttempts = 20

// ledger accounts for a training's attempts.
type ledger struct {
	base     models.GPUAccount // older attempts, and waiting that came to nothing
	attempts []usage           // oldest first
}

// usage is what one attempt did with its lease, as far as it was seen.
type usage struct {
	summary models.AttemptSummary
	waited  time.Duration // before the grant
	report  models.AttemptReport
	// saved is the newest step whose work counts, and savedAt when its
	// checkpoint was complete. A saved that is not above summary.From: none.
	saved   int64
	savedAt time.Time // zero: unknown
}

// newUsage takes the report's newest checkpoint for what was saved, until the
// next attempt finds out what can really be resumed.
func newUsage(summary models.AttemptSummary, waited time.Duration, report models.AttemptReport) usage {
	summary.To = max(summary.From, report.Step, report.Checkpoint)
	return usage{summary: summary, waited: waited, report: report, saved: report.Checkpoint, savedAt: report.CheckpointAt}
}

// endedWell: the ranks left because they were done or were asked to.
func endedWell(reason models.ExitReason) bool {
	switch reason {
	case models.ExitFinished, models.ExitPreempted, models.ExitPaused, models.ExitCancelled:
		return true
	default:
		return false
	}
}

// account splits the lease's GPU-seconds:
//
//	granted ─ starting ─ first progress ─ computing ─ counted ─ lost ─ ranks ended ─ tail ─ released
//
// Writing checkpoints is taken out of computing. The tail is the storing of
// the model or the last checkpoint, or what it took to notice a failure.
func (u usage) account() models.GPUAccount {
	granted := u.summary.Began
	released := later(u.summary.Ended, granted)
	first := within(u.report.FirstProgress, granted, released, granted)
	ended := within(u.report.Ended, first, released, released)
	counted := u.counted(first, ended)

	checkpointing := min(max(seconds(u.report.CheckpointSeconds), 0), counted.Sub(first))
	a := models.GPUAccount{
		Waiting:       u.gpuSeconds(u.waited),
		Starting:      u.gpuSeconds(first.Sub(granted)),
		Computing:     u.gpuSeconds(counted.Sub(first) - checkpointing),
		Checkpointing: u.gpuSeconds(checkpointing),
		Lost:          u.gpuSeconds(ended.Sub(counted)),
	}
	if tail := u.gpuSeconds(released.Sub(ended)); endedWell(u.summary.Reason) && counted.After(first) {
		a.Checkpointing += tail
	} else {
		a.Lost += tail
	}
	return a
}

// counted is the moment until which the attempt's work was of use.
func (u usage) counted(first, ended time.Time) time.Time {
	switch {
	case u.summary.Reason == models.ExitFinished:
		return ended
	case u.saved <= u.summary.From:
		return first
	case !u.savedAt.IsZero():
		return within(u.savedAt, first, ended, ended)
	default:
		// Nobody saw when: steps are taken to be equally long.
		last := within(u.report.LastProgress, first, ended, ended)
		share := float64(u.saved-u.summary.From) / float64(max(u.summary.To, u.saved)-u.summary.From)
		return first.Add(time.Duration(share * float64(last.Sub(first))))
	}
}

func (u usage) gpuSeconds(d time.Duration) float64 { return u.summary.GPUs * max(d, 0).Seconds() }

// resumed says that the next attempt starts from this checkpoint: what was
// computed after it is lost, in whichever attempt it was.
func (l *ledger) resumed(from models.Checkpoint) {
	for i := range l.attempts {
		u := &l.attempts[i]
		newest := i == len(l.attempts)-1
		switch {
		case from.Step == u.saved:
			if u.savedAt.IsZero() {
				u.savedAt = from.At
			}
		case from.Step < u.saved, newest && from.Step > u.summary.From:
			u.saved, u.savedAt = from.Step, from.At
			u.summary.To = max(u.summary.To, from.Step)
		}
	}
}

// close books an attempt that has ended.
func (l *ledger) close(u usage) {
	l.attempts = append(l.attempts, u)
	if n := len(l.attempts) - keptAttempts; n > 0 {
		for _, old := range l.attempts[:n] {
			l.base = l.base.Add(old.account())
		}
		l.attempts = slices.Clone(l.attempts[n:])
	}
}

// waitedInVain books waiting that ended without a lease.
func (l *ledger) waitedInVain(gpus float64, d time.Duration) {
	l.base.Waiting += gpus * max(d, 0).Seconds()
}

func (l *ledger) total() models.GPUAccount {
	sum := l.base
	for _, u := range l.attempts {
		sum = sum.Add(u.account())
	}
	return sum
}

func (l *ledger) summaries() []models.AttemptSummary {
	told := make([]models.AttemptSummary, len(l.attempts))
	for i, u := range l.attempts {
		told[i] = u.summary
		told[i].Account = u.account()
	}
	return told
}

// leasedGPUs counts a lease's devices, a share as that share.
func leasedGPUs(lease models.Lease) float64 {
	var milli int64
	for _, node := range lease.Nodes {
		for _, device := range node.Devices {
			milli += device.Share()
		}
	}
	return float64(milli) / models.WholeGPU
}

// wantedGPUs is the least that a request would start with.
func wantedGPUs(r models.Resources) float64 {
	r = r.WithDefaults()
	devices := r.MinNodes * r.GPUsPerNode
	switch {
	case len(r.UUIDs) > 0:
		devices = len(r.UUIDs)
	case r.GPUs > 0:
		devices = r.GPUs
	}
	return float64(int64(devices)*r.GPUMilli) / models.WholeGPU
}

// within clamps a moment into a span; a zero moment is unknown.
func within(t, from, to, unknown time.Time) time.Time {
	switch {
	case t.IsZero():
		return unknown
	case t.Before(from):
		return from
	case t.After(to):
		return to
	default:
		return t
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
