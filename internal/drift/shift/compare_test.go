package shift

import (
	"math"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func build(t testing.TB, s *stream, days int) *Reference {
	t.Helper()
	r, err := Build(s.days(0, days), s.plan())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *stream) compare(r *Reference, live []*Block, recent int) Result {
	return Compare(Comparison{Reference: r, Live: live, Recent: recent, Level: 0.1, MinLabels: 30, Name: "delay/1"})
}

func moved(r Result) (names []string) {
	for _, f := range r.Features {
		if f.Moved {
			names = append(names, f.Feature)
		}
	}
	for _, s := range r.Slices {
		if s.Moved {
			names = append(names, s.Column+"="+s.Slice)
		}
	}
	return names
}

// TestNothingMovesWithoutDrift: days differ, so that a chi-squared test over rows
// cries in nearly every run; blocks do not.
func TestNothingMovesWithoutDrift(t *testing.T) {
	const runs = 60
	wrong, rowWise := 0, 0
	for run := range runs {
		s := newStream(uint64(run))
		r := build(t, s, 40)
		result := s.compare(r, s.live(r, 40, 60), 20)
		if names := moved(result); len(names) > 0 {
			t.Logf("run %d: %v", run, names)
			wrong++
		}
		for _, f := range result.Features {
			if f.ChiP < 0.01 {
				rowWise++
				break
			}
		}
	}
	t.Logf("%d of %d runs with a wrong name; %d by rows", wrong, runs, rowWise)
	if wrong > 6 || rowWise < runs/2 {
		t.Errorf("%d of %d runs named something that had not moved; %d by a test over rows", wrong, runs, rowWise)
	}
}

func TestWhatMovedIsNamed(t *testing.T) {
	s := newStream(1)
	r := build(t, s, 60)
	before := s.live(r, 60, 20)
	s.shift, s.harder = 1, 0.8
	result := s.compare(r, append(before, s.live(r, 80, 30)...), 30)
	first := result.Features[0]
	if first.Feature != "x1" || !first.Moved {
		t.Errorf("the strongest is %+v", first)
	}
	for _, f := range result.Features[1:] {
		if f.Moved {
			t.Errorf("%+v", f)
		}
	}
	near(t, "Wasserstein of a shift by 1 of σ = √1.09", first.Wasserstein, 1/math.Sqrt(1.09), 0.2) // days differ
	if first.PSI < 0.5 || first.JS < 0.2 || first.Nulls != 0 || first.Unseen != 0 {
		t.Errorf("distances %+v", first)
	}
	worse := 0
	for _, slice := range result.Slices {
		if slice.Moved {
			worse++
		}
	}
	if worse < 3 || result.Now.Rows != 30*200 {
		t.Errorf("%d slices became worse: %+v", worse, result.Slices)
	}
}

// TestSmallerBlocksDoNotMove: a canary that takes four of five requests leaves
// blocks a fifth of the size. They are farther from the reference by chance.
func TestSmallerBlocksDoNotMove(t *testing.T) {
	wrong := 0
	for run := range 20 {
		s := newStream(uint64(100 + run))
		s.cluster, s.rows = 0.05, 500
		r := build(t, s, 40)
		s.rows = 100
		if names := moved(s.compare(r, s.live(r, 40, 60), 20)); len(names) > 0 {
			t.Logf("run %d: %v", run, names)
			wrong++
		}
	}
	if wrong > 2 {
		t.Errorf("%d of 20 runs", wrong)
	}
}

// TestSplitAddsUp: over every column, whatever moved, slices come and go.
func TestSplitAddsUp(t *testing.T) {
	s := newStream(3)
	r := build(t, s, 40)
	for _, c := range []struct {
		name                string
		change              func(*stream)
		mixed               bool
		atLeast, atMostPart float64
	}{
		{"more of the hard origin", func(s *stream) { s.ewr = 0.5 }, true, 0.7, 1.3},
		{"harder", func(s *stream) { s.ewr, s.harder = 0, 1.5 }, false, -0.3, 0.3},
	} {
		c.change(s)
		result := s.compare(r, s.live(r, 40, 40), 40)
		splits := r.Splits(result.Now)
		change := result.Now.MeanLoss() - r.All.MeanLoss()
		for _, split := range splits {
			near(t, c.name+": sum over "+split.Column, split.Mix+split.Concept, change, 1e-9)
			var mix, concept float64
			for _, slice := range split.Slices {
				mix, concept = mix+slice.Mix, concept+slice.Concept
			}
			near(t, "mix", mix, split.Mix, 1e-12)
			near(t, "concept", concept, split.Concept, 1e-12)
		}
		best := splits[MostMixed(splits)]
		if part := best.Mix / change; part < c.atLeast || part > c.atMostPart || c.mixed && best.Column != "origin" {
			t.Errorf("%s: %.2f of the change is mix, by %s", c.name, part, best.Column)
		}
	}
}

// TestSplitOfANewSlice by hand: a slice that the reference does not have counts
// as one as hard as the whole.
func TestSplitOfANewSlice(t *testing.T) {
	s := newStream(4)
	r := build(t, s, 5)
	r.Slicings = r.Slicings[:1]
	r.Slicings[0].Names = []string{"a", "b", "null"}
	r.All = Block{Loss: 30, LabelledWeight: 100, Slicings: []SliceSums{{Labelled: []int64{50, 50, 0}, Weight: []float64{50, 50, 0}, Loss: []float64{10, 20, 0}}}}
	now := &Block{Loss: 20, LabelledWeight: 40, Slicings: []SliceSums{{Labelled: []int64{0, 30, 10}, Weight: []float64{0, 30, 10}, Loss: []float64{0, 15, 5}}}}
	got := r.Decompose(0, now)
	want := []models.SliceShift{ // before: 0.2, 0.4 and 0.3 in all; now 0.5 each
		{Mix: (0 - 0.5) * (0.2 - 0.3)},
		{Mix: (0.75 - 0.5) * (0.4 - 0.3), Concept: 0.75 * (0.5 - 0.4)},
		{Mix: 0, Concept: 0.25 * (0.5 - 0.3)},
	}
	total := 0.0
	for k := range want {
		near(t, "mix of "+got[k].Slice, got[k].Mix, want[k].Mix, 1e-12)
		near(t, "concept of "+got[k].Slice, got[k].Concept, want[k].Concept, 1e-12)
		total += got[k].Mix + got[k].Concept
	}
	near(t, "all together", total, 0.5-0.3, 1e-12)
}

// TestWhatIsNotLoggedNamesNothing: a feature that the log never has differs from
// the reference in every block. As a discovery that nobody is shown it would make
// it easier for the others to be named.
func TestWhatIsNotLoggedNamesNothing(t *testing.T) {
	for run := range 20 {
		s := newStream(uint64(run))
		s.numbers = 12
		r := build(t, s, 40)
		s.shift = 0.2 + 0.03*float64(run)
		live := s.live(r, 40, 20)
		few := *r // as if there were no such features
		few.Features, few.All.Features, few.Blocks = first(r.Features), first(r.All.Features), nil
		for _, b := range r.Blocks {
			b.Features = first(b.Features)
			few.Blocks = append(few.Blocks, b)
		}
		var fewLive []*Block
		for _, b := range live {
			for i := range b.Features[logged:] {
				clear(b.Features[logged+i])
				b.Features[logged+i][r.Features[logged+i].Missing()] = b.Weight
			}
			copied := *b
			copied.Features = first(b.Features)
			fewLive = append(fewLive, &copied)
		}
		got, want := s.compare(r, live, 20), s.compare(&few, fewLive, 20)
		shown := slices.DeleteFunc(moved(got), func(name string) bool {
			return slices.ContainsFunc(r.Features[logged:], func(f Feature) bool { return f.Name == name })
		})
		if !slices.Equal(shown, moved(want)) {
			t.Errorf("run %d: %v moved, and %v if there were no other features", run, shown, moved(want))
		}
	}
}

const logged = 4 // features that the log has

func first[T any](features []T) []T { return features[:logged] }
