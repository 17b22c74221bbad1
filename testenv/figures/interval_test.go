package figures

import "testing"

func TestInterval(t *testing.T) {
	// the rule of three, and a table's value
	if low, high := Interval(0, 100); low != 0 || high < 0.0361 || high > 0.0363 {
		t.Errorf("0 of 100: %v to %v", low, high)
	}
	if low, high := Interval(5, 10); low < 0.1870 || low > 0.1872 || high < 0.8128 || high > 0.8130 {
		t.Errorf("5 of 10: %v to %v", low, high)
	}
}
