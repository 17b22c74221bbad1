package rivals

import (
	"math"
	"slices"
	"testing"
)

// The known answers are of river 0.26.1, scipy 1.17 and numpy 2 on the numbers
// of uniforms; NannyML's and evidently's are scipy's, called as those programs
// call it.

// uniforms are n numbers of a linear congruential generator, which the program
// that made the known answers has too.
func uniforms(seed uint64, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		seed = seed*6364136223846793005 + 1442695040888963407
		values[i] = float64(seed>>11) / (1 << 53)
	}
	return values
}

// jump is a stream with a rise in the middle.
func jump(seed uint64) []float64 {
	values := uniforms(seed, 6000)
	for i := 2500; i < 4500; i++ {
		values[i] += 0.5
	}
	return values
}

func slope(seed uint64) []float64 {
	values := uniforms(seed, 6000)
	for i := range values {
		values[i] += float64(i) * 0.0002
	}
	return values
}

func squared(seed uint64, n int, more float64) []float64 {
	values := uniforms(seed, n)
	for i, v := range values {
		values[i] = v*v + more
	}
	return values
}

func TestStreams(t *testing.T) {
	for _, test := range []struct {
		name   string
		rule   Stream
		values []float64
		want   []int
	}{
		{"ADWIN, jumps", NewADWIN(), jump(1), []int{2559, 4543}},
		{"ADWIN, a slope", NewADWIN(), slope(2), []int{1119, 2111, 3103, 3967, 4895, 5759}},
		{"Page-Hinkley, jumps", NewPageHinkley(), jump(3), []int{2590, 4587}},
	} {
		var got []int
		for i, v := range test.values {
			if test.rule.Update(v) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: calls at %v, want %v", test.name, got, test.want)
		}
	}
}

// TestADWINWindow: what the window holds on the way.
func TestADWINWindow(t *testing.T) {
	a := NewADWIN()
	want := map[int][3]float64{ // width, mean, squares
		31:   {32, 0.554022929849605, 1.967876348675691},
		999:  {1000, 0.5079459232538563, 83.75414246936111},
		2600: {41, 1.0282028612306704, 3.2638835606368355},
		5999: {1456, 0.504458584856961, 117.90511444276926},
	}
	for i, v := range jump(1) {
		a.Update(v)
		if w, ok := want[i]; ok && (a.width != w[0] || !near(a.window.total/a.width, w[1]) || !near(a.window.squares, w[2])) {
			t.Errorf("after value %d: %v, %v, %v; want %v", i, a.width, a.window.total/a.width, a.window.squares, w)
		}
	}
}

func TestDistances(t *testing.T) {
	values := squared(11, 3000, 0)
	reference := NewSample(values)
	moved, same := NewSample(squared(12, 500, 0.05)), NewSample(squared(13, 500, 0))
	distance, p := KolmogorovSmirnov(reference, same)
	rare, tiny := KolmogorovSmirnov(reference, moved)
	var chunks []Sample
	for i := 0; i < len(values); i += 500 {
		chunks = append(chunks, NewSample(values[i:i+500]))
	}
	psi, nannyML := NewPSI(reference, 0.1), NewNannyML(reference, chunks)
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"KS distance, same", distance, 0.035666666666666666},
		{"KS distance, moved", rare, 0.22833333333333333},
		{"W1", Wasserstein(reference, moved), 0.05477902748012437},
		{"deviation", reference.Deviation, 0.29785299836789986},
		{"PSI, same", psi.Index(same), 0.026539574266163747},
		{"PSI, moved", psi.Index(moved), 1.0157617183618781},
		{"Doane's bins", float64(len(nannyML.shares)), 17},
		{"JS, same", nannyML.Distance(same), 0.08191265448380304},
		{"JS, moved", nannyML.Distance(moved), 0.2506322437623746},
		{"NannyML's limit", nannyML.limit, 0.11916004932754029},
	} {
		if !near(test.got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
	// asymptotic p-values; scipy's exact ones are 0.63737 and 4.5e-20
	if math.Abs(p-0.63737) > 0.01 || tiny > 1e-18 || tiny < 1e-21 {
		t.Errorf("p-values %v and %v", p, tiny)
	}
}

// TestCUSUM by hand: sums 0, 1.5, 0.5, 3, and anew.
func TestCUSUM(t *testing.T) {
	c := CUSUM{Mean: 10, Deviation: 2, Allowance: 0.5, Threshold: 3}
	var got []bool
	for _, v := range []float64{7, 14, 9, 16, 16} {
		got = append(got, c.Update(v))
	}
	if !slices.Equal(got, []bool{false, false, false, true, false}) || c.sum != 2.5 {
		t.Errorf("%v, sum %v", got, c.sum)
	}
}

func TestExactKS(t *testing.T) {
	values, moved := squared(11, 3000, 0)[:59], squared(12, 500, 0.05)
	small := NewSample(values)
	if _, p := KolmogorovSmirnov(small, NewSample(moved[:7])); !near(p, 0.7254511103797197) {
		t.Errorf("p %v", p)
	}
	for i := range moved {
		moved[i] += 0.2
	}
	if _, p := KolmogorovSmirnov(small, NewSample(moved[:20])); !near(p, 0.0002847503406393093) {
		t.Errorf("p %v", p)
	}
}

// TestWindows: each rule calls a sample that moved by a third of a deviation,
// and none one that did not.
func TestWindows(t *testing.T) {
	values := squared(11, 3000, 0)
	reference := NewSample(values)
	var chunks []Sample
	for i := 0; i < len(values); i += 500 {
		chunks = append(chunks, NewSample(values[i:i+500]))
	}
	same, moved := NewSample(squared(13, 500, 0)), NewSample(squared(13, 500, 0.1))
	for name, rule := range map[string]Window{
		"KS": KS{reference, 0.05}, "PSI": NewPSI(reference, 0.2), "Evidently": Evidently{reference},
		"Evidently, short reference": Evidently{NewSample(values[:1000])}, "NannyML": NewNannyML(reference, chunks),
	} {
		if rule.Drifted(same) || !rule.Drifted(moved) {
			t.Errorf("%s: same %v, moved %v", name, rule.Drifted(same), rule.Drifted(moved))
		}
	}
}

// TestConstant: a column of one value moves no rule and divides by nothing.
func TestConstant(t *testing.T) {
	ones := NewSample(slices.Repeat([]float64{1}, 2000))
	week := NewSample(slices.Repeat([]float64{1}, 100))
	for name, rule := range map[string]Window{
		"KS": KS{ones, 0.05}, "PSI": NewPSI(ones, 0.2), "Evidently": Evidently{ones}, "NannyML": NewNannyML(ones, []Sample{week, week}),
	} {
		if rule.Drifted(week) {
			t.Errorf("%s calls drift", name)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(b), 1) }
