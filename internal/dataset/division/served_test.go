package division

import (
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
)

// Clients write numbers as 32-bit floats, or with six digits; neither is skew.
func TestNumbersAsServed(t *testing.T) {
	const prepared = 0.39030358294129075
	column := &dataset.Series{Name: "x", Type: dataset.TypeFloat64, Floats: []float64{prepared}}
	for asked, same := range map[float64]bool{prepared: true, float64(float32(prepared)): true, 0.390304: true, 0.39030: true, 0.39029: false, 0.3903 * 1.001: false, -prepared: false} {
		if got := SameAsServed(column, 0, flatjson.Cell{Kind: flatjson.Number, Number: asked}); got != same {
			t.Errorf("asked with %v: the same %v; want %v", asked, got, same)
		}
	}
}
