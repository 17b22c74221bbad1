package dataset

import (
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Stale is how old a gateway's watermark may be, in wall-clock time, before
// the gateway counts as gone.
const Stale = 10 * time.Minute

// Watermark is the event time up to which the log is complete. Open gateways
// that wrote a mark within Stale each hold it back; when there is none, the
// last word of those that closed counts. A gateway that died without closing
// neither holds back nor vouches for anything, so that with nobody else the
// answer is zero: no block is mature.
func Watermark(marks []models.Watermark, now time.Time) time.Time {
	var open, closed time.Time
	for _, m := range marks {
		switch {
		case m.Closed:
			if m.EventTime.After(closed) {
				closed = m.EventTime
			}
		case now.Sub(m.Written) > Stale:
		case open.IsZero() || m.EventTime.Before(open):
			open = m.EventTime
		}
	}
	if open.IsZero() {
		return closed.UTC()
	}
	return open.UTC()
}

// Days are the event-time days that the span [from, to) touches.
func Days(from, to time.Time) []time.Time {
	var days []time.Time
	for day := BlockStart(from.UnixMicro(), models.Day.Std()); day.Before(to); day = day.Add(models.Day.Std()) {
		days = append(days, day)
	}
	return days
}

// BlockStart is the start of the block that holds a time in microseconds.
// Blocks are counted from the Unix epoch, so that days begin at midnight UTC.
func BlockStart(micros int64, block time.Duration) time.Time {
	length := max(1, block.Microseconds())
	q := micros / length
	if micros%length < 0 {
		q--
	}
	return time.UnixMicro(q * length).UTC()
}

// TimeBlocks lists at most limit consecutive blocks from a time on, each of
// which ended by another time.
func TimeBlocks(from time.Time, block time.Duration, until time.Time, limit int) []models.OpenBlock {
	var blocks []models.OpenBlock
	for len(blocks) < limit && !from.Add(block).After(until) {
		blocks = append(blocks, models.OpenBlock{Start: from.UTC(), End: from.Add(block).UTC()})
		from = from.Add(block)
	}
	return blocks
}

// BlockMean is one block's mean loss.
type BlockMean struct {
	Start time.Time
	Rows  int64
	Mean  float64
}

// BlockMeans averages losses by block of their times (microseconds), oldest
// block first. NaN losses are no evidence and are left out.
func BlockMeans(times []int64, losses []float64, block time.Duration) []BlockMean {
	at := map[int64]int{}
	var means []BlockMean
	for i, loss := range losses {
		if math.IsNaN(loss) {
			continue
		}
		start := BlockStart(times[i], block)
		k, ok := at[start.UnixMicro()]
		if !ok {
			k = len(means)
			at[start.UnixMicro()] = k
			means = append(means, BlockMean{Start: start})
		}
		means[k].Rows++
		means[k].Mean += loss
	}
	for i := range means {
		means[i].Mean /= float64(means[i].Rows)
	}
	slices.SortFunc(means, func(a, b BlockMean) int { return a.Start.Compare(b.Start) })
	return means
}
