package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// StoryFigures say how one thing that goes wrong outside of the engine ended.
type StoryFigures struct {
	Story string  `json:"story"`
	Ended string  `json:"ended"` // as a person reads it
	Took  float64 `json:"took_s"`
	Error string  `json:"error,omitempty"`
}

// story is one of them: what happens, and what must come of it.
type story struct {
	name string
	tell func(context.Context, *Slot) (ended string, err error)
}

func (s *Stack) stories(outage time.Duration) []story {
	return []story{
		{"a second steward, of another Temporal namespace, for the same model", s.secondSteward},
		{"a steward terminated, and a new one of the same namespace", newSteward},
		{"a metric of the gate that the evaluation does not have", missingMetric},
		{"a training that reports names which MLflow refuses, NaN and nonsense", oddMetrics},
		{"the champion deleted in MLflow meanwhile", deletedChampion},
		{"the champion's alias moved by hand in MLflow", movedAlias},
		{fmt.Sprintf("MLflow down for %s", outage), func(ctx context.Context, s *Slot) (string, error) { return mlflowDown(ctx, s, outage) }},
	}
}

// Stories lives through all of them at once, each in a slot of its own.
func (s *Stack) Stories(ctx context.Context, outage time.Duration) []StoryFigures {
	stories := s.stories(outage)
	figures := make([]StoryFigures, len(stories))
	var group errgroup.Group
	for i, story := range stories {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, outage+seedLimit)
			defer cancel()
			began := time.Now()
			figures[i].Story = story.name
			slot, err := s.Slot(ctx, "story-"+strconv.Itoa(i+1))
			if err == nil {
				figures[i].Ended, err = story.tell(ctx, slot)
			}
			figures[i].Took = time.Since(began).Seconds()
			if err != nil {
				figures[i].Error = err.Error()
			}
			return nil
		})
	}
	_ = group.Wait() // the figures have the errors
	return figures
}

// promoted lives through a lifecycle that has to be promoted.
func (s *Slot) promoted(ctx context.Context, model string, day int) (models.LifecycleResult, error) {
	result, err := s.Live(ctx, strconv.Itoa(day), specOf(model, day, true))
	if err == nil && !result.Promoted {
		err = fmt.Errorf("lifecycle %d was not promoted: %s", day, result.Reason)
	}
	return result, err
}

// release makes a model with so many promoted versions.
func (s *Slot) release(ctx context.Context, model string, n int) (want Expected, last models.LifecycleResult, err error) {
	want.Results = map[string]models.LifecycleResult{}
	want.Aliases = map[string]string{}
	if err := traffic(ctx, s.stack.Store, model, 60, 10); err != nil {
		return want, last, err
	}
	for day := 1; day <= n; day++ {
		if last, err = s.promoted(ctx, model, day); err != nil {
			return want, last, err
		}
		want.promote(model, day, last)
	}
	return want, last, s.Verify(ctx, model, want)
}

func (e *Expected) promote(model string, day int, result models.LifecycleResult) {
	e.Results[models.LifecycleID(model, strconv.Itoa(day))] = result
	if champion := e.Aliases[models.AliasChampion]; champion != "" {
		e.Aliases[models.AliasPrevious] = champion
	}
	e.Aliases[models.AliasChampion] = result.Version
}

// secondSteward: the other namespace is refused, in words, and changes nothing.
func (s *Stack) secondSteward(ctx context.Context, slot *Slot) (string, error) {
	const model = "two-stewards"
	want, _, err := slot.release(ctx, model, 2)
	if err != nil {
		return "", err
	}
	other, err := s.Slot(ctx, slot.Name+"-other")
	if err != nil {
		return "", err
	}
	result, err := other.Live(ctx, "9", specOf(model, 9, true))
	if err == nil {
		return "", fmt.Errorf("the second steward was not refused: %+v", result)
	}
	refusal := rootOf(err)
	if err := mentions(refusal, "held by", "mainspring aliases "+model+" --take-over"); err != nil {
		return "", err
	}
	return refusal, slot.Verify(ctx, model, want)
}

// missingMetric: no evidence is inconclusive, and nothing is registered.
func missingMetric(ctx context.Context, slot *Slot) (string, error) {
	const model = "missing-metric"
	spec := specOf(model, 1, true)
	least := 0.5
	spec.Evaluate.Limits = []models.MetricLimit{{Metric: models.PRAUC, Min: &least}}
	result, err := slot.Live(ctx, "1", spec)
	switch {
	case err != nil:
		return "", err
	case result.Gate.Verdict != models.VerdictInconclusive || result.Version != "" || result.Promoted:
		return "", fmt.Errorf("it should be inconclusive and not registered: %+v", result)
	}
	found, err := slot.stack.MLflow.SearchModelVersions(ctx, "name = '"+model+"'")
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%d versions were registered", len(found))
	}
	if err == nil {
		err = mentions(result.Reason, string(models.PRAUC))
	}
	return result.Reason, err
}

// deletedChampion: the deletion is recorded, and the next version is promoted
// without a previous one.
func deletedChampion(ctx context.Context, slot *Slot) (string, error) {
	const model = "deleted-champion"
	want, first, err := slot.release(ctx, model, 1)
	if err != nil {
		return "", err
	}
	if err := slot.stack.MLflow.DeleteModelVersion(ctx, model, first.Version); err != nil {
		return "", err
	}
	result, err := slot.promoted(ctx, model, 2)
	if err != nil {
		return "", err
	}
	want.Results = map[string]models.LifecycleResult{models.LifecycleID(model, "2"): result}
	want.Aliases = map[string]string{models.AliasChampion: result.Version}
	status, err := slot.Steward(ctx, model)
	if err != nil {
		return "", err
	}
	for _, r := range status.Records {
		if r.Action == models.ActionAliasMoved {
			if err := mentions(r.Reason, "deleted"); err != nil {
				return "", fmt.Errorf("%w: %v", err, told(status.Records))
			}
			return r.Reason, slot.Verify(ctx, model, want)
		}
	}
	return "", fmt.Errorf("the record does not tell of the deletion: %v", told(status.Records))
}

// told is a record in the words that people read.
func told(records []models.Record) (lines []string) {
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%d %s %s %v (%s)", r.Sequence, r.Action, r.Version, r.Aliases, r.Reason))
	}
	return lines
}

// rootOf is what failed, without Temporal's wrapping.
func rootOf(err error) string {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return application.Message()
	}
	return err.Error()
}

// mentions wants words in a text that people read.
func mentions(text string, words ...string) error {
	for _, word := range words {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			return fmt.Errorf("%q does not speak of %q", text, word)
		}
	}
	return nil
}
