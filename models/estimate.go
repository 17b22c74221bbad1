package models

import (
	"fmt"
	"math"
)

// Text writes the figure with its interval: 0.5120 [0.4980, 0.5260].
func (e Estimate) Text() string { return e.write("%.*f", "%.*f [%.*f, %.*f]") }

// Signed is Text with signs, for gains.
func (e Estimate) Signed() string { return e.write("%+.*f", "%+.*f [%+.*f, %+.*f]") }

func (e Estimate) write(alone, between string) string {
	digits := e.decimals()
	value := unsigned(e.Value, digits)
	if e.Low == e.High {
		return fmt.Sprintf(alone, digits, value)
	}
	return fmt.Sprintf(between, digits, value, digits, unsigned(e.Low, digits), digits, unsigned(e.High, digits))
}

// decimals are four, and up to six where the ends of the interval would look
// the same otherwise.
func (e Estimate) decimals() int {
	const least, most = 4, 6
	half := (e.High - e.Low) / 2
	if !(half > 0) {
		return least
	}
	return min(max(least, 1-int(math.Floor(math.Log10(half)))), most)
}

// unsigned is v, or 0 for what would be written as -0.
func unsigned(v float64, digits int) float64 {
	if math.Abs(v) < 0.5*math.Pow(10, -float64(digits)) {
		return 0
	}
	return v
}
