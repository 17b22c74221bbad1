package dataset

import (
	"cmp"
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

// Answer is one answered request of the log. Times are microseconds.
type Answer struct {
	ID          string
	EventTime   int64
	Time        int64   // wall clock
	Probability float64 // of label 1
	// Share is the probability with which the request was logged; 0: it was
	// certain.
	Share float64
}

// weight makes up for the requests that were left out of the log: where a
// block's requests were not all as likely to be logged, its means are those of
// the traffic, not of the log.
func (a Answer) weight() float64 {
	if a.Share > 0 && a.Share < 1 {
		return 1 / a.Share
	}
	return 1
}

// Outcome is one label that became known. Times are microseconds.
type Outcome struct {
	ID        string
	Label     float64 // 0 or 1; any other is no outcome
	LabelTime int64   // event time
	Time      int64   // wall clock of arrival
}

// Joiner scores blocks of event time. Loss is the loss of a probability for a
// label; Maturity is how long after its end a block waits for labels.
type Joiner struct {
	Block    time.Duration
	Maturity time.Duration
	Loss     func(probability, label float64) float64
}

// Plan lists the starts of at most limit consecutive blocks from a time on
// that are mature at the watermark.
func (j Joiner) Plan(from, watermark time.Time, limit int) []time.Time {
	var starts []time.Time
	for len(starts) < limit && !from.Add(j.Block+j.Maturity).After(watermark) {
		starts = append(starts, from.UTC())
		from = from.Add(j.Block)
	}
	return starts
}

// Deadline is when the block's outcomes must be known: later ones are left
// out, so that a block's score does not depend on when it is asked for.
func (j Joiner) Deadline(start time.Time) time.Time { return start.Add(j.Block + j.Maturity) }

// Score judges the block. Answers and outcomes may hold more than the block's
// own. A request that is in the log twice counts once, as first answered; of
// several outcomes the one that arrived last counts. An answer whose
// probability is not a number from 0 to 1 counts as a request without a label.
func (j Joiner) Score(start time.Time, answers []Answer, outcomes []Outcome) models.Block {
	block := models.Block{Start: start.UTC()}
	labels := j.labels(start, outcomes)
	var loss, rate, predicted, weights float64
	for _, a := range j.firstAnswers(start, answers) {
		block.Requests++
		o, known := labels[a.ID]
		if !known || !(a.Probability >= 0 && a.Probability <= 1) {
			continue
		}
		block.Labelled++
		weight := a.weight()
		loss += weight * j.Loss(a.Probability, o.Label)
		rate += weight * o.Label
		predicted += weight * a.Probability
		weights += weight
	}
	if block.Labelled > 0 {
		block.Loss, block.Rate, block.Predicted = loss/weights, rate/weights, predicted/weights
	}
	return block
}

// firstAnswers are the block's own, one per ID, in the order of IDs: sums of
// floats depend on the order.
func (j Joiner) firstAnswers(start time.Time, answers []Answer) []Answer {
	from, to := start.UnixMicro(), start.Add(j.Block).UnixMicro()
	var own []Answer
	for _, a := range answers {
		if a.EventTime >= from && a.EventTime < to {
			own = append(own, a)
		}
	}
	slices.SortFunc(own, func(a, b Answer) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Time, b.Time),
			cmp.Compare(a.EventTime, b.EventTime), cmp.Compare(a.Probability, b.Probability))
	})
	return slices.CompactFunc(own, func(a, b Answer) bool { return a.ID == b.ID })
}

func (j Joiner) labels(start time.Time, outcomes []Outcome) map[string]Outcome {
	deadline := j.Deadline(start).UnixMicro()
	labels := make(map[string]Outcome, len(outcomes))
	for _, o := range outcomes {
		if o.LabelTime > deadline || (o.Label != 0 && o.Label != 1) {
			continue
		}
		before, ok := labels[o.ID]
		if !ok || o.Time > before.Time || (o.Time == before.Time && o.Label > before.Label) {
			labels[o.ID] = o
		}
	}
	return labels
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
