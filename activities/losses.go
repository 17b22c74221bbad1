package activities

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// Losses reads what labels say about the arms of a rollout.
type Losses struct {
	Store artifact.Store // where the gateways write
	// Now is the wall clock that tells a gateway that is gone from one that is
	// there; nil: time.Now.
	Now func() time.Time
}

var _ models.Losses = (*Losses)(nil)

const (
	// lossBlocks bounds the blocks that one call looks at.
	lossBlocks = 240
	// lossBytes bounds the files with answers that one call reads, as far as one
	// block allows, and so the memory.
	lossBytes = 128 << 20
	// clockSlack is how far the clocks of the store and the rollout may differ.
	clockSlack = 5 * time.Minute
)

// ReadLosses implements models.Losses. A request counts for the version that it
// was drawn for, whichever answered: failing over must not move hard requests
// from one arm to the other. Each generation of the rollout has blocks of its
// own, because only requests that were drawn with the same weights compare.
func (l *Losses) ReadLosses(ctx context.Context, request models.ReadLossesRequest) (models.LossReading, error) {
	reading := models.LossReading{Blocks: []models.LossBlock{}, Next: request.After}
	quality := request.Quality
	if quality.Block <= 0 || quality.Maturity < 0 {
		return reading, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "deploy.canary.quality",
			Message: fmt.Sprintf("blocks of %s with a maturity of %s can't be judged", quality.Block, quality.Maturity),
			Hint:    "set block above 0s, and maturity to 0s or more",
		}
	}
	log := servedLog{l.Store, l.Now}
	mark, err := log.watermark(ctx, request.Endpoint)
	if err != nil {
		return reading, err
	}
	if reading.Next.IsZero() {
		first, err := log.firstHour(ctx, request.Endpoint, request.Since.Add(-clockSlack))
		if err != nil {
			return reading, err
		}
		if first.IsZero() {
			reading.Waiting = "no request of the rollout is in the inference log yet"
			return reading, nil
		}
		reading.Next = dataset.BlockStart(first.UnixMicro(), quality.Block.Std())
	}
	if aligned := dataset.BlockStart(reading.Next.UnixMicro(), quality.Block.Std()); aligned.Before(reading.Next) {
		reading.Next = aligned.Add(quality.Block.Std())
	}
	r := lossReader{servedLog: log, request: request, joiner: dataset.Joiner{Block: quality.Block.Std(), Maturity: quality.Maturity.Std()}}
	// One more than is read tells whether there are more.
	starts := r.joiner.Plan(reading.Next, mark, lossBlocks+1)
	read, err := r.read(ctx, starts[:min(len(starts), lossBlocks)])
	if err != nil {
		return reading, err
	}
	reading.Blocks = append(reading.Blocks, r.blocks...)
	if read > 0 {
		reading.Next = starts[read-1].Add(r.joiner.Block)
	}
	if reading.More = read < len(starts); !reading.More {
		reading.Waiting = r.waiting(reading.Next, mark)
	}
	return reading, nil
}

// lossReader reads some mature blocks.
type lossReader struct {
	servedLog
	request models.ReadLossesRequest
	joiner  dataset.Joiner
	blocks  []models.LossBlock
	// unlabelled are the answers of the last block that had any and no label.
	unlabelled int
}

// read reads the first blocks of a plan, as many as fit, and says how many.
func (r *lossReader) read(ctx context.Context, starts []time.Time) (read int, err error) {
	if len(starts) == 0 {
		return 0, nil
	}
	span := logSpan{from: starts[0], to: starts[len(starts)-1].Add(r.joiner.Block)}
	files, err := r.answerFiles(ctx, r.request.Endpoint, span)
	if err != nil {
		return 0, err
	}
	read = r.fitting(starts, files)
	last := starts[read-1]
	span.to, span.known = last.Add(r.joiner.Block), r.joiner.Deadline(last)
	files = slices.DeleteFunc(files, func(f logFile) bool { return !f.from.Before(span.to) })
	answers, err := r.readArms(ctx, files, span)
	if err != nil || len(answers) == 0 {
		return read, err
	}
	outcomes, err := r.readLabels(ctx, answers, span)
	if err != nil {
		return 0, err
	}
	for len(answers) > 0 {
		start := answers[0].block
		n := 1
		for n < len(answers) && answers[n].block == start && answers[n].generation == answers[0].generation {
			n++
		}
		if err := r.score(start, answers[:n], outcomes); err != nil {
			return 0, err
		}
		answers = answers[n:]
	}
	return read, nil
}

