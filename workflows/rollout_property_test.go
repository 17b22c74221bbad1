package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// trial is one rollout of random evidence, random orders and random new runs.
type trial struct {
	t      *testing.T
	seed   uint64
	mu     sync.Mutex
	random *rand.Rand
	start  time.Time // of the next block
	bad    float64   // share of the canary's answers that fail
	size   int64     // the canary's requests a block
	counts map[int64][2]models.BlockCounts
	routes []models.Route
	most   int // bytes of the state
}

func (w *trial) chance(p float64) bool { return w.random.Float64() < p }

// count draws the answers of an arm in a block, the same whenever they are read.
func (w *trial) count(block time.Time, arm uint64, requests int64, rate float64) (c models.BlockCounts) {
	random := rand.New(rand.NewPCG(uint64(block.Unix()), w.seed<<1|arm))
	c.Requests = requests
	for range requests {
		if random.Float64() < rate {
			c.Errors++
		}
	}
	return c
}

// readArms brings a block a minute, and sometimes nothing. A look that was cut
// short may still be on its way when the next one comes.
func (w *trial) readArms(_ context.Context, r models.ReadArmsRequest) (models.ArmReading, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chance(0.02) {
		return models.ArmReading{}, fail(models.KindUnavailable, "the store is out")
	}
	at := r.After
	if at.IsZero() {
		at = w.start
	}
	reading := models.ArmReading{Next: at}
	if w.chance(0.9) {
		newest := r.Generations[len(r.Generations)-1]
		champion, canary := w.count(at, 0, 3*w.size, 0.002), w.count(at, 1, w.size, w.bad)
		reading.Blocks = []models.CanaryBlock{{Start: at, Champion: champion, Canary: canary}}
		reading.Next = at.Add(time.Minute)
		if sum := w.counts[newest]; reading.Next.After(w.start) {
			w.start = reading.Next
			for i, c := range []models.BlockCounts{champion, canary} {
				sum[i].Requests, sum[i].Errors = sum[i].Requests+c.Requests, sum[i].Errors+c.Errors
			}
			w.counts[newest] = sum
		}
	}
	for _, g := range r.Generations {
		for i, v := range []string{"1", "2"} {
			c := w.counts[g][i]
			reading.Arms = append(reading.Arms, models.ArmCounts{Generation: g, Version: v, Requests: c.Requests, Errors: c.Errors, Latency: make([]int64, 140)})
		}
	}
	return reading, nil
}

// readLosses has an hour of labels each time, or a failure for good.
func (w *trial) readLosses(_ context.Context, r models.ReadLossesRequest) (models.LossReading, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := later(r.After, r.Since)
	if w.chance(0.2) {
		return models.LossReading{}, fail(models.KindInvalidSpec, strings.Repeat("no such output ", 40))
	}
	moments := func() models.Moments {
		mean := 0.3 + 0.01*w.random.Float64()
		return models.Moments{N: 1000, Sum: 1000 * mean, SumSquares: 200}
	}
	return models.LossReading{Next: at.Add(time.Hour), Waiting: strings.Repeat("labels ", 60), Blocks: []models.LossBlock{{
		Start: at, Generation: r.Generations[len(r.Generations)-1], Champion: moments(), Canary: moments(),
	}}}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *trial) house(input models.RolloutInput) *house {
	h := newHouse(w.t)
	register(h, "ReadLosses", w.readLosses)
	h.serving()
	h.OnActivity("ReadArms", mock.Anything, mock.Anything).After(time.Minute).Return(w.readArms)
	h.route = models.Route{Generation: input.Generation}
	if input.Prior != nil {
		h.route.Generation = input.Prior.Generation
	}
	h.at(time.Duration(1+w.random.IntN(100))*time.Second, models.SignalServeReady, models.ServeReady{Version: "2"})
	actions := []models.RolloutAction{models.RolloutPause, models.RolloutResume, models.RolloutPause, models.RolloutResume, models.RolloutPromote, models.RolloutAbort}
	for range w.random.IntN(30) {
		action := actions[w.random.IntN(4)]
		if w.chance(0.04) {
			action = actions[4+w.random.IntN(2)]
		}
		order := models.RolloutOrder{Action: action, By: strings.Repeat("name", 6), Reason: strings.Repeat("why ", 70)}
		h.updateAt(time.Duration(w.random.IntN(6*3600))*time.Second, models.UpdateRollout, order)
	}
	// Nobody forgets a paused rollout.
	for hour := range 100 {
		h.updateAt(time.Duration(6+hour)*time.Hour, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutResume, By: "eve"})
	}
	if w.chance(0.6) {
		h.RegisterDelayedCallback(func() { h.SetContinueAsNewSuggested(true) }, time.Duration(w.random.IntN(3*3600))*time.Second)
	}
	return h
}

