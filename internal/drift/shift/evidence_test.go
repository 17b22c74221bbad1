package shift

import (
	"math"
	"testing"
)

// TestLiveBlocksRankLikeTheReference: without a change, a live block's distance
// is longer than a reference block's in half of all pairs, or in a little fewer;
// were the reference's blocks held against a whole that has them in it, it would
// be longer in more. The same for the place, either way.
func TestLiveBlocksRankLikeTheReference(t *testing.T) {
	var longer, higher, pairs float64
	for run := range 150 {
		s := newStream(uint64(500 + run))
		s.cluster, s.rows, s.numbers = 1, 60, 2
		r := build(t, s, 8)
		c := &Comparison{Reference: r, Live: s.live(r, 8, 8), Name: "rank"}
		before, live := c.featureSeries(1, 50)
		for i := range before.distance {
			for k := range live.distance {
				longer, higher, pairs = longer+above(live.distance[k], before.distance[i]), higher+above(live.place[k], before.place[i]), pairs+1
			}
		}
	}
	t.Logf("longer in %.3f, higher in %.3f of %v pairs", longer/pairs, higher/pairs, pairs)
	if longer/pairs > 0.52 || longer/pairs < 0.35 || math.Abs(higher/pairs-0.5) > 0.04 {
		t.Errorf("a live block's distance is longer in %v of pairs, its place higher in %v", longer/pairs, higher/pairs)
	}
}

func above(a, b float64) float64 {
	switch {
	case a > b:
		return 1
	case a == b:
		return 0.5
	}
	return 0
}

// TestEvidenceOfNothing is 1: no reference, no live blocks, no rows.
func TestEvidenceOfNothing(t *testing.T) {
	s := newStream(9)
	r := build(t, s, 10)
	live := s.live(r, 10, 5)
	bare := *r
	bare.Blocks = nil
	for name, c := range map[string]Comparison{
		"no reference": {Reference: &bare, Live: live},
		"nothing live": {Reference: r},
		"empty blocks": {Reference: r, Live: []*Block{r.newBlock(), r.newBlock()}},
	} {
		c.Level, c.Recent, c.MinLabels = 0.1, 2, 30
		result := Compare(c)
		for _, f := range result.Features {
			if f.EValue != 1 || f.Moved {
				t.Errorf("%s: %+v", name, f)
			}
		}
		for _, s := range result.Slices {
			if s.EValue != 1 || s.Moved {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	s := newStream(10)
	s.numbers, s.rows = 19, 2500
	r := build(b, s, 60)
	c := Comparison{Reference: r, Live: s.live(r, 60, 60), Recent: 30, Level: 0.1, MinLabels: 30}
	for len(c.Live) < 400 {
		c.Live = append(c.Live, c.Live[len(c.Live)-60])
	}
	for b.Loop() {
		Compare(c)
	}
}