// fitting is how many of the blocks can be read at once; one can always.
func (r *lossReader) fitting(starts []time.Time, files []logFile) int {
	n, size := 1, int64(0)
	counted := make([]bool, len(files))
	for i, start := range starts {
		for k, f := range files {
			if !counted[k] && f.from.Before(start.Add(r.joiner.Block)) && f.to.After(start) {
				counted[k] = true
				size += f.size
			}
		}
		if size > lossBytes {
			break
		}
		n = i + 1
	}
	return n
}

// score adds up the losses of one generation in one block. Whether a request is
// logged depends on its ID alone and not on the arm, so both arms compare even
// when a generation was logged with several probabilities.
func (r *lossReader) score(start int64, answers []armAnswer, outcomes map[string][]dataset.Outcome) error {
	block := models.LossBlock{Start: time.UnixMicro(start).UTC(), Generation: answers[0].generation}
	deadline := r.joiner.Deadline(block.Start).UnixMicro()
	champion, labelled := math.NaN(), false // of the request before, by ID
	var championID string
	for _, a := range answers { // by ID, the copy for a shadow last
		label, ok := r.label(outcomes[a.id], deadline)
		if !ok {
			continue
		}
		labelled = true
		loss := r.loss(a.prediction, label)
		switch {
		case math.IsNaN(loss):
		case a.arm == armChampion:
			add(&block.Champion, loss)
			champion, championID = loss, a.id
		case a.arm == armCanary:
			add(&block.Canary, loss)
		case a.arm == armShadow && championID == a.id && !math.IsNaN(champion):
			add(&block.Pairs, loss-champion)
		}
	}
	r.unlabelled = 0
	if !labelled {
		r.unlabelled = len(answers)
	}
	if block.Champion.N > 0 || block.Canary.N > 0 || block.Pairs.N > 0 {
		r.blocks = append(r.blocks, block)
	}
	return nil
}

func add(m *models.Moments, v float64) {
	m.N++
	m.Sum += v
	m.SumSquares += v * v
}

// loss is that of one prediction; NaN when the prediction or the label is none
// of the task's.
func (r *lossReader) loss(prediction []float64, label float64) float64 {
	if len(prediction) == 0 {
		return math.NaN()
	}
	switch r.request.Quality.Metric {
	case models.MAE:
		return math.Sqrt(metric.Loss(models.TaskRegression, prediction, label))
	case models.RMSE:
		return metric.Loss(models.TaskRegression, prediction, label)
	case models.Brier:
		if math.IsNaN(metric.Loss(models.TaskBinary, prediction, label)) {
			return math.NaN()
		}
		return (prediction[0] - label) * (prediction[0] - label)
	default:
		return metric.Loss(cmp.Or(r.request.Task, models.TaskBinary), prediction, label)
	}
}

// waiting says what the next block waits for.
func (r *lossReader) waiting(next, mark time.Time) string {
	until := r.joiner.Deadline(next)
	text := fmt.Sprintf("the block of %s matures when the inference log has passed %s; it is at %s",
		next.Format(time.RFC3339), until.Format(time.RFC3339), mark.Format(time.RFC3339))
	if mark.IsZero() {
		text = fmt.Sprintf("the block of %s waits: no gateway says how far the inference log is complete", next.Format(time.RFC3339))
	}
	if r.unlabelled > 0 {
		text += fmt.Sprintf("; the last mature block has %d answers and no label", r.unlabelled)
	}
	return text
}
