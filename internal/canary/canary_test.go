package canary

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestFromSpec(t *testing.T) {
	want := Config{Steps: 2, Alpha: 0.01, Beta: 0.05, Evidence: models.EvidenceBlocks, Errors: Limits{Tolerance: 0.5, Max: 0.02}}
	if got := FromSpec(models.CanarySpec{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	spec := models.CanarySpec{
		Steps: []float64{1, 5, 20}, Shadow: &models.ShadowSpec{}, FalseAlarm: 0.1, FalsePass: 0.2, Evidence: models.EvidenceRequests,
		Tolerance: 1, MaxErrorRate: 0.3, Latency: &models.LatencySpec{SLO: models.Duration(time.Second)}, Quality: &models.QualitySpec{Tolerance: 0.02},
	}
	want = Config{
		Steps: 4, Alpha: 0.1, Beta: 0.2, Evidence: models.EvidenceRequests, Errors: Limits{Tolerance: 1, Max: 0.3},
		Latency: Limits{Tolerance: 0.5, Max: 0.01}, Quantile: 0.99, Quality: Losses{Tolerance: 0.02},
	}
	if got := FromSpec(spec); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func byRequest() Config { return FromSpec(models.CanarySpec{Evidence: models.EvidenceRequests}) }

// step is one with its totals, and judged the state after some of them.
func step(weight float64, canaryErrors, canary, championErrors, champion int64) models.CanaryStep {
	return models.CanaryStep{
		Weight:   weight,
		Canary:   models.ArmCounts{Requests: canary, Errors: canaryErrors},
		Champion: models.ArmCounts{Requests: champion, Errors: championErrors},
	}
}

func judged(c Config, steps ...models.CanaryStep) models.JudgeState {
	var s models.JudgeState
	for _, step := range steps {
		s = c.Open(s, step)
		s = c.Observe(s, Evidence{Champion: step.Champion, Canary: step.Canary})
	}
	return s
}

func TestJudgeByRequest(t *testing.T) {
	for _, test := range []struct {
		name    string
		steps   []models.CanaryStep
		verdict models.Verdict
		reason  string
	}{
		{"no step", nil, models.VerdictInconclusive, "no traffic goes to the canary yet"},
		{"no traffic", []models.CanaryStep{step(0.1, 0, 0, 0, 0)}, models.VerdictInconclusive,
			"undecided at 10 % of the traffic: failed requests: canary none sent yet, champion none sent yet; evidence of safety 1 of 20, of harm 1 of 100; canary requests still needed if all are good: 335"},
		{"one request short", []models.CanaryStep{step(0.1, 0, 334, 0, 3000)}, models.VerdictInconclusive,
			"undecided at 10 % of the traffic: failed requests: canary 0 of 334 (0 %), champion 0 of 3000 (0 %); evidence of safety 19.9 of 20, of harm 0.975 of 100; canary requests still needed if all are good: 1"},
		{"clean", []models.CanaryStep{step(0.1, 0, 335, 0, 3000)}, models.VerdictPass,
			"safe at 10 % of the traffic: failed requests: canary 0 of 335 (0 %), champion 0 of 3000 (0 %); evidence 20.2, threshold 20"},
		{"the second step starts from nothing", []models.CanaryStep{step(0.1, 0, 5000, 0, 45000), step(0.5, 0, 0, 0, 0)}, models.VerdictInconclusive, ""},
		{"all fail", []models.CanaryStep{step(0.1, 4, 4, 0, 36)}, models.VerdictFail, ""},
		{"harm wins over safety", []models.CanaryStep{step(0.1, 10, 2000, 10, 18000)}, models.VerdictFail, ""},
		{"harm of an earlier step still counts", []models.CanaryStep{step(0.1, 20, 200, 2, 1800), step(0.5, 0, 264, 0, 264)}, models.VerdictFail, ""},
		{"both arms fail alike", []models.CanaryStep{step(0.5, 400, 500, 410, 500)}, models.VerdictPass, ""},
		{"at full weight only the limit counts", []models.CanaryStep{step(1, 0, 335, 0, 0)}, models.VerdictPass, ""},
		{"nonsense counters", []models.CanaryStep{step(0.1, -5, -7, 9, 3)}, models.VerdictInconclusive, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := byRequest()
			got := c.Judge(judged(c, test.steps...))
			if got.Verdict != test.verdict || test.reason != "" && got.Reason != test.reason {
				t.Errorf("got  %s: %s\nwant %s: %s", got.Verdict, got.Reason, test.verdict, test.reason)
			}
			if got.HarmThreshold != 100 || got.SafeThreshold != 20 {
				t.Errorf("thresholds %v and %v, want 100 and 20", got.HarmThreshold, got.SafeThreshold)
			}
		})
	}
}

// TestCapitalOverSteps holds the e-values against sums and products done by
// hand.
func TestCapitalOverSteps(t *testing.T) {
	c := Config{Steps: 3, Alpha: 0.01, Beta: 0.05, Evidence: models.EvidenceRequests, Errors: Limits{Tolerance: 0.5, Max: 0.02}}
	first, second := step(0.1, 3, 200, 5, 1800), step(0.5, 2, 100, 1, 110)
	one := func(s models.CanaryStep) float64 {
		canary := trials{float64(s.Canary.Errors), float64(s.Canary.Requests)}
		champion := trials{float64(s.Champion.Errors), float64(s.Champion.Requests)}
		both := trials{canary.k, canary.k + champion.k}
		return 0.95*math.Exp(above(both, s.Weight)) + 0.05*math.Min(math.Exp(above(canary, 0.02)), math.Exp(below(champion, 0.02)))
	}
	got := c.Judge(judged(c, first, second))
	near(t, "harm", got.Harm, (one(first)*one(second)+one(second)+1)/3, 1e-12)
	// 1.5 / (1 + 1.5) of the errors at equal traffic
	near(t, "safe", got.Safe, 0.85*math.Exp(below(trials{2, 3}, 0.6))+0.15*math.Exp(below(trials{2, 100}, 0.02)), 1e-12)
	// more steps than planned: the parts are still a partition
	c.Steps = 1
	near(t, "harm", c.Judge(judged(c, first, second)).Harm, (one(first)*one(second)+one(second))/2, 1e-12)
}

func someBlocks(seed uint64, n int, ratio float64) []models.CanaryBlock {
	r := rand.New(rand.NewPCG(seed, 1))
	draw := func(rate float64) models.BlockCounts {
		b := models.BlockCounts{Requests: 80 + r.Int64N(40)}
		for range b.Requests {
			if r.Float64() < rate {
				b.Errors++
			}
			if r.Float64() < 2*rate {
				b.Slow++
			}
		}
		return b
	}
	blocks := make([]models.CanaryBlock, n)
	for i := range blocks {
		blocks[i] = models.CanaryBlock{Start: time.Unix(int64(60*i), 0), Champion: draw(0.02), Canary: draw(0.02 * ratio)}
	}
	return blocks
}

func whole() Config {
	return FromSpec(models.CanarySpec{Latency: &models.LatencySpec{SLO: models.Duration(time.Second)}, Quality: &models.QualitySpec{Tolerance: 0.05}})
}

// TestLooksDoNotMatter: the state is the same whether the evidence comes at
// once, block by block, or through JSON between any two looks.
func TestLooksDoNotMatter(t *testing.T) {
	c, blocks, losses := whole(), someBlocks(1, 40, 1.5), someLosses(2, 30, 0.02)
	first, second := models.CanaryStep{Weight: 0.1}, models.CanaryStep{Weight: 0.5}
	once := c.Observe(c.Open(models.JudgeState{}, first), Evidence{Blocks: blocks[:15], Losses: losses[:5]})
	once = c.Observe(c.Open(once, second), Evidence{Blocks: blocks[15:], Losses: losses[5:]})
	many := c.Open(models.JudgeState{}, first)
	for i, b := range blocks {
		if i == 15 {
			many = c.Open(many, second)
		}
		e := Evidence{Blocks: []models.CanaryBlock{b}}
		if i < len(losses) {
			e.Losses = losses[i : i+1]
		}
		many = throughJSON(t, c.Observe(many, e))
	}
	if !reflect.DeepEqual(throughJSON(t, once), many) {
		t.Errorf("at once %+v\none by one %+v", once, many)
	}
	if text, err := json.Marshal(many); err != nil || len(text) > 4<<10 {
		t.Errorf("%d bytes of state, %v", len(text), err)
	}
}

func throughJSON(t *testing.T, s models.JudgeState) (out models.JudgeState) {
	t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWeightChange: what earlier steps said about harm is multiplied with what
// comes, and safety begins anew.
func TestWeightChange(t *testing.T) {
	c := FromSpec(models.CanarySpec{})
	bad := someBlocks(3, 12, 4)
	s := c.Observe(c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.1}), Evidence{Blocks: bad[:6]})
	before := c.Judge(s)
	s = c.Open(s, models.CanaryStep{Weight: 0.5})
	opened := c.Judge(s)
	near(t, "harm at the start of the second step", opened.Harm, before.Harm, 1e-9)
	near(t, "safety at the start of the second step", opened.Safe, 1, 1e-12)
	fresh := c.Observe(c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.5}), Evidence{Blocks: bad[6:]})
	if both, alone := c.Judge(c.Observe(s, Evidence{Blocks: bad[6:]})).Harm, c.Judge(fresh).Harm; !(both > alone && alone > 1) {
		t.Errorf("harm of both steps %v, of the second alone %v", both, alone)
	}
}