// run goes on run after run until the rollout ends.
func (w *trial) run(input models.RolloutInput) (result models.RolloutResult) {
	for range 50 {
		h := w.house(input)
		h.ExecuteWorkflow(models.RolloutWorkflow, input)
		w.routes = append(w.routes, h.routes...)
		state, err := json.Marshal(status[models.RolloutStatus](w.t, h).RolloutState)
		require.NoError(w.t, err)
		w.most = max(w.most, len(state))
		require.Less(w.t, len(state), 20<<10)
		var next *workflow.ContinueAsNewError
		if !errors.As(h.GetWorkflowError(), &next) {
			require.NoError(w.t, h.GetWorkflowError())
			require.NoError(w.t, h.GetWorkflowResult(&result))
			return result
		}
		input = models.RolloutInput{}
		decodePayloads(w.t, next, &input)
	}
	w.t.Fatal("it never ends")
	return result
}

func TestWhateverHappensARolloutIsHonest(t *testing.T) {
	trials := uint64(20)
	if testing.Short() {
		trials = 8
	}
	seen, most := map[string]int{}, 0
	for seed := range trials {
		w := &trial{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 6)), start: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC), counts: map[int64][2]models.BlockCounts{}}
		w.bad, w.size = []float64{0, 0.002, 0.02, 0.2}[w.random.IntN(4)], []int64{2, 50, 100, 300}[w.random.IntN(4)]
		input := blockInput()
		input.Deploy.Canary.StepDeadline = models.Duration(10 * time.Hour)
		input.Deploy.Canary.Steps = [][]float64{{10}, {10, 50}, {1, 2, 3, 4, 5, 10, 20, 30, 40, 50}}[w.random.IntN(3)]
		input.Deploy.Canary.Latency = &models.LatencySpec{SLO: models.Duration(time.Second)}
		if w.chance(0.5) {
			input.Deploy.Canary.Shadow = &models.ShadowSpec{Share: 50, Requests: 500}
		}
		if w.chance(0.5) {
			input.Deploy.Canary.Quality = &models.QualitySpec{Metric: models.LogLoss, Tolerance: 0.1}
		}
		result := w.run(input)
		seen[fmt.Sprint(result.Verdict, " by ", result.By != "")]++
		w.honest(input, result)
		most = max(most, w.most)
	}
	t.Log(seen, most)
	require.Greater(t, len(seen), 1, "the trials end in different ways")
}

func (w *trial) honest(input models.RolloutInput, result models.RolloutResult) {
	t, spec := w.t, input.Deploy.Canary
	var plan []models.Arm
	if spec.Shadow != nil {
		plan = append(plan, models.Arm{Version: "2", Role: models.RoleShadow, Shadow: spec.Shadow.Share / 100})
	}
	for _, percent := range spec.Steps {
		plan = append(plan, models.Arm{Version: "2", Role: models.RoleCanary, Weight: percent / 100})
	}
	require.LessOrEqual(t, len(w.routes), len(plan))
	for i, route := range w.routes {
		require.Equal(t, input.Generation+int64(i)+1, route.Generation)
		require.Equal(t, plan[i], route.Arms[1])
		require.InDelta(t, 1-plan[i].Weight, route.Arms[0].Weight, 1e-12)
	}
	require.Len(t, result.Steps, len(w.routes))
	require.Equal(t, input.Generation+int64(len(w.routes)), result.Generation)
	for i, step := range result.Steps[:max(len(result.Steps)-1, 0)] {
		require.Equal(t, models.VerdictPass, step.Verdict.Verdict, "step %d", i)
	}
	if result.Verdict == models.VerdictPass && result.By == "" {
		require.Len(t, result.Steps, len(plan))
		last := result.Steps[len(plan)-1].Verdict
		require.Equal(t, models.VerdictPass, last.Verdict)
		require.GreaterOrEqual(t, last.Safe, last.SafeThreshold)
		require.Less(t, w.bad, 0.2)
	}
	if w.bad <= 0.002 && result.By == "" {
		require.NotEqual(t, models.VerdictFail, result.Verdict, "it is no worse: %s", result.Reason)
	}
	if result.By != "" {
		require.NotEmpty(t, result.Orders)
		require.Contains(t, result.Reason, " by "+result.By)
	}
}
