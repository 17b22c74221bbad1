package rivals

import "math"

// ADWIN is the adaptive window of Bifet and Gavaldà (2007): it keeps values as
// long as no cut of the window into an older and a newer part shows means that
// differ by more than chance allows. The window is held as an exponential
// histogram: row i has buckets of 2^i values.
type ADWIN struct {
	delta   float64
	rows    [][]bucket // of each row the oldest bucket first
	window  bucket     // all values together
	width   float64
	updates int
}

// bucket is the sum of some values and the sum of their squared deviations.
type bucket struct{ total, squares float64 }

// The defaults of river.
const (
	adwinDelta   = 0.002
	adwinClock   = 32 // values between two looks
	adwinBuckets = 5  // of a size
	adwinLeast   = 5  // values of each part
	adwinGrace   = 10 // values before the first look
)

// NewADWIN has the defaults of river.
func NewADWIN() *ADWIN { return &ADWIN{delta: adwinDelta, rows: [][]bucket{nil}} }

// Update implements Stream. As in river the window is emptied after a call.
func (a *ADWIN) Update(value float64) bool {
	a.insert(value)
	a.updates++
	if a.updates%adwinClock != 0 || a.width <= adwinGrace {
		return false
	}
	drifted := false
	for a.shrink() {
		drifted = true
	}
	if drifted {
		*a = *NewADWIN()
	}
	return drifted
}

func (a *ADWIN) insert(value float64) {
	a.window = joined(a.window, a.width, bucket{total: value}, 1)
	a.width++
	a.rows[0] = append(a.rows[0], bucket{total: value})
	for i := 0; len(a.rows[i]) > adwinBuckets; i++ {
		if i+1 == len(a.rows) {
			a.rows = append(a.rows, nil)
		}
		size := math.Ldexp(1, i)
		a.rows[i+1] = append(a.rows[i+1], joined(a.rows[i][0], size, a.rows[i][1], size))
		a.rows[i] = append(a.rows[i][:0], a.rows[i][2:]...)
	}
}

// joined is the union of two buckets of n and m values.
func joined(a bucket, n float64, b bucket, m float64) bucket {
	sum := bucket{total: a.total + b.total, squares: a.squares + b.squares}
	if n > 0 && m > 0 {
		between := a.total/n - b.total/m
		sum.squares += n * m * between * between / (n + m)
	}
	return sum
}

// shrink drops the oldest bucket if some cut shows a change.
func (a *ADWIN) shrink() bool {
	older, size := 0.0, 0.0
	for i := len(a.rows) - 1; i >= 0; i-- {
		for k := range a.rows[i] {
			older += a.rows[i][k].total
			size += math.Ldexp(1, i)
			rest := a.width - size
			if size >= adwinLeast && rest >= adwinLeast && a.differ(size, rest, older/size-(a.window.total-older)/rest) {
				a.drop()
				return true
			}
		}
	}
	return false
}

// differ is whether the means of n older and m newer values differ by more than
// chance allows.
func (a *ADWIN) differ(n, m, difference float64) bool {
	level := math.Log(2 * math.Log(a.width) / a.delta)
	share := 1/(n-adwinLeast+1) + 1/(m-adwinLeast+1)
	return math.Abs(difference) > math.Sqrt(2*share*a.window.squares/a.width*level)+2.0/3*level*share
}

// drop forgets the oldest bucket.
func (a *ADWIN) drop() {
	last := len(a.rows) - 1
	n, oldest := math.Ldexp(1, last), a.rows[last][0]
	a.rows[last] = a.rows[last][1:]
	if len(a.rows[last]) == 0 && last > 0 {
		a.rows = a.rows[:last]
	}
	a.width -= n
	a.window.total -= oldest.total
	between := oldest.total/n - a.window.total/max(a.width, 1)
	a.window.squares -= oldest.squares + n*a.width*between*between/(n+a.width)
}
