package workflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/mainspring-ml/mainspring/models"
)

// tower is a house with a log to watch: each day of event time is a block, and
// its labels become known and are corrected as the clock goes on.
type tower struct {
	*house
	log *dailyLog

	mu           sync.Mutex
	references   []models.ReferenceRequest
	reference    func(models.ReferenceRequest) (models.MonitorReference, error)
	compared     []models.CompareRequest
	compareErr   error
	explained    []models.ExplainRequest
	explainErr   error
	explainFails int // so many times
	notices      []models.NotifyRequest
	noticeErr    func(attempt int) error
	listed       []models.ArrivalRequest
	arrivals     func(models.ArrivalRequest) (models.ArrivalState, error)
	scoreErr     func(call int) error // 1 for the first; nil: all go well
	scoreCalls   int
	answer       func(models.RetrainRequest) []stewardNews
	deaf         int // so many asks fail after they have arrived
}

func newTower(t *testing.T, log *dailyLog) *tower {
	t.Helper()
	w := &tower{house: newHouse(t), log: log}
	if log.begin.IsZero() {
		log.begin = w.Now()
	}
	w.reference = func(r models.ReferenceRequest) (models.MonitorReference, error) { return referenceFor(r.Watch), nil }
	w.arrivals = func(r models.ArrivalRequest) (models.ArrivalState, error) { return models.ArrivalState{}, nil }
	w.registerWatching()
	return w
}

// stewardNews is what a steward says after a while.
type stewardNews struct {
	after   time.Duration
	settled *models.RetrainSettled
	watch   *models.WatchRequest
}

func (w *tower) registerWatching() {
	register(w.house, "BuildReference", func(_ context.Context, r models.ReferenceRequest) (models.MonitorReference, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.references = append(w.references, r)
		return w.reference(r)
	})
	register(w.house, "CompareInputs", func(_ context.Context, r models.CompareRequest) (models.InputReport, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.compared = append(w.compared, r)
		return models.InputReport{Blocks: len(r.Blocks)}, w.compareErr
	})
	register(w.house, "ExplainAlarm", func(_ context.Context, r models.ExplainRequest) (models.Explanation, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.explained = append(w.explained, r)
		words := "because"
		if r.Gate != nil {
			words = "because; " + r.Gate.Reason
		}
		if w.explainFails--; w.explainFails >= 0 {
			return models.Explanation{}, errStore
		}
		return models.Explanation{Words: words}, w.explainErr
	})
	register(w.house, "FindArrivals", func(_ context.Context, r models.ArrivalRequest) (models.ArrivalState, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.listed = append(w.listed, r)
		return w.arrivals(r)
	})
	register(w.house, "SendNotice", func(_ context.Context, r models.NotifyRequest) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notices = append(w.notices, r)
		if w.noticeErr != nil {
			return w.noticeErr(len(w.notices))
		}
		return nil
	})
	w.mockScoringAndSteward()
}

// mockScoringAndSteward replaces what the house has already.
func (w *tower) mockScoringAndSteward() {
	w.OnActivity("ScoreBlocks", mock.Anything, mock.Anything).Return(func(_ context.Context, r models.ScoreBlocksRequest) (models.ScoredBlocks, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.scoreCalls++; w.scoreErr != nil {
			if err := w.scoreErr(w.scoreCalls); err != nil {
				return models.ScoredBlocks{}, err
			}
		}
		return w.log.score(r, w.Now()), nil
	})
	w.OnActivity("SignalSteward", mock.Anything, mock.Anything).Return(func(_ context.Context, s models.StewardSignal) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.steward = append(w.steward, s)
		if w.deaf--; w.deaf >= 0 {
			return errStore
		}
		if w.answer != nil {
			for _, news := range w.answer(*s.Retrain) {
				w.RegisterDelayedCallback(func() {
					if news.settled != nil {
						news.settled.RequestID = s.Retrain.RequestID
						w.SignalWorkflow(models.SignalRetrainSettled, *news.settled)
					}
					if news.watch != nil {
						w.SignalWorkflow(models.SignalWatch, *news.watch)
					}
				}, news.after)
			}
		}
		return nil
	})
}

