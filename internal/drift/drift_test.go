package drift

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

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
	got := New(spec(0.1, conformal, level), blocksOf(0.61234567, math.NaN(), math.Inf(1), 0.5), models.Estimate{High: 0.7}, 7)
	want := models.DetectorState{Seed: 7, Block: models.Day, Detectors: []models.Detector{
		{Spec: conformal, Alpha: 0.8 / 11, Threshold: 13.75, Value: 1, Strata: []models.Stratum{{Losses: []float64{0.5, 0.612346, 1e100}}}},
		{Spec: level, Alpha: 0.2 / 11, Threshold: 55, Value: 1},
	}}
	got.Detectors[0].Threshold, got.Detectors[0].Alpha = math.Round(got.Detectors[0].Threshold*1e9)/1e9, want.Detectors[0].Alpha
	got.Detectors[1].Threshold, got.Detectors[1].Alpha = math.Round(got.Detectors[1].Threshold*1e9)/1e9, want.Detectors[1].Alpha
	got.Detectors[1].Level, got.Detectors[1].Sums = 0, nil // see TestLevel
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	rows := spec(0.1, conformal)
	rows.BlockRows = 1000
	if state := New(rows, nil, models.Estimate{}, 7); state.Block != 0 {
		t.Errorf("blocks of rows last %v", state.Block)
	}
}

// TestUpdateByHand: the highest of four. One half of what is handed out with the
// first block is on each bettor.
// TestReferenceWithoutStarts: losses of which nobody knows the day are compared
// with all blocks. Left out, they would leave the detector without a reference,
// and blind to a model that is worse from its first block on.
func TestReferenceWithoutStarts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 61))
	reference, live := simulated(r, 59, clustered), simulated(r, 30, clustered)
	for i := range reference {
		reference[i].Start = time.Time{}
	}
	for i := range live {
		live[i].Loss += 2
	}
	state := New(spec(0.1, daily), reference, models.Estimate{}, 1)
	_, looks := fold(state, live)
	if at := alarmIn(looks); at < 0 || at > 14 || state.Detectors[0].Spec.Season != models.SeasonNone {
		t.Errorf("alarm at block %d with season %q", at, state.Detectors[0].Spec.Season)
	}
	if state = New(spec(0.1, daily), nil, models.Estimate{}, 1); state.Detectors[0].Spec.Season != models.SeasonDayOfWeek {
		t.Errorf("without any reference the season is %q", state.Detectors[0].Spec.Season)
	}
}

func TestUpdateByHand(t *testing.T) {
	state := New(spec(0.1, conformal), blocksOf(1, 2, 3), models.Estimate{}, 7)
	got, looks := Update(state, models.BlockLoss{Start: monday, Loss: 4})
	d := got.Detectors[0]
	money := 0.125 + 0.875/365
	half, one := normalOdds(0.25, 0.5), normalOdds(0.25, 1)
	if want := []float64{money / 2 * half, money / 2 * one}; !near(d.Stakes[0].Capitals[0], want[0], 1e-3) || !near(d.Stakes[0].Capitals[1], want[1], 1e-3) {
		t.Errorf("capitals %v, want %v", d.Stakes[0].Capitals, want)
	}
	if want := 1 - money + money/2*(half+one); !near(d.Value, want, 1e-3) || looks[0].Value != d.Value || looks[0].Alarm {
		t.Errorf("value %v, want %v; look %+v", d.Value, want, looks[0])
	}
	if want := uniform(7, 0) / 4; looks[0].P != want {
		t.Errorf("p %v, want %v", looks[0].P, want)
	}
	if !slices.Equal(d.Strata[0].Losses, []float64{1, 2, 3, 4}) || d.Observed != 1 || d.Windows != 1 || !near(d.Injected, money, 1e-12) || !d.From.Equal(monday) || got.Observed != 1 {
		t.Errorf("%+v", d)
	}
}

