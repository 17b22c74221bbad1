package metric

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// dumb is area and average precision by definition: all pairs, all thresholds.
func dumb(scores, labels []float64) rank {
	var wins, pairs, precision, ones float64
	for i, p := range scores {
		if labels[i] != 1 {
			continue
		}
		ones++
		hits, called := 0.0, 0.0
		for j, q := range scores {
			if q >= p {
				called++
				hits += labels[j]
			}
			if labels[j] == 0 {
				pairs++
				switch {
				case p > q:
					wins++
				case p == q:
					wins += 0.5
				}
			}
		}
		precision += hits / called
	}
	return rank{wins / pairs, precision / ones}
}

// written repeats each row as often as its block was drawn.
func written(s Sample, weights []float32) (scores, labels []float64) {
	for i, b := range s.Blocks {
		for range int(weights[b]) {
			scores, labels = append(scores, s.Candidate.Values[i]), append(labels, s.Labels[i])
		}
	}
	return scores, labels
}

func TestRankingAgainstDumbOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for round := range 30 {
		s := world{models.TaskBinary, 0.3, 0.2, 0.5, 1}.draw(r, 6, 20)
		if round%2 == 0 {
			for i, p := range s.Candidate.Values {
				s.Candidate.Values[i] = math.Round(p*5) / 5 // many ties
			}
		}
		weights := []float32{0, 2, 1, 3, 0, 1}
		want := dumb(written(s, weights))
		got := weighted(s, Settings{}, weights)
		near(t, "auc", got[auc], want.area, 1e-12)
		near(t, "pr_auc", got[prAUC], want.precision, 1e-12)
		whole := Measure(s, Settings{Level: 0.1, Resamples: 10}).Candidate
		want = dumb(s.Candidate.Values, s.Labels)
		near(t, "auc", whole[models.AUC].Value, want.area, 1e-12)
		near(t, "pr_auc", whole[models.PRAUC].Value, want.precision, 1e-12)
	}
}

// TestCellsComeCloseToTheExactBootstrap: with many more rows than cells, each
// resample differs from the exact one by little of what resamples differ among
// themselves, and so does the interval. The last world has one label 1 in 50,
// and scores of which half are tied.
func TestCellsComeCloseToTheExactBootstrap(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	rare := world{models.TaskBinary, 0.3, 0.2, 0.5, 1}.draw(r, 120, 100)
	for i := range rare.Labels {
		if r.Float64() < 0.95 {
			rare.Labels[i] = 0
		}
		if r.Float64() < 0.5 {
			rare.Candidate.Values[i] = math.Round(rare.Candidate.Values[i]*20) / 20
		}
	}
	for name, s := range map[string]Sample{
		"few blocks":  world{models.TaskBinary, 0.3, 0.2, 0.5, 1}.draw(r, 14, 800),
		"many blocks": world{models.TaskBinary, 0.3, 0.2, 0.5, 1}.draw(r, 400, 40), // and so the fewest cells
		"rare":        rare,
	} {
		t.Run(name, func(t *testing.T) {
			p := arrange(s, Settings{})
			draws := drawBlocks(p.blocks, 200, 1)
			for segment, kind := range []string{"whole", "slice"} {
				m := side{answers: s.Candidate}
				rows := m.rankable(0, s)
				rows = sortByKey(rows, make([]scored, len(rows)))
				w := newWalker(cellsOf(segment, p.blocks), p.blocks)
				for _, row := range rows {
					w.totals[row.tag&1]++
				}
				w.ready()
				for _, row := range slices.Backward(rows) {
					w.visit(row)
				}
				w.finish()
				got := w.resample(p, draws)
				var exact []rank
				for i := range draws.count() {
					exact = append(exact, sweep(rows, draws.of(i)))
				}
				if got[0].area != exact[0].area || math.Abs(got[0].precision-exact[0].precision) > 1e-12 {
					t.Errorf("%s: sample's %v, want %v", kind, got[0], exact[0])
				}
				compareSpread(t, kind+" auc", got, exact, func(r rank) float64 { return r.area })
				compareSpread(t, kind+" pr_auc", got, exact, func(r rank) float64 { return r.precision })
			}
		})
	}
}

