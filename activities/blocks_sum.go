package activities

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// The deadlines of answersPart.known and scoreSums.
const (
	byFirst = iota
	byLast
)

// score finds out what tasks ask for, whose rows fit into memory together.
func (s *blockScorer) score(ctx context.Context, tasks []dataset.Task, result *models.ScoredBlocks) error {
	var files []logFile
	for _, f := range s.files {
		if slices.ContainsFunc(tasks, func(t dataset.Task) bool { return f.touches(t.OpenBlock) }) {
			files = append(files, f)
		}
	}
	parts, err := s.readAnswers(ctx, tasks, files)
	if err != nil {
		return err
	}
	if err := s.readLabels(ctx, tasks, parts); err != nil {
		return err
	}
	sums := s.sum(ctx, tasks, parts)
	for i, task := range tasks {
		if err := s.report(ctx, task, sums[i], result); err != nil {
			return err
		}
	}
	return nil
}

// readLabels finds what is known of the answers' requests by the deadlines of
// their blocks.
func (s *blockScorer) readLabels(ctx context.Context, tasks []dataset.Task, parts []*answersPart) error {
	answers := make([][]dataset.Answer, len(parts))
	var first, last bool
	for _, t := range tasks {
		wanted := s.wanted(t)
		first, last = first || wanted[byFirst] && !t.Ahead, last || wanted[byLast]
	}
	for i, p := range parts {
		answers[i] = p.answers
		if first {
			p.known[byFirst] = make([]dataset.Known, len(p.answers))
		}
		if last {
			p.known[byLast] = make([]dataset.Known, len(p.answers))
		}
	}
	join := dataset.NewJoin(answers)
	if !first && !last {
		return nil
	}
	var hearings [2][]dataset.Hearing
	spans := make([]logSpan, 0, len(tasks))
	for _, t := range tasks {
		hearings[byFirst] = append(hearings[byFirst], dataset.NewHearing(t.Start, s.deadlines.First(t.End)))
		hearings[byLast] = append(hearings[byLast], dataset.NewHearing(t.Start, s.deadlines.Last(t.End)))
		known := s.deadlines.First(t.End)
		if t.Last {
			known = s.deadlines.Last(t.End)
		}
		if !t.Ahead {
			spans = append(spans, logSpan{from: t.Start, known: known})
		}
	}
	files, err := s.labelFiles(ctx, s.request.Endpoint, spans)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	task := labelTask{s.request.Data.Task, len(s.request.Data.Classes)}
	return eachFile(ctx, files, func(ctx context.Context, _ int, f logFile) error {
		return s.scanOutcomes(ctx, f, task, func(outcomes []dataset.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range outcomes {
				join.Each(o.ID, func(part, row int) {
					for k, known := range parts[part].known {
						if known != nil {
							known[row].Hear(o, hearings[k][answers[part][row].Block])
						}
					}
				})
			}
		})
	})
}

// scoreSums are the sums of a block by one of its deadlines.
type scoreSums struct {
	requests, labelled            int64
	weight, loss, rate, predicted float64 // of the labelled ones
	estimated, estimatedWeight    float64
	evidence                      *shift.Block // nil: nothing is compared
}

// taskSums are those by both; nil: not asked for.
type taskSums [2]*scoreSums

// sum adds up the blocks, each file's rows by themselves and then the files in
// their order: sums of floats depend on the order, and must not on how many
// workers there are.
func (s *blockScorer) sum(ctx context.Context, tasks []dataset.Task, parts []*answersPart) []taskSums {
	sums := make([][]taskSums, len(parts))
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, part := range parts {
		group.Go(func() error {
			sums[i] = s.sumPart(tasks, part)
			return nil
		})
	}
	_ = group.Wait() // nothing fails
	whole := make([]taskSums, len(tasks))
	for k, task := range tasks {
		for by, wanted := range s.wanted(task) {
			if !wanted {
				continue
			}
			whole[k][by] = s.newSums(task)
			for _, part := range sums {
				if more := part[k][by]; more != nil {
					whole[k][by].merge(more)
				}
			}
		}
	}
	return whole
}

// wanted says by which deadlines a task is to be scored. What is ahead of its
// labels has none by the first. Where there are no corrections, both are one.
func (s *blockScorer) wanted(t dataset.Task) [2]bool {
	return [2]bool{(t.First || t.Ahead) && (!t.Last || s.deadlines.Corrections > 0), t.Last}
}

func (s *blockScorer) newSums(t dataset.Task) *scoreSums {
	sums := &scoreSums{}
	if s.coder != nil && !t.Ahead {
		sums.evidence = s.coder.NewBlock()
	}
	return sums
}

func (s *blockScorer) sumPart(tasks []dataset.Task, part *answersPart) []taskSums {
	sums := make([]taskSums, len(tasks))
	task := s.request.Data.Task
	var codes []uint8
	for row, a := range part.answers {
		if a.Twice {
			continue
		}
		prediction := part.prediction(row)
		o := shift.Outcome{Weight: a.Weight()}
		if s.reference != nil {
			o.Estimated, o.Expected = s.reference.ExpectedLoss(prediction)
		}
		if s.coder != nil {
			codes = part.codes[row*s.coder.Width() : (row+1)*s.coder.Width()]
		}
		for by, wanted := range s.wanted(tasks[a.Block]) {
			if !wanted {
				continue
			}
			to := sums[a.Block][by]
			if to == nil {
				to = s.newSums(tasks[a.Block])
				sums[a.Block][by] = to
			}
			var label float64
			o.Labelled = false
			if known := part.known[by]; known != nil && known[row].Found() && len(prediction) > 0 && !tasks[a.Block].Ahead {
				label = known[row].Label
				o.Loss = metric.Loss(task, prediction, label)
				o.Labelled = !math.IsNaN(o.Loss) // it is where the prediction is none of the task's
			}
			if o.Labelled && to.evidence != nil {
				s.coder.Label(codes, label)
			}
			to.add(o, prediction, label)
			if to.evidence != nil {
				to.evidence.Add(codes, o)
			}
		}
	}
	return sums
}

func (b *scoreSums) add(o shift.Outcome, prediction []float64, label float64) {
	b.requests++
	if o.Expected {
		b.estimated += o.Weight * o.Estimated
		b.estimatedWeight += o.Weight
	}
	if !o.Labelled {
		return
	}
	b.labelled++
	b.weight += o.Weight
	b.loss += o.Weight * o.Loss
	b.rate += o.Weight * label
	b.predicted += o.Weight * prediction[0]
}

func (b *scoreSums) merge(more *scoreSums) {
	b.requests += more.requests
	b.labelled += more.labelled
	b.weight += more.weight
	b.loss += more.loss
	b.rate += more.rate
	b.predicted += more.predicted
	b.estimated += more.estimated
	b.estimatedWeight += more.estimatedWeight
	if b.evidence != nil {
		b.evidence.Merge(more.evidence)
	}
}

// block is what the sums say.
func (b *scoreSums) block(span models.OpenBlock, task models.Task) models.Block {
	block := models.Block{Start: span.Start.UTC(), End: span.End.UTC(), Requests: b.requests, Labelled: b.labelled}
	if b.labelled > 0 {
		block.Loss = b.loss / b.weight
		if task != models.TaskMulticlass {
			block.Rate, block.Predicted = b.rate/b.weight, b.predicted/b.weight
		}
	}
	if b.estimatedWeight > 0 {
		block.Estimated = b.estimated / b.estimatedWeight
	}
	return block
}
