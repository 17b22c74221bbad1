package activities

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// The columns of the log that tell who answered what, in the order in which they
// are read. The last is read only for comparisons.
const (
	answerID = iota
	answerEvent
	answerVersion
	answerRole
	answerStatus
	answerShare // those before it say which requests count
	answerTime
	answerOutputs
	answerInputs
)

func answerColumns() []dataset.Field {
	return []dataset.Field{
		{Name: "id", Type: dataset.TypeString}, {Name: "event_time", Type: dataset.TypeTimestamp}, {Name: "version", Type: dataset.TypeString},
		{Name: "role", Type: dataset.TypeString}, {Name: "status", Type: dataset.TypeInt64}, {Name: "log_share", Type: dataset.TypeFloat64},
		{Name: "time", Type: dataset.TypeTimestamp}, {Name: "outputs", Type: dataset.TypeString}, {Name: "inputs", Type: dataset.TypeString},
	}
}

// answeredBy reports whether the version answered a request. Copies that it got as
// a shadow answered nobody. The batch has the first of answerColumns.
func answeredBy(b *parquetio.Batch, row int, version string) bool {
	return string(b.Bytes(answerVersion, row)) == version && b.Int(answerStatus, row) == http.StatusOK &&
		string(b.Bytes(answerRole, row)) != string(models.RoleShadow)
}

// answersPart are the answers of one file that belong to some block.
type answersPart struct {
	answers []dataset.Answer
	// predictions are one after the other, that of an answer up to its end; one
	// that lacks the prediction has no number. codes are as wide as the coder's.
	predictions []float64
	ends        []int32
	codes       []uint8
	known       [2][]dataset.Known // by the first and the last deadline; nil: not asked for
}

func (p *answersPart) prediction(row int) []float64 {
	from := int32(0)
	if row > 0 {
		from = p.ends[row-1]
	}
	return p.predictions[from:p.ends[row]]
}

// taskBlocks finds the block of a moment among tasks.
type taskBlocks struct {
	tasks []dataset.Task
	last  int // where the one before was: logs are in the order of time, more or less
}

func (t *taskBlocks) of(at int64) (int, bool) {
	if t.holds(t.last, at) {
		return t.last, true
	}
	low, high := 0, len(t.tasks)
	for low < high {
		if middle := (low + high) / 2; t.tasks[middle].End.UnixMicro() <= at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(t.tasks) || !t.holds(low, at) {
		return 0, false
	}
	t.last = low
	return low, true
}

func (t *taskBlocks) holds(i int, at int64) bool {
	return at >= t.tasks[i].Start.UnixMicro() && at < t.tasks[i].End.UnixMicro()
}

// predictionWidth is how many numbers a prediction has; 0: as many as the output.
// Of a request with several rows, the first counts: there is one label per ID.
func predictionWidth(task models.Task, classes []string) int {
	if task == models.TaskMulticlass {
		return len(classes)
	}
	return 1
}

// noPrediction: the spec names an output that no answer has as a prediction.
func noPrediction(endpoint, answers, output string, width int, example string) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: endpoint,
		Message: fmt.Sprintf("%s has the output %q as %d or more numbers; one is %.200s", answers, output, max(1, width), example),
		Hint:    "set evaluate.prediction to the output that holds the prediction, and take it out of deploy.traffic.log.sensitive",
	}
}

func (s *blockScorer) width() int {
	return predictionWidth(s.request.Data.Task, s.request.Data.Classes)
}

