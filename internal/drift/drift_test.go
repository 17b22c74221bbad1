package drift

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestAlpha(t *testing.T) {
	for budget, want := range map[float64]float64{0.1: 1.0 / 11, 1: 0.5, 4: 0.8} {
		if got := Alpha(budget); math.Abs(got-want) > 1e-15 {
			t.Errorf("budget %v: %v, want %v", budget, got, want)
		}
	}
}

func TestSeed(t *testing.T) {
	seeds := map[uint64]bool{}
	for _, endpoint := range []string{"delay", "delay 1"} {
		for _, version := range []string{"1", "11", ""} {
			for before := range 20 {
				seeds[Seed(endpoint, version, before)] = true
			}
		}
	}
	if len(seeds) != 120 {
		t.Errorf("%d different seeds, want 120", len(seeds))
	}
	if got, want := Seed("delay", "1", 0), uint64(0x93a1f10b8009cb3); got != want {
		t.Errorf("got %#x, want %#x", got, want) // replays depend on it
	}
}

func TestNew(t *testing.T) {
	got := New([]float64{0.61234567, math.NaN(), math.Inf(1), 0.5}, 0.1, 7)
	want := models.DetectorState{
		Threshold: 10, Reference: []float64{0.612346, 1e100, 0.5}, Capitals: []float64{0, 0, 0}, Seed: 7, Value: 1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestUpdateByHand(t *testing.T) {
	// The highest of four: p = u/4. One half of the capital is in play, a
	// third of it on each bettor.
	u := uniform(7, 0)
	p := u / 4
	stake := 1.0 / 6
	capitals := []float64{stake * (2 - 2*p), stake * (1 - 0.5*(2*p-1)), stake}
	value := 0.5 + capitals[0] + capitals[1] + capitals[2]
	got, step := Update(New([]float64{1, 2, 3}, 0.1, 7), 4)
	want := models.DetectorState{
		Threshold: 10, Reference: []float64{1, 2, 3, 4}, Capitals: capitals,
		Injected: 0.5, Windows: 1, Seed: 7, Observed: 1, Value: value,
	}
	if !closeTo(got.Capitals, want.Capitals) || math.Abs(got.Value-want.Value) > 1e-15 {
		t.Errorf("capitals %v, value %v; want %v, %v", got.Capitals, got.Value, want.Capitals, want.Value)
	}
	if wantStep := (Step{P: p, Value: got.Value}); step != wantStep {
		t.Errorf("step %+v, want %+v", step, wantStep)
	}
	got.Capitals, got.Value = want.Capitals, want.Value
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRank(t *testing.T) {
	u := uniform(7, 0)
	for _, test := range []struct {
		reference []float64
		loss      float64
		want      float64
	}{
		{nil, 1, u},
		{[]float64{1, 2, 3}, 4, u / 4},
		{[]float64{1, 2, 3}, 0, (3 + u) / 4},
		{[]float64{1, 2, 2, 3}, 2, (1 + 3*u) / 5},
		{[]float64{1, 1, 1}, 1, u},
		{[]float64{1, 2, 3}, math.Inf(1), u / 4},
	} {
		if _, step := Update(New(test.reference, 0.1, 7), test.loss); math.Abs(step.P-test.want) > 1e-15 {
			t.Errorf("%v against %v: p %v, want %v", test.loss, test.reference, step.P, test.want)
		}
	}
}

// TestAgainstDumbOracle recomputes the whole history from the first loss at
// every step, with sorting and loops and nothing remembered.
func TestAgainstDumbOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for run := range 20 {
		reference := draw(r, run, 0)
		losses := draw(r, 100, 0.02*float64(run))
		state := New(reference, 0.1, uint64(run))
		for i, loss := range losses {
			var step Step
			state, step = Update(state, loss)
			p, value := oracle(reference, losses[:i+1], uint64(run))
			if math.Abs(step.P-p) > 1e-12 || math.Abs(step.Value-value) > 1e-9*value || step.Alarm != (step.Value >= 10) {
				t.Fatalf("run %d, loss %d: %+v, want p %v and value %v", run, i, step, p, value)
			}
		}
	}
}

func oracle(reference, losses []float64, seed uint64) (p, value float64) {
	seen := slices.Clone(reference)
	stake := map[float64]float64{-1: 0, -0.5: 0, 0: 0}
	reserve := 1.0
	for n, loss := range losses {
		if n%30 == 0 {
			k := float64(n/30 + 1)
			for e := range stake {
				stake[e] += 1 / (k * (k + 1)) / 3
			}
			reserve -= 1 / (k * (k + 1))
		}
		seen = append(seen, loss)
		ordered := slices.Sorted(slices.Values(seen))
		low, _ := slices.BinarySearch(ordered, loss)
		high, _ := slices.BinarySearch(ordered, math.Nextafter(loss, math.Inf(1)))
		p = (float64(len(ordered)-high) + uniform(seed, uint64(n))*float64(high-low)) / float64(len(ordered))
		total := stake[-1] + stake[-0.5] + stake[0]
		for e, c := range stake {
			stake[e] = (0.99*c + 0.01*total/3) * (1 + e*(2*p-1))
		}
	}
	return p, reserve + stake[-1] + stake[-0.5] + stake[0]
}

// TestFairGame: over a uniform p the martingale's next value averages to its
// present one. The next value is linear in p, so p = 0 and p = 1 tell.
func TestFairGame(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	state := New(draw(r, 20, 0), 0.1, 1)
	for i := range 200 {
		value := func(p float64) float64 {
			next := state
			capitals := bet(inject(&next), p)
			sum := 1 - next.Injected
			for _, c := range capitals {
				sum += c
			}
			return sum
		}
		if mean := (value(0) + value(1)) / 2; math.Abs(mean-state.Value) > 1e-9*state.Value || value(0) < value(1) {
			t.Fatalf("loss %d: %v becomes %v or %v", i, state.Value, value(0), value(1))
		}
		state, _ = Update(state, r.NormFloat64()+float64(i)/100)
	}
}

// TestFalseAlarms: exchangeable losses, heavy tails and ties included, raise an
// alarm in at most the share α of the runs.
func TestFalseAlarms(t *testing.T) {
	const runs, alpha, horizon = 1000, 0.1, 200
	for _, test := range []struct {
		name   string
		blocks int
		loss   func(*rand.Rand) float64
	}{
		{"normal", 14, func(r *rand.Rand) float64 { return 0.6 + 0.02*r.NormFloat64() }},
		{"log-normal", 0, func(r *rand.Rand) float64 { return math.Exp(2 * r.NormFloat64()) }},
		{"few values", 14, func(r *rand.Rand) float64 { return float64(r.IntN(3)) }},
	} {
		alarms := 0
		for run := range runs {
			r := rand.New(rand.NewPCG(uint64(run), 3))
			state := New(repeat(test.blocks, func() float64 { return test.loss(r) }), alpha, uint64(run))
			if _, after := watch(state, horizon, func(int) float64 { return test.loss(r) }); after > 0 {
				alarms++
			}
		}
		share, noise := float64(alarms)/runs, 3*math.Sqrt(alpha*(1-alpha)/runs)
		t.Logf("%s, %d reference blocks: %.3f false alarms within %d blocks", test.name, test.blocks, share, horizon)
		if share > alpha+noise {
			t.Errorf("%s: %.3f false alarms, α = %v", test.name, share, alpha)
		}
	}
}

// TestDetection: how long a rise of the daily loss lasts before the alarm.
func TestDetection(t *testing.T) {
	const runs = 200
	for _, test := range []struct {
		blocks, quiet int     // reference blocks; blocks without drift before the rise
		sigmas        float64 // the rise, in deviations of the daily loss
		found         float64 // at least, within 90 blocks
		median        int     // blocks, at most
	}{
		{14, 0, 0.5, 0.25, 91}, {14, 0, 1, 0.7, 30}, {14, 0, 1.5, 0.97, 14},
		{30, 0, 0.5, 0.45, 90}, {30, 0, 1, 0.95, 20}, {30, 0, 1.5, 0.99, 12},
		{46, 0, 0.5, 0.55, 65}, {46, 0, 1, 0.97, 16}, {46, 0, 1.5, 0.99, 10},
		{60, 0, 0.5, 0.65, 55}, {60, 0, 1, 0.99, 16}, {60, 0, 1.5, 0.99, 10},
		{30, 120, 1, 0.9, 25}, {0, 90, 1, 0.9, 25},
	} {
		var delays []int
		found := 0
		for run := range runs {
			r := rand.New(rand.NewPCG(uint64(run), 4))
			state := New(draw(r, test.blocks, 0), 0.1, uint64(run))
			state, after := watch(state, test.quiet, func(int) float64 { return r.NormFloat64() })
			if after > 0 {
				continue // a false alarm
			}
			_, after = watch(state, 90, func(int) float64 { return r.NormFloat64() + test.sigmas })
			if after > 0 {
				found++
			} else {
				after = 91
			}
			delays = append(delays, after)
		}
		slices.Sort(delays)
		share, median := float64(found)/float64(len(delays)), delays[len(delays)/2]
		t.Logf("%2d reference blocks, %3d quiet ones, rise of %.1fσ: %.0f %% found within 90 blocks, median %d, 90 %% point %d",
			test.blocks, test.quiet, test.sigmas, 100*share, median, delays[len(delays)*9/10])
		if share < test.found || median > test.median {
			t.Errorf("found %.2f (want ≥ %v), median %d (want ≤ %d)", share, test.found, median, test.median)
		}
	}
}

// TestFallingLossIsNoAlarm, however far it falls.
func TestFallingLossIsNoAlarm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	state, after := watch(New(draw(r, 60, 0), 0.1, 1), 300, func(int) float64 { return r.NormFloat64() - 5 })
	if after > 0 || state.Value > 1 {
		t.Errorf("alarm after %d blocks, value %v", after, state.Value)
	}
}

// TestReplay: the state may travel through JSON after every step, and repeated
// updates of one state agree and leave it alone.
func TestReplay(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	direct := New(draw(r, 10, 0), 0.1, 99)
	travelled := direct
	for i := range 200 {
		loss := r.NormFloat64() + float64(i)/50
		frozen := encode(t, travelled)
		_, first := Update(travelled, loss)
		next, second := Update(travelled, loss)
		if first != second || encode(t, travelled) != frozen {
			t.Fatalf("loss %d: %+v then %+v", i, first, second)
		}
		direct, _ = Update(direct, loss)
		travelled = models.DetectorState{}
		if err := json.Unmarshal([]byte(encode(t, next)), &travelled); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(direct, travelled) {
		t.Errorf("direct    %+v\ntravelled %+v", direct, travelled)
	}
}

// TestStateStaysSmall: three years of daily blocks fit a payload.
func TestStateStaysSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	state, _ := watch(New(draw(r, 100, 0), 1e-9, 1), 3*365, func(int) float64 { return 0.6 + 0.02*r.NormFloat64() })
	if size := len(encode(t, state)); size > 16<<10 {
		t.Errorf("%d bytes", size)
	}
}

// TestBranches: two futures of one state do not write into each other.
func TestBranches(t *testing.T) {
	state, _ := watch(New(nil, 0.1, 1), 5, func(i int) float64 { return float64(i) })
	one, _ := Update(state, 10)
	two, _ := Update(state, 20)
	if one.Reference[5] != 10 || two.Reference[5] != 20 || len(state.Reference) != 5 {
		t.Errorf("references %v, %v and %v", one.Reference, two.Reference, state.Reference)
	}
}

// TestEndlessRise: a detector that nobody heeds stays finite.
func TestEndlessRise(t *testing.T) {
	state := New(nil, 0.1, 1)
	for i := range 1200 {
		state, _ = Update(state, float64(i))
	}
	if state.Value < most || math.IsInf(state.Value, 0) {
		t.Errorf("value %v", state.Value)
	}
	encode(t, state)
}

func TestNotANumber(t *testing.T) {
	state := New([]float64{1, 2}, 0.1, 1)
	got, step := Update(state, math.NaN())
	if !reflect.DeepEqual(got, state) || step != (Step{P: 1, Value: 1}) {
		t.Errorf("got %+v, %+v", got, step)
	}
}

// TestUniform holds the generator against the first published output of
// SplitMix64, and its numbers against the uniform distribution.
func TestUniform(t *testing.T) {
	first := uint64(0xe220a8397b1dcdaf)
	if got, want := uniform(0, 0), float64(first>>11)/(1<<53); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	const n = 10_000
	var sample []float64
	for i := range uint64(n) {
		sample = append(sample, uniform(42, i))
	}
	slices.Sort(sample)
	for i, u := range sample {
		if distance := math.Abs(u - (float64(i)+0.5)/n); distance > 1.95/math.Sqrt(n) { // Kolmogorov's 0.1 % point
			t.Fatalf("quantile %d is %v", i, u)
		}
	}
}

// FuzzUpdate: whatever the losses, the state stays finite and encodable.
func FuzzUpdate(f *testing.F) {
	f.Add(1.0, math.Inf(1), -3.0, uint64(1))
	f.Add(0.0, math.MaxFloat64, math.NaN(), uint64(2))
	f.Fuzz(func(t *testing.T, a, b, c float64, seed uint64) {
		state := New([]float64{a, b}, 0.1, seed)
		for i := range 300 {
			var step Step
			state, step = Update(state, []float64{a, b, c, float64(i)}[i%4])
			if !(step.P >= 0 && step.P <= 1) || !(step.Value >= 0) || math.IsInf(step.Value, 0) {
				t.Fatalf("loss %d: %+v", i, step)
			}
		}
		encode(t, state)
	})
}

func BenchmarkUpdate(b *testing.B) {
	r := rand.New(rand.NewPCG(8, 8))
	state := New(draw(r, 400, 0), 0.1, 1)
	for b.Loop() {
		Update(state, 0.5)
	}
}

// watch feeds up to n losses and says after how many the alarm came; 0: never.
func watch(state models.DetectorState, n int, loss func(int) float64) (models.DetectorState, int) {
	for i := range n {
		var step Step
		if state, step = Update(state, loss(i)); step.Alarm {
			return state, i + 1
		}
	}
	return state, 0
}

func repeat(n int, loss func() float64) []float64 {
	losses := make([]float64, n)
	for i := range losses {
		losses[i] = loss()
	}
	return losses
}

// draw are n losses of deviation 1, rounded as the detector stores them.
func draw(r *rand.Rand, n int, rise float64) []float64 {
	return repeat(n, func() float64 { return store(rise + r.NormFloat64()) })
}

func closeTo(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-15 })
}

func encode(t *testing.T, state models.DetectorState) string {
	t.Helper()
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
