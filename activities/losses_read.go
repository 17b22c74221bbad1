package activities

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"

	"github.com/mainspring-ml/mainspring/internal/dataset"
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
	id         string
	block      int64 // start, in microseconds
	generation int64
	arm        lossArm
	time       int64 // wall clock
	prediction []float64
}

// readArms reads the rollout's answers, by block, generation and request. A
// request that is in the log twice counts once, as first answered, and a copy
// as one besides it.
func (r *lossReader) readArms(ctx context.Context, files []logFile, span logSpan) ([]armAnswer, error) {
	found, example := make([][]armAnswer, len(files)), make([]string, len(files))
	if err := eachFile(ctx, files, func(ctx context.Context, i int, f logFile) (err error) {
		found[i], example[i], err = r.readArmsOf(ctx, f, span)
		return err
	}); err != nil {
		return nil, err
	}
	answers := slices.Concat(found...)
	if len(answers) > 0 && !slices.ContainsFunc(answers, func(a armAnswer) bool { return a.prediction != nil }) {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: r.request.Endpoint,
			Message: fmt.Sprintf("no answer has the output %q as %d or more numbers; one is %.200s",
				r.request.Prediction, max(1, r.width()), slices.Max(example)),
			Hint: "set evaluate.prediction to the output that holds the prediction, and take it out of deploy.traffic.log.sensitive",
		}
	}
	slices.SortFunc(answers, func(a, b armAnswer) int {
		return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.id, b.id), cmp.Compare(shadowed(a), shadowed(b)),
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

// readArmsOf reads one file, with the outputs of an answer that lacks the
// prediction.
func (r *lossReader) readArmsOf(ctx context.Context, f logFile, span logSpan) (answers []armAnswer, example string, err error) {
	table, err := readColumns(ctx, r.store, f.uri, []string{
		"id", "event_time", "time", "version", "role", "drawn", "generation", "status", "outputs",
	})
	if err != nil {
		return nil, "", err
	}
	text := func(column string) []string { return table.Column(column).Strings }
	whole := func(column string) []int64 { return table.Column(column).Ints }
	ids, versions, roles, drawn, outputs := text("id"), text("version"), text("role"), text("drawn"), text("outputs")
	events, times, generations, statuses := whole("event_time"), whole("time"), whole("generation"), whole("status")
	from, to := span.from.UnixMicro(), span.to.UnixMicro()
	for row := range table.Rows() {
		arm, ok := r.arm(versions[row], roles[row], drawn[row])
		if !ok || statuses[row] != http.StatusOK || events[row] < from || events[row] >= to ||
			!slices.Contains(r.request.Generations, generations[row]) {
			continue
		}
		prediction, ok := outputValues(outputs[row], r.request.Prediction, r.width())
		if !ok {
			prediction, example = nil, outputs[row]
		}
		answers = append(answers, armAnswer{
			id: ids[row], block: dataset.BlockStart(events[row], r.joiner.Block).UnixMicro(), generation: generations[row],
			arm: arm, time: times[row], prediction: prediction,
		})
	}
	return answers, example, nil
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

// width is how many numbers a prediction has; 0: as many as the output. Of a
// request with several rows, the first counts: there is one label per ID.
func (r *lossReader) width() int {
	if r.request.Task == models.TaskMulticlass {
		return len(r.request.Classes)
	}
	return 1
}

// readLabels reads the outcomes of the answers' requests.
func (r *lossReader) readLabels(ctx context.Context, answers []armAnswer, span logSpan) (map[string][]dataset.Outcome, error) {
	files, err := r.labelFiles(ctx, r.request.Endpoint, span)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	labels := make(map[string][]dataset.Outcome, len(answers))
	for _, a := range answers {
		labels[a.id] = nil
	}
	return labels, eachFile(ctx, files, func(ctx context.Context, _ int, f logFile) error {
		outcomes, err := r.readOutcomes(ctx, f.uri)
		mu.Lock()
		defer mu.Unlock()
		for _, o := range outcomes {
			if of, wanted := labels[o.ID]; wanted {
				labels[o.ID] = append(of, o)
			}
		}
		return err
	})
}

// label is the outcome that arrived last of those known by the deadline.
func (r *lossReader) label(outcomes []dataset.Outcome, deadline int64) (float64, bool) {
	var last dataset.Outcome
	found := false
	for _, o := range outcomes {
		if o.LabelTime > deadline || math.IsNaN(o.Label) {
			continue
		}
		if !found || cmp.Or(cmp.Compare(o.Time, last.Time), cmp.Compare(o.Label, last.Label)) > 0 {
			last, found = o, true
		}
	}
	return last.Label, found
}