// normalOdds are those of the uppermost share p for a shift in deviations.
func normalOdds(p, shift float64) float64 {
	low, high := -10.0, 10.0
	for range 100 {
		if middle := (low + high) / 2; math.Erfc(middle/math.Sqrt2)/2 > p {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Erfc((low-shift)/math.Sqrt2) / 2 / p
}

func TestRank(t *testing.T) {
	for _, test := range []struct {
		known    []float64
		loss, u  float64
		from, to float64
	}{
		{nil, 1, 0.5, 0, 1},
		{[]float64{1, 2, 3}, 4, 0.5, 0, 0.25},
		{[]float64{1, 2, 3}, 0, 0.5, 0.75, 1},
		{[]float64{1, 2, 3}, math.Inf(1), 0.5, 0, 0.25},
		{[]float64{1, 2, 2, 3}, 2, 0, 0.2, 0.4}, // above, between and below the twos
		{[]float64{1, 2, 2, 3}, 2, 0.5, 0.4, 0.6},
		{[]float64{1, 2, 2, 3}, 2, 0.99, 0.6, 0.8},
		{[]float64{1, 1, 1}, 1, 0.99, 0.75, 1},
	} {
		var s models.Stratum
		for _, loss := range test.known {
			rank(&s, loss, 0.5)
		}
		if got := rank(&s, test.loss, test.u); !near(got.from, test.from, 1e-12) || !near(got.to, test.to, 1e-12) || size(s) != int64(len(test.known)+1) {
			t.Errorf("%v among %v: %+v, size %d", test.loss, test.known, got, size(s))
		}
	}
}

// TestRankAmongForgotten: between 1 and 5 lie two forgotten losses, above 5
// three. A second 5 may stand above the first, and then lies somewhere among
// the three.
func TestRankAmongForgotten(t *testing.T) {
	for _, test := range []struct {
		loss, u  float64
		from, to float64
		want     models.Stratum
	}{
		{9, 0.5, 0, 4, models.Stratum{Losses: []float64{1, 5}, Copies: []int64{1, 1}, Within: []int64{0, 2, 4}}},
		{5, 0.2, 0, 4, models.Stratum{Losses: []float64{1, 5}, Copies: []int64{1, 2}, Within: []int64{0, 2, 3}}},
		{5, 0.7, 4, 7, models.Stratum{Losses: []float64{1, 5}, Copies: []int64{1, 2}, Within: []int64{0, 2, 3}}},
		{3, 0.5, 4, 7, models.Stratum{Losses: []float64{1, 5}, Copies: []int64{1, 1}, Within: []int64{0, 3, 3}}},
		{0, 0.5, 7, 8, models.Stratum{Losses: []float64{0, 1, 5}, Copies: []int64{1, 1, 1}, Within: []int64{0, 0, 2, 3}}},
	} {
		s := models.Stratum{Losses: []float64{1, 5}, Copies: []int64{1, 1}, Within: []int64{0, 2, 3}}
		got := rank(&s, test.loss, test.u)
		if !near(got.from, test.from/8, 1e-12) || !near(got.to, test.to/8, 1e-12) || !reflect.DeepEqual(s, test.want) {
			t.Errorf("%v: %v to %v eighths, want %v to %v; %+v", test.loss, 8*got.from, 8*got.to, test.from, test.to, s)
		}
	}
}

// TestAgainstDumbOracle recomputes the whole history from the first loss at
// every step, with sorting and loops, one stake for every day and nothing
// rounded or forgotten.
func TestAgainstDumbOracle(t *testing.T) {
	for run := range 10 {
		r := rand.New(rand.NewPCG(uint64(run), 1))
		reference, live := gauss(r, 5*run, 0), gauss(r, 80, 0.1*float64(run))
		state := New(spec(0.1, conformal), blocksOf(reference...), models.Estimate{}, 1)
		for i, block := range blocksOf(live...) {
			var looks []models.DetectorLook
			state, looks = Update(state, block)
			// What is merged and rounded away is not worth much.
			if want := oracle(reference, live[:i+1]); !near(looks[0].Value, want, 0.03) || looks[0].Alarm != (looks[0].Value >= state.Detectors[0].Threshold) {
				t.Fatalf("run %d, loss %d: %+v, want %v", run, i, looks[0], want)
			}
		}
	}
}

func oracle(reference, live []float64) float64 {
	value := 1.0
	for since := range live {
		money := 0.875 / 365
		if since == 0 {
			money += 0.125
		}
		value -= money
		for _, shift := range bettors() {
			capital := money / 2
			for i := since; i < len(live); i++ {
				before := append(slices.Clone(reference), live[:i]...)
				above := 0.0
				for _, other := range before {
					if other > live[i] {
						above++
					}
				}
				all := float64(len(before) + 1)
				diluted := 0.0
				if len(before) > 0 {
					diluted = float64(i-since) / float64(len(before))
				}
				capital *= odds(placed(above/all, (above+1)/all), shift, diluted)
			}
			value += capital
		}
	}
	return value
}

// TestFairGame: over all places that the next loss can have, the value averages
// to its present one, but for rounding down.
func TestFairGame(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	state := New(spec(0.1, conformal), blocksOf(gauss(r, 20, 0)...), models.Estimate{}, 1)
	for i, block := range blocksOf(gauss(r, 150, 0.5)...) {
		known := state.Detectors[0].Strata[0].Losses
		mean := 0.0
		for k := range len(known) + 1 {
			all := slices.Concat([]float64{-100}, known, []float64{100})
			_, looks := Update(state, models.BlockLoss{Start: block.Start, Loss: (all[k] + all[k+1]) / 2})
			mean += looks[0].Value / float64(len(known)+1)
		}
		if value := state.Detectors[0].Value; mean > value*(1+1e-6) || mean < value*(1-1e-3) {
			t.Fatalf("loss %d: %v becomes %v on average", i, value, mean)
		}
		state, _ = Update(state, block)
	}
}

// TestFallingLossIsNoAlarm, however far it falls.
func TestFallingLossIsNoAlarm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	state := New(spec(0.1, conformal, level), blocksOf(gauss(r, 60, 9)...), models.Estimate{}, 1)
	state, looks := fold(state, blocksOf(gauss(r, 300, 4)...))
	if at := alarmIn(looks); at >= 0 || state.Detectors[0].Value > 1 || state.Detectors[1].Value > 1 {
		t.Errorf("alarm after block %d, values %v, %v", at, state.Detectors[0].Value, state.Detectors[1].Value)
	}
}

// TestReplay: the state may travel through JSON after every step, and repeated
// updates of one state agree and leave it alone.
func TestReplay(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	direct := New(spec(0.1, daily, level), blocksOf(gauss(r, 10, 5)...), models.Estimate{}, 99)
	travelled := direct
	blocks := blocksOf(gauss(r, 400, 5)...)
	for i, block := range blocks {
		frozen := encode(t, travelled)
		_, first := Update(travelled, block)
		next, second := Update(travelled, block)
		if !slices.Equal(first, second) || encode(t, travelled) != frozen {
			t.Fatalf("loss %d: %+v then %+v", i, first, second)
		}
		direct, _ = Update(direct, block)
		travelled = models.DetectorState{}
		if err := json.Unmarshal([]byte(encode(t, next)), &travelled); err != nil {
			t.Fatal(err)
		}
	}
	if encode(t, direct) != encode(t, travelled) {
		t.Errorf("direct    %+v\ntravelled %+v", direct, travelled)
	}
}

// TestStateStaysSmall: three years of daily blocks fit a payload.
func TestStateStaysSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, d := range []models.DetectorSpec{conformal, daily} {
		state := New(spec(1e-9, d, level), blocksOf(scaled(gauss(r, 100, 0))...), models.Estimate{}, 1)
		for range 3 {
			state, _ = fold(state, blocksOf(scaled(gauss(r, 365, 0))...))
			t.Logf("%s: %d bytes", d.Season, len(encode(t, state)))
			if size := len(encode(t, state)); size > 12<<10 {
				t.Errorf("%d bytes", size)
			}
		}
	}
}

