package workflows_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// restless is a log whose loss rises and some of whose days are corrected.
func restless(seed uint64) *dailyLog {
	losses := func(stream uint64) func(int) models.Block {
		return func(day int) models.Block {
			random := rand.New(rand.NewPCG(seed, uint64(day)))
			level, noise := .5, .02*random.NormFloat64()
			if day >= 45 {
				level = .6
			}
			block := models.Block{Requests: 200, Labelled: 200, Loss: level + noise, Evidence: day%3 > 0}
			if random.IntN(4) == 0 {
				block.Loss += float64(stream) * .01 * random.NormFloat64()
			}
			if stream == 0 && random.IntN(9) == 0 {
				block.Labelled = 2
			}
			return block
		}
	}
	return &dailyLog{begin: march, speed: 144, end: 80, first: losses(0), last: losses(1)}
}

// lasting is the wall clock that a restless log takes to its end.
const lasting = 16 * time.Hour

// disturbance is what happens to a monitor; zero: nothing.
type disturbance struct {
	runs   []time.Duration // each ends in a new run after so long, the last one excepted
	outage [2]time.Duration
	pieces func() int
	failed func(call int) error
	deaf   int
}

// endure runs a monitor through a disturbance, new runs included, and returns
// what it carries in the end and what the steward was asked.
func endure(t *testing.T, seed uint64, d disturbance) (models.MonitorState, []models.RetrainRequest) {
	t.Helper()
	state, asked, clock := models.MonitorState{Endpoint: "flights"}, []models.RetrainRequest{}, march
	for run := 0; ; run++ {
		log := restless(seed)
		log.piece = d.pieces
		log.watermark = func(wall time.Time) time.Time {
			since := wall.Sub(march)
			if since >= d.outage[0] && since < d.outage[1] {
				since = d.outage[0] // nothing can be read
			}
			return march.Add(min(since, lasting-time.Hour) * 144).Truncate(time.Second)
		}
		w := newTower(t, log)
		w.SetStartTime(clock)
		w.scoreErr, w.deaf = d.failed, d.deaf
		if state.Watch == nil {
			request, corrections := watch("w1", "1"), models.Duration(60*time.Hour)
			request.Spec.Corrections = &corrections
			w.at(time.Second, models.SignalWatch, request)
		}
		lasts := lasting - clock.Sub(march)
		if run < len(d.runs) {
			lasts = d.runs[run]
		}
		w.RegisterDelayedCallback(func() { w.SetContinueAsNewSuggested(true) }, lasts)
		w.ExecuteWorkflow(models.MonitorWorkflow, state)
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, w.GetWorkflowError(), &next)
		state = models.MonitorState{}
		decodePayloads(t, next, &state)
		asked, clock = append(asked, w.retrainRequests()...), w.Now()
		if run >= len(d.runs) {
			return state, asked
		}
	}
}

// calm leaves out what belongs to a wall clock.
func calm(state models.MonitorState) models.MonitorState {
	for i := range state.Actions {
		state.Actions[i].At = time.Time{}
	}
	state.Asked = time.Time{}          // when, by the wall clock
	state.Begun, state.Inputs = 0, nil // comparisons: as often as there was something new to see
	return state
}

// TestDisturbancesChangeNothing: three new runs, an outage of days, failing and
// repeated calls and small pieces lead to the same blocks, alarms, detectors and
// request as an undisturbed run.
func TestDisturbancesChangeNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			want, asked := endure(t, seed, disturbance{})
			require.Len(t, asked, 1)
			require.Len(t, want.Alarms, 1)
			require.EqualValues(t, march.AddDate(0, 0, 80), want.Next)

			random := rand.New(rand.NewPCG(seed, 5))
			minutes := func(from, to int) time.Duration { return time.Duration(from+random.IntN(to-from)) * time.Minute }
			start := minutes(60, 600)
			got, again := endure(t, seed, disturbance{
				runs:   []time.Duration{minutes(200, 300), minutes(10, 200), minutes(10, 200)},
				outage: [2]time.Duration{start, start + minutes(20, 120)}, // of 2 to 12 days
				pieces: func() int { return 1 + random.IntN(4) },
				failed: func(int) error {
					if random.IntN(3) == 0 {
						return errStore
					}
					return nil
				},
				deaf: random.IntN(3),
			})
			require.Equal(t, asked, again, "the same request, once")
			require.Equal(t, calm(want), calm(got))
		})
	}
}
