package flatjson

import (
	"math"
	"strconv"
)

// exact are the powers of ten that a float64 holds exactly.
var exact = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// number reads a number as JSON writes it.
func (r *Reader) number() (Cell, bool) {
	text, at := r.text, r.at
	start := at
	negative := at < len(text) && text[at] == '-'
	if negative {
		at++
	}
	if at == len(text) || text[at] < '0' || text[at] > '9' {
		return Cell{}, false
	}
	digits := uint64(0)
	from := at
	for at < len(text) && text[at]-'0' <= 9 {
		digits = digits*10 + uint64(text[at]-'0')
		at++
	}
	if at-from > 1 && text[from] == '0' {
		return Cell{}, false
	}
	count, exponent := at-from, 0
	if at < len(text) && text[at] == '.' {
		at++
		from = at
		for at < len(text) && text[at]-'0' <= 9 {
			digits = digits*10 + uint64(text[at]-'0')
			at++
		}
		if at == from {
			return Cell{}, false
		}
		exponent = from - at
		count += at - from
	}
	if at < len(text) && text[at]|0x20 == 'e' {
		var ok bool
		var e int
		if e, at, ok = power(text, at+1); !ok {
			return Cell{}, false
		}
		exponent += e
	}
	r.at = at
	// Nineteen digits can't overflow.
	if count <= 19 {
		if v, ok := scaled(digits, exponent); ok {
			if negative {
				v = -v
			}
			return Cell{Kind: Number, Number: v}, true
		}
	}
	v, err := strconv.ParseFloat(string(text[start:at]), 64)
	if err != nil {
		return Cell{Kind: Other}, true // beyond what a float64 holds
	}
	return Cell{Kind: Number, Number: v}, true
}

// scaled is the float64 nearest to digits × 10^exponent; false: this is not the
// way to find it. Digits that fit into a float64, times or by a power of ten that
// does, give it in one operation (Clinger 1990). More digits are divided in two
// parts, which is exact to some 2^-103; where that leaves open what is nearest,
// strconv knows.
func scaled(digits uint64, exponent int) (float64, bool) {
	if exponent < -22 || exponent > 22 {
		return 0, false
	}
	if digits < 1<<53 {
		if exponent < 0 {
			return float64(digits) / exact[-exponent], true
		}
		return float64(digits) * exact[exponent], true
	}
	if exponent >= 0 || digits >= 1<<63 {
		return 0, false
	}
	power := exact[-exponent]
	high := float64(digits)
	low := float64(int64(digits) - int64(high))
	quotient := high / power
	rest := (math.FMA(-quotient, power, high) + low) / power
	v := quotient + rest
	rest -= v - quotient
	margin := v * 0x1p-100
	return v, v+(rest+margin) == v && v+(rest-margin) == v
}

// power reads an exponent.
func power(text []byte, at int) (value, after int, ok bool) {
	negative := at < len(text) && text[at] == '-'
	if at < len(text) && (text[at] == '-' || text[at] == '+') {
		at++
	}
	from := at
	for at < len(text) && text[at]-'0' <= 9 {
		value = min(value*10+int(text[at]-'0'), 1<<20)
		at++
	}
	if negative {
		value = -value
	}
	return value, at, at > from
}
