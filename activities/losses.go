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
	// lossBlocks bounds the blocks that one call looks at, and so its answer: a
	// block has some 250 bytes of JSON.
	lossBlocks = 96
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
	request.Task = cmp.Or(request.Task, models.TaskBinary)
	r := lossReader{servedLog: log, request: request, deadlines: dataset.Deadlines{Maturity: quality.Maturity.Std()}}
	// One more than is read tells whether there are more.
	blocks := dataset.TimeBlocks(reading.Next, quality.Block.Std(), mark.Add(-quality.Maturity.Std()), lossBlocks+1)
	read, err := r.read(ctx, blocks[:min(len(blocks), lossBlocks)])
	if err != nil {
		return reading, err
	}
	reading.Blocks = append(reading.Blocks, r.blocks...)
	if read > 0 {
		reading.Next = blocks[read-1].End
	}
	if reading.More = read < len(blocks); !reading.More {
		reading.Waiting = r.waiting(reading.Next, mark)
	}
	return reading, nil
}

// lossReader reads some mature blocks.
type lossReader struct {
	servedLog
	request   models.ReadLossesRequest
	deadlines dataset.Deadlines
	blocks    []models.LossBlock
	// unlabelled are the answers of the last block that had any and no label.
	unlabelled int
}

// read reads the first blocks of a plan, as many as fit, and says how many.
func (r *lossReader) read(ctx context.Context, blocks []models.OpenBlock) (read int, err error) {
	if len(blocks) == 0 {
		return 0, nil
	}
	files, err := r.answerFiles(ctx, r.request.Endpoint, blocks)
	if err != nil {
		return 0, err
	}
	read = fitting(blocks, files, lossBytes)
	span := models.OpenBlock{Start: blocks[0].Start, End: blocks[read-1].End}
	files = slices.DeleteFunc(files, func(f logFile) bool { return !f.touches(span) })
	answers, err := r.readArms(ctx, files, span)
	if err != nil || len(answers) == 0 {
		return read, err
	}
	outcomes, err := r.readLabels(ctx, answers, logSpan{from: span.Start, known: r.deadlines.First(span.End)})
	if err != nil {
		return 0, err
	}
	for len(answers) > 0 {
		start := answers[0].block
		n := 1
		for n < len(answers) && answers[n].block == start && answers[n].generation == answers[0].generation {
			n++
		}
		r.score(start, answers[:n], outcomes)
		answers = answers[n:]
	}
	return read, nil
}

// score adds up the losses of one generation in one block. Whether a request is
// logged depends on its ID alone and not on the arm, so both arms compare even
// when a generation was logged with several probabilities.
func (r *lossReader) score(start int64, answers []armAnswer, outcomes map[dataset.ID][]dataset.Outcome) {
	block := models.LossBlock{Start: time.UnixMicro(start).UTC(), Generation: answers[0].generation}
	hearing := dataset.NewHearing(block.Start, r.deadlines.First(block.Start.Add(r.request.Quality.Block.Std())))
	champion, labelled := math.NaN(), false // of the request before, by ID
	var championID dataset.ID
	for _, a := range answers { // by ID, the copy for a shadow last
		var known dataset.Known
		for _, o := range outcomes[a.id] {
			known.Hear(o, hearing)
		}
		if !known.Found() {
			continue
		}
		labelled = true
		loss := r.loss(a.prediction, known.Label)
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
		return metric.Loss(r.request.Task, prediction, label)
	}
}

// waiting says what the next block waits for.
func (r *lossReader) waiting(next, mark time.Time) string {
	until := r.deadlines.First(next.Add(r.request.Quality.Block.Std()))
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