// TestCopies: a step of copies can show harm, and never safety.
func TestCopies(t *testing.T) {
	for _, evidence := range []models.CanaryEvidence{models.EvidenceBlocks, models.EvidenceRequests} {
		c := FromSpec(models.CanarySpec{Evidence: evidence, Shadow: &models.ShadowSpec{}})
		open := c.Open(models.JudgeState{}, models.CanaryStep{Shadow: 0.5})
		good := c.Judge(c.Observe(open, Evidence{Blocks: someBlocks(4, 300, 0)}))
		if good.Verdict != models.VerdictInconclusive || good.Safe != 1 || !strings.HasPrefix(good.Reason, "undecided on copies of requests") {
			t.Errorf("%s: good copies: %+v", evidence, good)
		}
		// The champion's totals are of all its requests, copied or not.
		unfair := Evidence{Blocks: someBlocks(5, 60, 1), Champion: models.ArmCounts{Requests: 1 << 20}, Canary: models.ArmCounts{Requests: 6000, Errors: 120}}
		if v := c.Judge(c.Observe(open, unfair)); v.Verdict != models.VerdictInconclusive {
			t.Errorf("%s: copies that fail as often as the originals: %+v", evidence, v)
		}
		if v := c.Judge(c.Observe(open, Evidence{Blocks: someBlocks(6, 60, 5)})); v.Verdict != models.VerdictFail {
			t.Errorf("%s: bad copies: %+v", evidence, v)
		}
	}
}