// readAnswers reads the answers of the tasks' blocks. An endpoint whose answers
// all lack the prediction is misconfigured. Those of one block may: the only one
// was streamed, or too large to log.
func (s *blockScorer) readAnswers(ctx context.Context, tasks []dataset.Task, files []logFile) ([]*answersPart, error) {
	parts := make([]*answersPart, len(files))
	var mu sync.Mutex
	with, without := make([]bool, len(tasks)), make([]string, len(tasks))
	err := eachFile(ctx, files, func(ctx context.Context, i int, f logFile) (err error) {
		r := &answersReader{blockScorer: s, blocks: taskBlocks{tasks: tasks}, with: make([]bool, len(tasks)), without: make([]string, len(tasks))}
		parts[i], err = r.read(ctx, f)
		mu.Lock()
		defer mu.Unlock()
		for k := range tasks {
			with[k] = with[k] || r.with[k]
			without[k] = max(without[k], r.without[k]) // the same whichever file was first
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for k := range tasks {
		if without[k] != "" && !slices.Contains(with, true) {
			answers := fmt.Sprintf("no answer of version %s in the block of %s", s.request.Version, tasks[k].Start.Format(time.RFC3339))
			return nil, noPrediction(s.request.Endpoint, answers, s.request.Prediction, s.width(), without[k])
		}
	}
	return parts, nil
}

// answersReader reads one file.
type answersReader struct {
	*blockScorer
	blocks taskBlocks
	// with and without say by block whether an answer has the prediction, and
	// show one that has not.
	with    []bool
	without []string
}

func (r *answersReader) read(ctx context.Context, f logFile) (*answersPart, error) {
	part := &answersPart{}
	outputs := flatjson.NewReader(flatjson.Want{Name: r.request.Prediction, Width: r.width()})
	columns := answerColumns()[:answerInputs]
	var inputs *flatjson.Reader
	if r.coder != nil {
		columns, inputs = answerColumns(), inputReader(r.coder)
	}
	err := r.scan(ctx, f, columns, func(b *parquetio.Batch) error {
		for row := range b.Rows {
			at := b.Int(answerEvent, row)
			block, ok := r.blocks.of(at)
			if !ok || !answeredBy(b, row, r.request.Version) {
				continue
			}
			share, _ := b.Number(answerShare, row)
			part.answers = append(part.answers, dataset.Answer{
				ID: dataset.NewID(b.Bytes(answerID, row)), EventTime: at, Time: b.Int(answerTime, row), Share: share, Block: int32(block),
			})
			text := b.Bytes(answerOutputs, row)
			outputs.Read(text)
			if numbers, ok := outputs.Numbers(0, part.predictions); ok {
				part.predictions, r.with[block] = numbers, true
			} else {
				r.without[block] = cmp.Or(r.without[block], string(text[:min(len(text), 200)]), "empty")
			}
			part.ends = append(part.ends, int32(len(part.predictions)))
			if inputs != nil && !r.blocks.tasks[block].Ahead {
				codes := part.blank(r.blockScorer)
				r.coder.Time(codes, at)
				codeInputs(r.coder, codes, inputs, b.Bytes(answerInputs, row))
			} else if inputs != nil {
				part.blank(r.blockScorer)
			}
		}
		return nil
	})
	return part, err
}

// blank keeps a row without inputs.
func (p *answersPart) blank(s *blockScorer) []uint8 {
	from, width := len(p.codes), s.coder.Width()
	p.codes = append(p.codes, s.blankCodes...)
	return p.codes[from : from+width]
}

// inputReader reads the columns that a coder wants of a request's inputs.
func inputReader(coder *shift.Coder) *flatjson.Reader {
	var wants []flatjson.Want
	for _, name := range coder.Columns() {
		wants = append(wants, flatjson.Want{Name: name, Width: 1})
	}
	return flatjson.NewReader(wants...)
}

// codeInputs codes the first row of a request's inputs. What is no JSON has none.
func codeInputs(coder *shift.Coder, codes []uint8, inputs *flatjson.Reader, text []byte) {
	inputs.Read(text)
	for i := range coder.Columns() {
		list := inputs.List(i)
		if len(list) == 0 {
			continue
		}
		switch c := list[0]; c.Kind {
		case flatjson.Number:
			coder.Number(codes, i, c.Number)
		case flatjson.Text:
			coder.Text(codes, i, c.Text)
		case flatjson.True:
			coder.Number(codes, i, 1)
		case flatjson.False:
			coder.Number(codes, i, 0)
		case flatjson.Null, flatjson.Other:
		}
	}
}
