package activities

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// Blocks reads the inference log and the labels.
type Blocks struct {
	Store artifact.Store // where the gateways write
	// Now is the wall clock that tells a gateway that is gone from one that is
	// there; nil: time.Now.
	Now func() time.Time
}

var _ models.BlockScoring = (*Blocks)(nil)

const (
	// blocksPerCall is the default of ScoreBlocksRequest.Max.
	blocksPerCall = 31
)

// ScoreBlocks implements models.BlockScoring. Blocks may have any length: rows
// are taken by their event time from the days that a block touches.
func (b *Blocks) ScoreBlocks(ctx context.Context, request models.ScoreBlocksRequest) (models.ScoredBlocks, error) {
	result := models.ScoredBlocks{Blocks: []models.Block{}}
	joiner, err := b.joiner(request)
	if err != nil {
		return result, err
	}
	if result.Watermark, err = b.log().watermark(ctx, request.Endpoint); err != nil {
		return result, err
	}
	from := request.From
	if from.IsZero() {
		if from, err = b.log().firstHour(ctx, request.Endpoint, time.Time{}); err != nil || from.IsZero() {
			return result, err
		}
		from = dataset.BlockStart(from.UnixMicro(), models.Day.Std()) // blocks begin with a day
	}
	starts := joiner.Plan(from, result.Watermark, cmp.Or(request.Max, blocksPerCall))
	if len(starts) == 0 {
		return result, nil
	}
	log, err := b.readLog(ctx, request, logSpan{
		from: starts[0], to: starts[len(starts)-1].Add(joiner.Block), known: joiner.Deadline(starts[len(starts)-1]),
	})
	if err != nil {
		return result, err
	}
	for _, start := range starts {
		var answers []dataset.Answer
		for _, day := range dataset.Days(start, start.Add(joiner.Block)) {
			answers = append(answers, log.answers[models.DayKey(day)]...)
		}
		var outcomes []dataset.Outcome
		for _, day := range dataset.Days(start, joiner.Deadline(start).Add(time.Microsecond)) {
			outcomes = append(outcomes, log.outcomes[models.DayKey(day)]...)
		}
		result.Blocks = append(result.Blocks, joiner.Score(start, answers, outcomes))
	}
	return result, nil
}

func (b *Blocks) joiner(request models.ScoreBlocksRequest) (dataset.Joiner, error) {
	joiner := dataset.Joiner{
		Block:    cmp.Or(request.Spec.Block, models.Day).Std(),
		Maturity: cmp.Or(request.Spec.Maturity, models.Day).Std(),
		Loss:     logLoss, // as the monitor's reference
	}
	if joiner.Block < time.Minute || joiner.Maturity < 0 || request.Max < 0 {
		return joiner, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "monitor",
			Message: fmt.Sprintf("blocks of %s with a maturity of %s can't be judged", request.Spec.Block, request.Spec.Maturity),
			Hint:    "set monitor.block to at least 1m and monitor.maturity to 0s or more",
		}
	}
	return joiner, nil
}

// logLoss is that of one answer: dataset.Joiner asks only for labels 0 and 1.
func logLoss(p, label float64) float64 {
	return metric.Loss(models.TaskBinary, []float64{p}, label)
}

// dayLog has the rows by day.
type dayLog struct {
	answers  map[string][]dataset.Answer
	outcomes map[string][]dataset.Outcome
}

func (b *Blocks) log() servedLog { return servedLog{b.Store, b.Now} }

func (b *Blocks) readLog(ctx context.Context, request models.ScoreBlocksRequest, span logSpan) (dayLog, error) {
	log := dayLog{answers: map[string][]dataset.Answer{}, outcomes: map[string][]dataset.Outcome{}}
	answerFiles, err := b.log().answerFiles(ctx, request.Endpoint, span)
	if err != nil {
		return log, err
	}
	labelFiles, err := b.log().labelFiles(ctx, request.Endpoint, span)
	if err != nil {
		return log, err
	}
	answers, outcomes := make([][]dataset.Answer, len(answerFiles)), make([][]dataset.Outcome, len(labelFiles))
	if err := eachFile(ctx, answerFiles, func(ctx context.Context, i int, f logFile) (err error) {
		answers[i], err = b.readAnswers(ctx, request, f.uri)
		return err
	}); err != nil {
		return log, err
	}
	if err := eachFile(ctx, labelFiles, func(ctx context.Context, i int, f logFile) (err error) {
		outcomes[i], err = b.log().readOutcomes(ctx, f.uri)
		return err
	}); err != nil {
		return log, err
	}
	for i, f := range answerFiles {
		log.answers[f.day] = append(log.answers[f.day], answers[i]...)
	}
	for i, f := range labelFiles {
		log.outcomes[f.day] = append(log.outcomes[f.day], outcomes[i]...)
	}
	return log, nil
}

// readAnswers reads the version's answered requests. Copies that it got as a
// shadow answered nobody.
func (b *Blocks) readAnswers(ctx context.Context, request models.ScoreBlocksRequest, uri string) ([]dataset.Answer, error) {
	table, err := readColumns(ctx, b.Store, uri, []string{"id", "event_time", "time", "version", "role", "status", "log_share", "outputs"})
	if err != nil {
		return nil, err
	}
	roles, shares := table.Column("role"), table.Column("log_share")
	ids, versions, statuses := table.Column("id"), table.Column("version"), table.Column("status")
	events, times, outputs := table.Column("event_time"), table.Column("time"), table.Column("outputs")
	var answers []dataset.Answer
	without := -1
	for row := range table.Rows() {
		if versions.Strings[row] != request.Version || statuses.Ints[row] != http.StatusOK || roles.Strings[row] == string(models.RoleShadow) {
			continue
		}
		p := math.NaN()
		if values, ok := outputValues(outputs.Strings[row], request.Prediction, 1); ok {
			p = values[0]
		} else {
			without = row
		}
		answers = append(answers, dataset.Answer{
			ID: ids.Strings[row], EventTime: events.Ints[row], Time: times.Ints[row], Probability: p, Share: shares.Floats[row],
		})
	}
	if without >= 0 && !slices.ContainsFunc(answers, func(a dataset.Answer) bool { return !math.IsNaN(a.Probability) }) {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: uri,
			Message: fmt.Sprintf("no answer of version %s has the output %q as a number; one is %.200s",
				request.Version, request.Prediction, outputs.Strings[without]),
			Hint: "set evaluate.prediction to the model output that holds the probability of label 1",
		}
	}
	return answers, nil
}