// TestBranches: two futures of one state do not write into each other.
func TestBranches(t *testing.T) {
	state, _ := fold(New(spec(0.1, daily, level), blocksOf(1, 2, 3), models.Estimate{}, 1), blocksOf(4, 5, 6, 7, 8, 9, 10))
	frozen := encode(t, state)
	one, _ := Update(state, models.BlockLoss{Start: monday, Loss: 10})
	again := encode(t, one)
	two, _ := Update(state, models.BlockLoss{Start: monday, Loss: 20})
	if encode(t, state) != frozen || encode(t, one) != again || encode(t, two) == again {
		t.Errorf("states share memory")
	}
}

// TestEndlessRise: detectors that nobody heeds stay finite.
func TestEndlessRise(t *testing.T) {
	losses := make([]float64, 3000)
	for i := range losses {
		losses[i] = math.Pow(1.1, float64(i))
	}
	state, _ := fold(New(spec(0.1, conformal, level), blocksOf(1, 2, 3), models.Estimate{}, 1), blocksOf(losses...))
	for _, d := range state.Detectors {
		if d.Value < 1e60 || d.Value > most {
			t.Errorf("%s: value %v", d.Spec.Kind, d.Value)
		}
	}
	encode(t, state)
}

func TestNotANumber(t *testing.T) {
	state := New(spec(0.1, conformal, level), blocksOf(1, 2), models.Estimate{}, 1)
	got, looks := Update(state, models.BlockLoss{Start: monday, Loss: math.NaN()})
	if got.Observed = 0; !reflect.DeepEqual(got, state) || looks[0] != (models.DetectorLook{P: 1, Value: 1}) || looks[1] != looks[0] {
		t.Errorf("got %+v, %+v", got, looks)
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
		state := New(spec(0.1, daily, level), blocksOf(a, b), models.Estimate{}, seed)
		losses := make([]float64, 300)
		for i := range losses {
			losses[i] = []float64{a, b, c, float64(i)}[i%4]
		}
		state, looks := fold(state, blocksOf(losses...))
		for i, two := range looks {
			for _, look := range two {
				if !(look.P >= 0 && look.P <= 1) || !(look.Value >= 0) || math.IsInf(look.Value, 0) {
					t.Fatalf("loss %d: %+v", i, look)
				}
			}
		}
		encode(t, state)
	})
}

