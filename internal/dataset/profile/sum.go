package profile

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// fixed is an exact sum of numbers that are not negative: a whole number in
// limbs of 64 bits, the lowest first, counted in units of the smallest float64
// (or of its square). No order of adding makes a difference.
type fixed []uint64

const (
	unit = 1074 // the smallest float64 is 2^-unit
	// A float64 has bits from -1074 to 1023, its square twice as many; 64 more are
	// for the number of rows.
	sumLimbs    = (unit+1024+64)/64 + 1
	squareLimbs = (2*(unit+1024)+64)/64 + 1
)

// add adds high·2^64+low, shifted to the left.
func (f fixed) add(high, low uint64, shift uint) {
	at, s := shift/64, shift%64
	var carry uint64
	f[at], carry = bits.Add64(f[at], low<<s, 0)
	f[at+1], carry = bits.Add64(f[at+1], low>>(64-s)|high<<s, carry)
	high, at = high>>(64-s), at+2
	for high|carry != 0 {
		f[at], carry = bits.Add64(f[at], high, carry)
		high, at = 0, at+1
	}
}

func (f fixed) merge(other fixed) {
	var carry uint64
	for i := range f {
		f[i], carry = bits.Add64(f[i], other[i], carry)
	}
}

func (f fixed) integer() *big.Int {
	raw := make([]byte, 8*len(f))
	for i, limb := range f {
		for b := range 8 {
			raw[len(raw)-1-8*i-b] = byte(limb >> (8 * b))
		}
	}
	return new(big.Int).SetBytes(raw)
}

func (f fixed) set(value *big.Int) {
	raw := value.FillBytes(make([]byte, 8*len(f)))
	for i := range f {
		f[i] = 0
		for b := range 8 {
			f[i] |= uint64(raw[len(raw)-1-8*i-b]) << (8 * b)
		}
	}
}

// sums are the exact sums of finite numbers and of their squares.
type sums struct {
	positive, negative fixed // of the numbers' sizes
	squares            fixed
}

func newSums() sums {
	return sums{positive: make(fixed, sumLimbs), negative: make(fixed, sumLimbs), squares: make(fixed, squareLimbs)}
}

// add adds a finite number that some rows have.
func (s *sums) add(x float64, rows uint64) {
	raw := math.Float64bits(x)
	mantissa, shift := raw&(1<<52-1), uint(raw>>52)&2047
	if shift > 0 {
		mantissa |= 1 << 52
		shift--
	}
	side := s.positive
	if raw>>63 != 0 {
		side = s.negative
	}
	high, low := bits.Mul64(mantissa, mantissa)
	if rows == 1 {
		side.add(0, mantissa, shift)
		s.squares.add(high, low, 2*shift)
		return
	}
	h, l := bits.Mul64(mantissa, rows)
	side.add(h, l, shift)
	h, l = bits.Mul64(low, rows)
	s.squares.add(h, l, 2*shift)
	h, l = bits.Mul64(high, rows)
	s.squares.add(h, l, 2*shift+64)
}

// addSmall adds the sum of whole numbers and of their squares.
func (s *sums) addSmall(sum int64, squares uint64) {
	if sum < 0 {
		s.negative.add(0, uint64(-sum), unit)
	} else {
		s.positive.add(0, uint64(sum), unit)
	}
	s.squares.add(0, squares, 2*unit)
}

func (s *sums) merge(other sums) {
	s.positive.merge(other.positive)
	s.negative.merge(other.negative)
	s.squares.merge(other.squares)
}

func (s *sums) sum() *big.Int { return new(big.Int).Sub(s.positive.integer(), s.negative.integer()) }

// moments are the mean and the standard deviation of n numbers, rounded once.
func (s *sums) moments(n int64) (mean, sigma float64) {
	if n == 0 {
		return 0, 0
	}
	rows, sum := big.NewInt(n), s.sum()
	// The variance is (n·Σx² - (Σx)²)/n².
	spread := new(big.Int).Mul(rows, s.squares.integer())
	spread.Sub(spread, new(big.Int).Mul(sum, sum))
	scaled := func(v *big.Int, exponent int) *big.Float {
		f := new(big.Float).SetPrec(256).SetInt(v)
		f.SetMantExp(f, exponent)
		return f.Quo(f, new(big.Float).SetInt(rows))
	}
	mean, _ = scaled(sum, -unit).Float64()
	if spread.Sign() > 0 {
		variance := scaled(spread, -2*unit)
		variance.Quo(variance, new(big.Float).SetInt(rows))
		sigma, _ = variance.Sqrt(variance).Float64()
	}
	return bounded(mean), bounded(sigma)
}

// bounded is a number that JSON can carry.
func bounded(v float64) float64 { return max(-math.MaxFloat64, min(math.MaxFloat64, v)) }

// sumText writes v·2^exponent as -0xabcp-12.
func sumText(v *big.Int, exponent int) string {
	if v.Sign() == 0 {
		return "0"
	}
	zeros := v.TrailingZeroBits()
	size := new(big.Int).Rsh(new(big.Int).Abs(v), zeros)
	sign := ""
	if v.Sign() < 0 {
		sign = "-"
	}
	return sign + "0x" + size.Text(16) + "p" + strconv.Itoa(exponent+int(zeros))
}

// readSum reads what sumText has written, in units of 2^exponent and of at most
// so many limbs.
func readSum(text string, exponent, limbs int) (*big.Int, error) {
	if text == "0" {
		return new(big.Int), nil
	}
	digits, negative := strings.CutPrefix(text, "-")
	digits, hex := strings.CutPrefix(digits, "0x")
	digits, power, cut := strings.Cut(digits, "p")
	v, ok := new(big.Int).SetString(digits, 16)
	shift, err := strconv.Atoi(power)
	shift -= exponent
	if !hex || !cut || !ok || err != nil || v.Sign() < 0 || shift < 0 || shift+v.BitLen() > 64*limbs {
		return nil, fmt.Errorf("%q is no sum", text)
	}
	v.Lsh(v, uint(shift))
	if negative {
		v.Neg(v)
	}
	return v, nil
}

// texts are Numbers.Sum and Numbers.Squares.
func (s *sums) texts() (sum, squares string) {
	return sumText(s.sum(), -unit), sumText(s.squares.integer(), -2*unit)
}

// readSums reads what texts has written.
func readSums(sum, squares string) (sums, error) {
	s := newSums()
	v, err := readSum(sum, -unit, sumLimbs)
	if err != nil {
		return s, err
	}
	q, err := readSum(squares, -2*unit, squareLimbs)
	if err != nil {
		return s, err
	}
	if v.Sign() < 0 {
		s.negative.set(v.Neg(v))
	} else {
		s.positive.set(v)
	}
	s.squares.set(q)
	return s, nil
}
