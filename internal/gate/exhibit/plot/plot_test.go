package plot_test

import (
	"math"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
)

func TestTexts(t *testing.T) {
	for _, test := range []struct {
		got, want string
	}{
		{plot.Grouped(1234567), "1,234,567"}, {plot.Grouped(-1234), "-1,234"}, {plot.Grouped(math.MinInt64), "-9,223,372,036,854,775,808"}, {plot.Grouped(12), "12"},
		{plot.Shorten("abcdef", 4), "abc…"}, {plot.Shorten("abcd", 4), "abcd"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for name, test := range map[string]struct {
		ticks []plot.Tick
		want  string
	}{
		"unit":     {plot.Axis{From: 0, To: 1}.Ticks(6), "0.0 0.2 0.4 0.6 0.8 1.0"},
		"negative": {plot.Axis{From: -0.013, To: 0.032}.Ticks(5), "-0.01 0.00 0.01 0.02 0.03"},
		"large":    {plot.Axis{From: 0, To: 4200}.Ticks(5), "0 1,000 2,000 3,000 4,000"},
		"point":    {plot.Axis{From: 2, To: 2}.Ticks(5), "2"},
	} {
		var labels []string
		for _, tick := range test.ticks {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestAxesOfValuesThatAreAlike: a model that always says the same has means that
// differ in the last digit, on an axis with room for no step in between.
func TestAxesOfValuesThatAreAlike(t *testing.T) {
	for _, v := range []float64{math.Ln2, 0.5, 1e18, 1e-300, 3e149, 0, -7} {
		for name, a := range map[string]plot.Axis{
			"spanning": plot.Spanning([]float64{v, math.Nextafter(v, math.Inf(1))}, 0, 100),
			"bare":     {From: v, To: math.Nextafter(v, math.Inf(1)), End: 100},
		} {
			ticks := a.Ticks(6)
			if len(ticks) > 8 || name == "spanning" && len(ticks) == 0 {
				t.Errorf("%s from %v to %v: %d ticks", name, a.From, a.To, len(ticks))
			}
			for _, tick := range ticks {
				if len(tick.Label) > 20 {
					t.Errorf("%s of %v: label %q", name, v, tick.Label)
				}
			}
		}
	}
}