func BenchmarkUpdate(b *testing.B) {
	r := rand.New(rand.NewPCG(8, 8))
	state, _ := fold(New(spec(1e-9, daily, level), blocksOf(gauss(r, 60, 5)...), models.Estimate{}, 1), blocksOf(gauss(r, 365, 5)...))
	for b.Loop() {
		Update(state, models.BlockLoss{Start: monday.AddDate(1, 0, 1), Loss: 5})
	}
}

var (
	conformal = models.DetectorSpec{Kind: models.DetectorConformal, Share: 4, Season: models.SeasonNone}
	daily     = models.DetectorSpec{Kind: models.DetectorConformal, Share: 4, Season: models.SeasonDayOfWeek}
	level     = models.DetectorSpec{Kind: models.DetectorLevel, Share: 1, Season: models.SeasonNone}

	monday = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
)

func spec(budget float64, detectors ...models.DetectorSpec) models.MonitorSpec {
	return models.MonitorSpec{Block: models.Day, FalseAlarmsPerYear: budget, Detectors: detectors}
}

// blocksOf are daily blocks from a Monday on.
func blocksOf(losses ...float64) []models.BlockLoss {
	blocks := make([]models.BlockLoss, len(losses))
	for i, loss := range losses {
		blocks[i] = models.BlockLoss{Start: monday.AddDate(0, 0, i), Labelled: 100, Loss: loss}
	}
	return blocks
}

// alarmIn is the index of the first block with an alarm; -1: none.
func alarmIn(looks [][]models.DetectorLook) int {
	return slices.IndexFunc(looks, func(all []models.DetectorLook) bool {
		return slices.ContainsFunc(all, func(look models.DetectorLook) bool { return look.Alarm })
	})
}

// scaled are losses as a classifier's daily means may be.
func scaled(losses []float64) []float64 {
	for i := range losses {
		losses[i] = 0.6 + 0.02*losses[i]
	}
	return losses
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*max(math.Abs(b), 1e-9) }

func encode(t *testing.T, state models.DetectorState) string {
	t.Helper()
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fold lets the detectors judge several blocks, oldest first, and returns what
// they made of each.
func fold(state models.DetectorState, blocks []models.BlockLoss) (models.DetectorState, [][]models.DetectorLook) {
	looks := make([][]models.DetectorLook, len(blocks))
	for i, block := range blocks {
		state, looks[i] = Update(state, block)
	}
	return state, looks
}