// TestMoreErrorsAreWorse: one more failure of the canary never lowers harm nor
// raises safety, in any of the bets.
func TestMoreErrorsAreWorse(t *testing.T) {
	r := rate{Limits: Limits{Tolerance: 0.5, Max: 0.02}}
	for _, size := range [][2]float64{{30, 30}, {20, 90}, {90, 20}} {
		for champion := 0.0; champion < 8; champion += 2 {
			for k := 0.0; k < 15; k++ {
				few := arms{champion: trials{champion, size[1]}, canary: trials{k, size[0]}}
				more := few
				more.canary.k++
				harm, worse := weighted(r.harmFactors(few)), weighted(r.harmFactors(more))
				safe, less := weighted(r.safeFactors(few)), weighted(r.safeFactors(more))
				if worse < harm-1e-9 || less > safe+1e-9 {
					t.Errorf("%+v: harm %v, with one more %v; safety %v, with one more %v", few, harm, worse, safe, less)
				}
			}
		}
	}
}

func weighted(factors []float64) (sum float64) {
	for _, f := range factors {
		sum += f
	}
	return sum
}

// TestHostileEvidence: whatever comes, the verdict has JSON, and nonsense is
// never a reason to promote.
func TestHostileEvidence(t *testing.T) {
	const huge = math.MaxInt64
	nan, inf := math.NaN(), math.Inf(1)
	for _, evidence := range []models.CanaryEvidence{models.EvidenceBlocks, models.EvidenceRequests} {
		c := whole()
		c.Evidence = evidence
		s := c.Observe(models.JudgeState{}, Evidence{Blocks: someBlocks(1, 3, 1)}) // before the first step
		s = c.Open(s, models.CanaryStep{Weight: nan})
		s = c.Open(s, models.CanaryStep{Weight: 0.1})
		for _, counts := range []models.BlockCounts{{Requests: -1, Errors: -1}, {Requests: 3, Errors: 900, Slow: -4}, {Requests: huge, Errors: huge}, {Requests: 1 << 40, Errors: 1 << 20}} {
			s = c.Observe(s, Evidence{
				Blocks: []models.CanaryBlock{{Champion: counts, Canary: models.BlockCounts{Errors: 5}}, {Champion: models.BlockCounts{}, Canary: counts}, {Champion: counts, Canary: counts}},
				Canary: models.ArmCounts{Requests: counts.Requests, Errors: counts.Errors, Latency: []int64{-1, huge}},
				Losses: []models.LossBlock{
					{Pairs: models.Moments{N: 50, Sum: nan, SumSquares: 1}}, {Pairs: models.Moments{N: 50, Sum: inf}}, {Pairs: models.Moments{N: -3, Sum: 1}},
					{Pairs: models.Moments{N: 50, Sum: 1e99}}, {Canary: models.Moments{N: 50}, Champion: models.Moments{N: huge, Sum: 4}},
				},
			})
		}
		v := c.Judge(throughJSON(t, s))
		if _, err := json.Marshal(v); err != nil || v.Verdict == models.VerdictPass {
			t.Errorf("%s: %+v, %v", evidence, v, err)
		}
	}
}

