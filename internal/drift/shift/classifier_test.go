package shift

import (
	"math"
	"testing"
)

func (s *stream) sample(r *Reference, from, n int) Sample {
	c := newCounting(r, s.days(from, n), s.plan())
	sample := Sample{Codes: c.codes}
	for row := range c.times {
		sample.Blocks = append(sample.Blocks, row/s.rows)
	}
	return sample
}

// TestDistinguish: days that merely differ can't be told apart by a model that
// has not seen them; a shift by one deviation can, as well as theory allows.
func TestDistinguish(t *testing.T) {
	covered, mean := 0, 0.0
	const runs = 8
	for run := range runs {
		s := newStream(uint64(run))
		r := build(t, s, 40)
		area, ok := r.Coder("at", "late").Distinguish(s.sample(r, 0, 40), s.sample(r, 40, 30), 1)
		if !ok {
			t.Fatal("no answer")
		}
		mean += area.Value / runs
		if area.Low <= 0.5 && area.High >= 0.5 {
			covered++
		}
	}
	t.Logf("without a shift: mean %.3f, %d of %d intervals hold 0.5", mean, covered, runs)
	if covered < runs-2 || math.Abs(mean-0.5) > 0.03 {
		t.Errorf("without a shift: mean %v, %d of %d intervals hold 0.5", mean, covered, runs)
	}
	s := newStream(3)
	r := build(t, s, 40)
	before := s.sample(r, 0, 40)
	s.shift = 1
	now := s.sample(r, 40, 30)
	area, _ := r.Coder("at", "late").Distinguish(before, now, 1)
	best := math.Erfc(-1/math.Sqrt(2*1.09)/math.Sqrt2) / 2 // P(x1 of now > x1 before), both with σ² = 1.09
	t.Logf("a shift by 1: %+v, at best %.3f", area, best)
	if area.Low < 0.65 || math.Abs(area.Value-best) > 0.06 {
		t.Errorf("a shift by 1: %+v, at best %v", area, best)
	}
	again, _ := r.Coder("at", "late").Distinguish(before, now, 1)
	if again != area {
		t.Error("not the same twice")
	}
}

// TestFewBlocksAreNoBias: without a shift the AUC averages one half however few
// blocks a side has, or however unlike their sizes.
func TestFewBlocksAreNoBias(t *testing.T) {
	const runs = 60
	for _, blocks := range [][2]int{{2, 2}, {12, 3}, {5, 6}} {
		mean, squares, covered := 0.0, 0.0, 0
		for run := range runs {
			s := newStream(uint64(run))
			s.cluster, s.rows = 0.5, 40
			r := build(t, s, 15)
			area, _ := r.Coder("at", "late").Distinguish(s.sample(r, 0, blocks[0]), s.sample(r, 20, blocks[1]), 1)
			mean += area.Value / runs
			squares += area.Value * area.Value / runs
			if area.Low <= 0.5 && area.High >= 0.5 {
				covered++
			}
		}
		noise := math.Sqrt((squares - mean*mean) / runs)
		t.Logf("%d and %d blocks: mean %.3f ± %.3f, %d of %d intervals hold 0.5", blocks[0], blocks[1], mean, noise, covered, runs)
		if math.Abs(mean-0.5) > 3*noise || covered < runs*2/3 {
			t.Errorf("%d and %d blocks: mean %.3f ± %.3f, %d of %d intervals hold 0.5", blocks[0], blocks[1], mean, noise, covered, runs)
		}
	}
}

func TestNothingToDistinguish(t *testing.T) {
	s := newStream(4)
	r := build(t, s, 5)
	one, two := s.sample(r, 0, 1), s.sample(r, 0, 2)
	for _, sides := range [][2]Sample{{one, two}, {two, one}, {{}, two}, {two, {}}} {
		if area, ok := r.Coder("at", "late").Distinguish(sides[0], sides[1], 1); ok {
			t.Errorf("%+v", area)
		}
	}
}