// referenceFor is what the test's watch requests carry, as blocks.
func referenceFor(watch models.WatchRequest) models.MonitorReference {
	reference := models.MonitorReference{Object: &models.Ref{URI: "s3://b/reference-" + watch.Version, SHA256: "ab" + watch.Version}}
	for _, loss := range watch.Reference {
		reference.Blocks = append(reference.Blocks, models.BlockLoss{Loss: loss})
		reference.Loss += loss / float64(len(watch.Reference))
	}
	return reference
}

// retrainRequests are the different requests that the steward was sent, in order.
func (w *tower) retrainRequests() (requests []models.RetrainRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range w.steward {
		if s.Retrain != nil && !seen[s.Retrain.RequestID] {
			seen[s.Retrain.RequestID] = true
			requests = append(requests, *s.Retrain)
		}
	}
	return requests
}

// dailyLog is an endpoint's log with labels.
type dailyLog struct {
	begin     time.Time                      // wall clock at which it is complete to march
	speed     float64                        // event time per wall clock
	end       int                            // days that there are; 0: no end
	first     func(day int) models.Block     // as labels are known when the day matures
	last      func(day int) models.Block     // as they are in the end; nil: the same
	piece     func() int                     // most blocks in an answer; nil: what is asked for
	watermark func(wall time.Time) time.Time // nil: by speed
}

func (l *dailyLog) complete(wall time.Time) time.Time {
	if l.watermark != nil {
		return l.watermark(wall)
	}
	mark := march.Add(time.Duration(float64(wall.Sub(l.begin)) * l.speed)).Truncate(time.Second)
	if last := march.AddDate(0, 0, l.end+4); l.end > 0 && mark.After(last) {
		return last
	}
	return mark
}

// score answers as the activity does.
func (l *dailyLog) score(r models.ScoreBlocksRequest, wall time.Time) models.ScoredBlocks {
	scored := models.ScoredBlocks{Watermark: l.complete(wall)}
	first := func(end time.Time) time.Time { return end.Add(r.Spec.Maturity.Std()) }
	isFinal := func(end time.Time) bool { return !first(end).Add(r.Spec.Corrections.Std()).After(scored.Watermark) }
	most := r.Max
	if l.piece != nil {
		most = min(most, l.piece())
	}
	day := 0
	if r.From.After(march) {
		day = int(r.From.Sub(march) / (24 * time.Hour))
	}
	for ; l.end == 0 || day < l.end; day++ {
		block := l.at(day, l.first)
		if first(block.End).After(scored.Watermark) {
			break
		}
		if scored.More = len(scored.Blocks) == most; scored.More {
			break
		}
		scored.Blocks = append(scored.Blocks, block)
	}
	for _, open := range r.Open {
		if isFinal(open.End) {
			scored.Final = append(scored.Final, l.atLast(int(open.Start.Sub(march)/(24*time.Hour))))
		}
	}
	for _, b := range scored.Blocks {
		if isFinal(b.End) {
			scored.Final = append(scored.Final, l.atLast(int(b.Start.Sub(march)/(24*time.Hour))))
		}
	}
	return scored
}

func (l *dailyLog) atLast(day int) models.Block {
	if l.last == nil {
		return l.at(day, l.first)
	}
	return l.at(day, l.last)
}

func (l *dailyLog) at(day int, of func(int) models.Block) models.Block {
	block := of(day)
	block.Start, block.End = march.AddDate(0, 0, day), march.AddDate(0, 0, day+1)
	return block
}

// losing is a day's block with enough labels.
func losing(loss func(int) float64) func(int) models.Block {
	return func(day int) models.Block {
		return models.Block{Requests: 200, Labelled: 200, Loss: loss(day), Evidence: true}
	}
}

var errStore = errors.New("the store does not answer")