// sweep is a resample's ranks row by row; rows are sorted, lowest first.
func sweep(rows []scored, weights []float32) rank {
	var passed, above [2]float64
	var sums rank
	for i := len(rows) - 1; i >= 0; i-- {
		passed[rows[i].tag&1] += float64(weights[rows[i].tag>>1])
		if i == 0 || rows[i-1].key != rows[i].key {
			zeros, ones := passed[0]-above[0], passed[1]-above[1]
			sums.area += zeros * (above[1] + ones/2)
			if ones > 0 {
				sums.precision += ones * passed[1] / (passed[0] + passed[1])
			}
			above = passed
		}
	}
	return rank{sums.area / (passed[0] * passed[1]), sums.precision / passed[1]}
}

func compareSpread(t *testing.T, what string, got, want []rank, of func(rank) float64) {
	t.Helper()
	var gots, wants []float64
	furthest := 0.0
	for i := range got[1:] {
		g, w := of(got[i+1]), of(want[i+1])
		gots, wants = append(gots, g), append(wants, w)
		furthest = max(furthest, math.Abs(g-w))
	}
	slices.Sort(gots)
	slices.Sort(wants)
	low, high := percentiles(wants, 1.2816)
	gotLow, gotHigh := percentiles(gots, 1.2816)
	width := high - low
	moved := max(math.Abs(gotLow-low), math.Abs(gotHigh-high)) / width
	t.Logf("%s: bounds moved by %.4f of the width %.5f, resamples by at most %.4f", what, moved, width, furthest/width)
	if moved > 0.02 || furthest > 0.04*width {
		t.Errorf("%s: bounds moved by %.4f of the width, resamples by %.4f", what, moved, furthest/width)
	}
}

func TestSortByKey(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 1000} {
		for _, mask := range []uint64{math.MaxUint64, 0xff00, 7, 0} {
			rows := make([]scored, n)
			for i := range rows {
				rows[i] = scored{key: r.Uint64() & mask, row: int32(i)}
			}
			want := slices.Clone(rows)
			slices.SortStableFunc(want, func(a, b scored) int { return cmp.Compare(a.key, b.key) })
			if got := sortByKey(rows, make([]scored, n)); !slices.Equal(got, want) {
				t.Errorf("%d rows, mask %x: not sorted, or equal keys turned around", n, mask)
			}
		}
	}
}

// deLong is the standard error of the area after DeLong, DeLong and
// Clarke-Pearson (1988), for rows that are independent.
func deLong(scores, labels []float64) float64 {
	var placements [2][]float64 // of zeros and ones: the share of the other label they beat
	for i, p := range scores {
		beaten, others := 0.0, 0.0
		for j, q := range scores {
			if labels[i] != labels[j] {
				others++
				switch {
				case p == q:
					beaten += 0.5
				case (p > q) == (labels[i] == 1):
					beaten++
				}
			}
		}
		label := int(labels[i])
		placements[label] = append(placements[label], beaten/others)
	}
	variance := 0.0
	for _, values := range placements {
		n, mean, squares := float64(len(values)), 0.0, 0.0
		for _, v := range values {
			mean += v / n
		}
		for _, v := range values {
			squares += (v - mean) * (v - mean)
		}
		variance += squares / (n - 1) / n
	}
	return math.Sqrt(variance)
}

// TestAreaAgainstDeLong: with a block for every row, the bootstrap's interval
// is that of independent rows.
func TestAreaAgainstDeLong(t *testing.T) {
	s := world{models.TaskBinary, 0, 0, 0.5, 1}.draw(rand.New(rand.NewPCG(5, 6)), 40, 20)
	for i := range s.Blocks {
		s.Blocks[i] = int32(i)
	}
	e := Measure(s, Settings{Level: 0.1, Resamples: 4000}).Candidate[models.AUC]
	const z = 1.2815515655446004 // normal quantile of 0.9
	error := deLong(s.Candidate.Values, s.Labels)
	t.Logf("bootstrap [%.4f, %.4f], DeLong [%.4f, %.4f]", e.Low, e.High, e.Value-z*error, e.Value+z*error)
	near(t, "low", e.Low, e.Value-z*error, 0.1*error)
	near(t, "high", e.High, e.Value+z*error, 0.1*error)
}

// TestZeroHasNoSign: -0 and 0 are one score.
func TestZeroHasNoSign(t *testing.T) {
	s := Sample{Task: models.TaskBinary, Labels: []float64{1, 0, 0}, Blocks: []int32{0, 1, 1}}
	s.Candidate.Values = []float64{0, math.Copysign(0, -1), 0.5}
	near(t, "auc", Measure(s, Settings{Level: 0.1, Resamples: 50}).Candidate[models.AUC].Value, 0.25, 0)
}