// TestDamagedState: a state of another version, or a damaged one, has no say.
func TestDamagedState(t *testing.T) {
	c := FromSpec(models.CanarySpec{})
	s := c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.1})
	s.Errors.Harm[0], s.Errors.Safe = math.NaN(), []float64{1}
	s = c.Observe(c.Open(s, models.CanaryStep{Weight: 0.5}), Evidence{Blocks: someBlocks(7, 1, 1)})
	if v := c.Judge(throughJSON(t, s)); v.Verdict != models.VerdictInconclusive || v.Harm > 2 {
		t.Errorf("%+v", v)
	}
}

func TestBlocksSayWhatIsNeeded(t *testing.T) {
	c := FromSpec(models.CanarySpec{})
	s := c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.1})
	clean := models.CanaryBlock{Canary: models.BlockCounts{Requests: 100}, Champion: models.BlockCounts{Requests: 900}}
	s = c.Observe(s, Evidence{Blocks: []models.CanaryBlock{clean}})
	more, ok := c.goodAnswers(c.rates()[0], s)
	if !ok || more <= 0 {
		t.Fatalf("%d, %v", more, ok)
	}
	for blocks := 1; ; blocks++ {
		if c.Judge(s).Verdict == models.VerdictPass {
			if got := (more + 99) / 100; got != blocks-1 {
				t.Errorf("%d requests were said to be needed, %d blocks of 100 were", more, blocks-1)
			}
			return
		}
		if blocks > 50 {
			t.Fatal("fifty clean blocks are no evidence")
		}
		s = c.Observe(s, Evidence{Blocks: []models.CanaryBlock{clean}})
	}
}

func TestNextLook(t *testing.T) {
	for seen, want := range map[int64]int64{0: 20, 200: 20, 201: 20, 1000: 100, 1_000_000: 100_000} {
		if got := NextLook(Config{}, seen); got != want {
			t.Errorf("after %d: %d, want %d", seen, got, want)
		}
	}
}

// TestManyErrors: an outage of a busy endpoint costs no more time than other
// blocks, and is compared as well.
func TestManyErrors(t *testing.T) {
	many := arms{champion: trials{3e6, 4e6}, canary: trials{2.9e6, 4e6}}.comparable()
	if many.champion != (trials{2000, 2666}) || many.canary.k > 1934 || many.canary.n != 2666 {
		t.Errorf("%+v", many)
	}
	if few := (arms{champion: trials{2000, 1e9}, canary: trials{3, 9}}); few.comparable() != few {
		t.Errorf("%+v", few.comparable())
	}
}

func BenchmarkObserve(b *testing.B) {
	c, blocks := FromSpec(models.CanarySpec{}), someBlocks(1, 1, 2)
	s := c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.1})
	for b.Loop() {
		s = c.Observe(s, Evidence{Blocks: blocks})
	}
}
