package oip

import "math"

// Half is a number of FP16: the bits of IEEE 754's binary16. Go has no such
// type, and nothing here calculates with it.
type Half uint16

// Float32 is the same number; every Half has one.
func (h Half) Float32() float32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case exponent == 0x1f: // infinity, NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	case exponent != 0:
		return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
	default: // zero, subnormal: multiples of 2^-24
		f := float32(fraction) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(f))
	}
}

// HalfOf is the nearest Half, ties to even. It is infinite for a number of
// 65520 or more.
func HalfOf(f float64) Half {
	sign := Half(0)
	if math.Signbit(f) {
		sign, f = 0x8000, -f
	}
	switch {
	case math.IsNaN(f):
		return sign | 0x7e00
	case f >= 65520:
		return sign | 0x7c00
	case f < 0x1p-14: // zero, subnormal
		return sign | Half(math.RoundToEven(f*0x1p24))
	}
	fraction, exponent := math.Frexp(f) // 0.5 ≤ fraction < 1
	// A fraction that rounds up to 2048 carries into the exponent, as it should.
	significand := Half(math.RoundToEven(fraction * 2048))
	return sign | (Half(exponent+13)<<10 + significand)
}
