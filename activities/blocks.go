package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

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
	// logReads bounds the files in flight, and so the memory.
	logReads = 8
	// maxWatermark bounds one watermark object.
	maxWatermark = 64 << 10
)

// ScoreBlocks implements models.BlockScoring. Blocks may have any length: rows
// are taken by their event time from the days that a block touches.
func (b *Blocks) ScoreBlocks(ctx context.Context, request models.ScoreBlocksRequest) (models.ScoredBlocks, error) {
	result := models.ScoredBlocks{Blocks: []models.Block{}}
	joiner, err := b.joiner(request)
	if err != nil {
		return result, err
	}
	if result.Watermark, err = b.watermark(ctx, request.Endpoint); err != nil {
		return result, err
	}
	from := request.From
	if from.IsZero() {
		if from, err = b.firstDay(ctx, request.Endpoint); err != nil || from.IsZero() {
			return result, err
		}
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

// watermark is how far the gateways say that the log is complete; see
// dataset.Watermark.
func (b *Blocks) watermark(ctx context.Context, endpoint string) (time.Time, error) {
	prefix := models.WatermarkPrefix(endpoint)
	objects, err := b.Store.List(ctx, prefix)
	if err != nil {
		return time.Time{}, unavailable(prefix, "the gateways' watermarks can't be listed", err)
	}
	marks := make([]models.Watermark, len(objects))
	for i, object := range objects {
		data, _, err := artifact.GetBytes(ctx, b.Store, object.Key, maxWatermark)
		if err != nil {
			return time.Time{}, unavailable(object.Key, "the watermark can't be read", err)
		}
		if err := json.Unmarshal(data, &marks[i]); err != nil {
			return time.Time{}, unavailable(object.Key, "the watermark is no JSON", err)
		}
	}
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	return dataset.Watermark(marks, now()), nil
}

// firstDay is the first day of the log, zero when there is none yet.
func (b *Blocks) firstDay(ctx context.Context, endpoint string) (time.Time, error) {
	root := models.InferenceRoot(endpoint) + "dt="
	objects, err := b.Store.List(ctx, root)
	if err != nil {
		return time.Time{}, unavailable(root, "the inference log can't be listed", err)
	}
	if len(objects) == 0 {
		return time.Time{}, nil
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(objects[0].Key, root), "/")
	day, err := time.Parse(time.DateOnly, name)
	if err != nil {
		return time.Time{}, &models.Error{
			Kind: models.KindInvalidSpec, Subject: objects[0].Key, Message: "the inference log has a directory that is no day",
			Hint: "move it away; days are written dt=YYYY-MM-DD", Cause: err,
		}
	}
	return day, nil
}

// logSpan is which part of the log is read: answers in [from, to), outcomes in
// [from, known].
type logSpan struct{ from, to, known time.Time }

// dayLog has the rows by day.
type dayLog struct {
	answers  map[string][]dataset.Answer
	outcomes map[string][]dataset.Outcome
}

// logFile is one file to read, and what it held.
type logFile struct {
	uri      string
	day      string
	labels   bool
	answers  []dataset.Answer
	outcomes []dataset.Outcome
}

func (b *Blocks) readLog(ctx context.Context, request models.ScoreBlocksRequest, span logSpan) (dayLog, error) {
	files, err := b.listLog(ctx, request.Endpoint, span)
	if err != nil {
		return dayLog{}, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(logReads)
	for _, f := range files {
		group.Go(func() (err error) {
			if f.labels {
				f.outcomes, err = b.readOutcomes(groupCtx, f.uri)
			} else {
				f.answers, err = b.readAnswers(groupCtx, request, f.uri)
			}
			recordProgress(ctx, f.uri)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return dayLog{}, err
	}
	log := dayLog{answers: map[string][]dataset.Answer{}, outcomes: map[string][]dataset.Outcome{}}
	for _, f := range files {
		log.answers[f.day] = append(log.answers[f.day], f.answers...)
		log.outcomes[f.day] = append(log.outcomes[f.day], f.outcomes...)
	}
	return log, nil
}

// listLog lists the span's days at once, answers and labels.
func (b *Blocks) listLog(ctx context.Context, endpoint string, span logSpan) ([]*logFile, error) {
	answerDays := dataset.Days(span.from, span.to)
	labelDays := dataset.Days(span.from, span.known.Add(time.Microsecond))
	found := make([][]*logFile, len(answerDays)+len(labelDays))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(logReads)
	for i := range found {
		group.Go(func() error {
			labels := i >= len(answerDays)
			var prefix, day string
			if labels {
				at := labelDays[i-len(answerDays)]
				prefix, day = models.LabelPrefix(endpoint, at), models.DayKey(at)
			} else {
				prefix, day = models.InferencePrefix(endpoint, answerDays[i]), models.DayKey(answerDays[i])
			}
			objects, err := b.Store.List(ctx, prefix)
			for _, object := range objects {
				if strings.HasSuffix(object.Key, parquetSuffix) {
					found[i] = append(found[i], &logFile{uri: artifact.URI(b.Store, object.Key), day: day, labels: labels})
				}
			}
			return unavailable(prefix, "the log can't be listed", err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// readAnswers reads the version's answered requests.
func (b *Blocks) readAnswers(ctx context.Context, request models.ScoreBlocksRequest, uri string) ([]dataset.Answer, error) {
	table, err := readColumns(ctx, b.Store, uri, []string{"id", "event_time", "time", "version", "status", "outputs"})
	if err != nil {
		return nil, err
	}
	ids, versions, statuses := table.Column("id"), table.Column("version"), table.Column("status")
	events, times, outputs := table.Column("event_time"), table.Column("time"), table.Column("outputs")
	var answers []dataset.Answer
	without := -1
	for row := range table.Rows() {
		if versions.Strings[row] != request.Version || statuses.Ints[row] != http.StatusOK {
			continue
		}
		p, ok := probability(outputs.Strings[row], request.Prediction)
		if !ok {
			without = row
		}
		answers = append(answers, dataset.Answer{
			ID: ids.Strings[row], EventTime: events.Ints[row], Time: times.Ints[row], Probability: p,
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

// probability is the first value of an output; NaN and false when there is
// none.
func probability(outputs, name string) (float64, bool) {
	var byName map[string]json.RawMessage
	var values []float64
	if err := json.Unmarshal([]byte(outputs), &byName); err != nil {
		return math.NaN(), false
	}
	if err := json.Unmarshal(byName[name], &values); err != nil || len(values) == 0 {
		return math.NaN(), false
	}
	return values[0], true
}

func (b *Blocks) readOutcomes(ctx context.Context, uri string) ([]dataset.Outcome, error) {
	table, err := readColumns(ctx, b.Store, uri, []string{"id", "label", "label_time", "time"})
	if err != nil {
		return nil, err
	}
	ids, labels := table.Column("id"), table.Column("label")
	known, times := table.Column("label_time"), table.Column("time")
	outcomes := make([]dataset.Outcome, table.Rows())
	for row := range outcomes {
		label, ok := labels.Number(row)
		if !ok {
			label = math.NaN()
		}
		outcomes[row] = dataset.Outcome{ID: ids.Strings[row], Label: label, LabelTime: known.Ints[row], Time: times.Ints[row]}
	}
	return outcomes, nil
}
