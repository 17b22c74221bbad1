package models

import (
	"math"
	"strings"
	"testing"
)

func TestEstimatesAreWrittenApart(t *testing.T) {
	for want, e := range map[string]Estimate{
		"0.5120 [0.4980, 0.5260]":        {0.512, 0.498, 0.526},
		"0.000023 [-0.000031, 0.000077]": {0.000023, -0.000031, 0.000077},
		"0.000000 [-0.000001, 0.000001]": {-0.0000001, -0.000001, 0.000001},
		"1.04818 [1.04807, 1.04829]":     {1.04818, 1.04807, 1.04829},
		"0.0000":                         {},
		"0.0000 ":                        {-0.00001, -0.00001, -0.00001},
		"-21.4850 [-21.5373, -21.4292]":  {-21.485, -21.5373, -21.4292},
		"120.0000 [-Inf, +Inf]":          {120, math.Inf(-1), math.Inf(1)},
	} {
		if got := e.Text(); got != strings.TrimSpace(want) {
			t.Errorf("%+v is written %s, want %s", e, got, want)
		}
	}
	if got, want := (Estimate{0.01, -0.002, 0.022}).Signed(), "+0.0100 [-0.0020, +0.0220]"; got != want {
		t.Errorf("written %s, want %s", got, want)
	}
}
