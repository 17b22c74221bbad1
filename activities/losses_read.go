package activities

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// lossArm is what an answer is evidence about.
type lossArm int

// The arms, in the order in which a request's answers are sorted.
const (
	armChampion lossArm = iota
	armCanary
	armShadow
)

// armAnswer is one answer of the rollout.
type armAnswer struct {
	id         dataset.ID
	block      int64 // start, in microseconds
	generation int64
	arm        lossArm
	time       int64 // wall clock
	prediction []float64
}

// readArms reads the rollout's answers, by block, generation and request. A
// request that is in the log twice counts once, as first answered, and a copy
// as one besides it.
func (r *lossReader) readArms(ctx context.Context, files []logFile, span models.OpenBlock) ([]armAnswer, error) {
	found, example := make([][]armAnswer, len(files)), make([]string, len(files))
	if err := eachFile(ctx, files, func(ctx context.Context, i int, f logFile) (err error) {
		found[i], example[i], err = r.readArmsOf(ctx, f, span)
		return err
	}); err != nil {
		return nil, err
	}
	answers := slices.Concat(found...)
	if len(answers) > 0 && !slices.ContainsFunc(answers, func(a armAnswer) bool { return a.prediction != nil }) {
		return nil, noPrediction(r.request.Endpoint, "no answer", r.request.Prediction, r.width(), slices.Max(example))
	}
	slices.SortFunc(answers, func(a, b armAnswer) int {
		return cmp.Or(cmp.Compare(a.block, b.block), a.id.Compare(b.id), cmp.Compare(shadowed(a), shadowed(b)),
			cmp.Compare(a.time, b.time), cmp.Compare(a.generation, b.generation), cmp.Compare(a.arm, b.arm), slices.Compare(a.prediction, b.prediction))
	})
	answers = slices.CompactFunc(answers, func(a, b armAnswer) bool {
		return a.block == b.block && a.id == b.id && shadowed(a) == shadowed(b)
	})
	slices.SortStableFunc(answers, func(a, b armAnswer) int {
		return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.generation, b.generation))
	})
	return answers, nil
}

func shadowed(a armAnswer) int {
	if a.arm == armShadow {
		return 1
	}
	return 0
}

// The columns that a rollout's answers are read from.
const (
	armID = iota
	armEvent
	armTime
	armVersion
	armRole
	armDrawn
	armGeneration
	armStatus
	armOutputs
)

func armColumns() []dataset.Field {
	return []dataset.Field{
		{Name: "id", Type: dataset.TypeString}, {Name: "event_time", Type: dataset.TypeTimestamp}, {Name: "time", Type: dataset.TypeTimestamp},
		{Name: "version", Type: dataset.TypeString}, {Name: "role", Type: dataset.TypeString}, {Name: "drawn", Type: dataset.TypeString},
		{Name: "generation", Type: dataset.TypeInt64}, {Name: "status", Type: dataset.TypeInt64}, {Name: "outputs", Type: dataset.TypeString},
	}
}

// readArmsOf reads one file, with the outputs of an answer that lacks the
// prediction.
func (r *lossReader) readArmsOf(ctx context.Context, f logFile, span models.OpenBlock) (answers []armAnswer, example string, err error) {
	from, to := span.Start.UnixMicro(), span.End.UnixMicro()
	outputs := flatjson.NewReader(flatjson.Want{Name: r.request.Prediction, Width: r.width()})
	err = r.scan(ctx, f, armColumns(), func(b *parquetio.Batch) error {
		for row := range b.Rows {
			arm, ok := r.arm(string(b.Bytes(armVersion, row)), string(b.Bytes(armRole, row)), string(b.Bytes(armDrawn, row)))
			event, generation := b.Int(armEvent, row), b.Int(armGeneration, row)
			if !ok || b.Int(armStatus, row) != http.StatusOK || event < from || event >= to || !slices.Contains(r.request.Generations, generation) {
				continue
			}
			text := b.Bytes(armOutputs, row)
			outputs.Read(text)
			prediction, ok := outputs.Numbers(0, nil)
			if !ok {
				example = string(text)
			}
			answers = append(answers, armAnswer{
				id: dataset.NewID(b.Bytes(armID, row)), block: dataset.BlockStart(event, r.request.Quality.Block.Std()).UnixMicro(), generation: generation,
				arm: arm, time: b.Int(armTime, row), prediction: prediction,
			})
		}
		return nil
	})
	return answers, example, err
}

// arm is what a row is evidence about; none when its version was not drawn.
func (r *lossReader) arm(version, role, drawn string) (lossArm, bool) {
	switch {
	case role == string(models.RoleShadow):
		return armShadow, version == r.request.Canary
	case drawn == r.request.Champion && drawn != "":
		return armChampion, true
	default:
		return armCanary, drawn == r.request.Canary
	}
}

func (r *lossReader) width() int { return predictionWidth(r.request.Task, r.request.Classes) }

// readLabels reads the outcomes of the answers' requests.
func (r *lossReader) readLabels(ctx context.Context, answers []armAnswer, span logSpan) (map[dataset.ID][]dataset.Outcome, error) {
	files, err := r.labelFiles(ctx, r.request.Endpoint, []logSpan{span})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	labels := make(map[dataset.ID][]dataset.Outcome, len(answers))
	for _, a := range answers {
		labels[a.id] = nil
	}
	task := labelTask{r.request.Task, len(r.request.Classes)}
	return labels, eachFile(ctx, files, func(ctx context.Context, _ int, f logFile) error {
		return r.scanOutcomes(ctx, f, task, func(outcomes []dataset.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range outcomes {
				if of, wanted := labels[o.ID]; wanted {
					labels[o.ID] = append(of, o)
				}
			}
		})
	})
}
