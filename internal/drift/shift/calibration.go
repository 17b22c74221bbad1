package shift

import (
	"math"
	"slices"
	"sort"

	"github.com/mainspring-ml/mainspring/models"
)

// Calibration turns a model's probabilities into those that held for the
// reference: one curve for the probability of label 1, or one per class.
type Calibration struct {
	Curves []Curve `json:"curves,omitempty"`
}

// Curve is a rising function: Y[i] at X[i], straight in between, and level
// beyond the ends.
type Curve struct {
	X []float64 `json:"x"`
	Y []float64 `json:"y"`
}

// At is the curve's value at x.
func (c Curve) At(x float64) float64 {
	n := len(c.X)
	i := sort.SearchFloat64s(c.X, x)
	if i == 0 {
		return c.Y[0]
	}
	if i == n {
		return c.Y[n-1]
	}
	part := (x - c.X[i-1]) / (c.X[i] - c.X[i-1])
	return c.Y[i-1] + part*(c.Y[i]-c.Y[i-1])
}

// ExpectedLoss is the loss that a prediction would have on average if its
// calibrated probabilities were true. False: the task has no probabilities, the
// reference too few rows to calibrate by, or the prediction is none.
func (r *Reference) ExpectedLoss(prediction []float64) (float64, bool) {
	curves := r.Calibration.Curves
	if len(curves) == 0 || len(prediction) != len(curves) {
		return 0, false
	}
	for _, p := range prediction {
		if !(p >= 0 && p <= 1) {
			return 0, false
		}
	}
	if len(curves) == 1 {
		p := prediction[0]
		q := curves[0].At(p)
		return q*surprise(p) + (1-q)*complementSurprise(p), true
	}
	var loss, sum float64
	for i, p := range prediction {
		q := curves[i].At(p)
		loss += q * surprise(p)
		sum += q
	}
	if sum <= 0 {
		return 0, false
	}
	return loss / sum, true
}

// clip and the two functions are as internal/gate/metric measures log-loss, in
// nats; a test compares them.
const clip = 1.0 / (1 << 52)

func surprise(p float64) float64           { return -math.Log(min(max(p, clip), 1-clip)) }
func complementSurprise(p float64) float64 { return -math.Log1p(-min(max(p, clip), 1-clip)) }

const (
	// minCalibration is the least rows to calibrate by; below it the curve would
	// say more about chance than about the model.
	minCalibration = 200
	// maxKnots bounds the points of a curve. Pools grow with the cube root of the
	// rows, so that it takes millions of rows to come here.
	maxKnots = 1000
)

// calibrate fits the curves to the reference's predictions (rows × width) and
// labels.
func calibrate(task models.Task, width int, predictions, labels []float64) Calibration {
	if task == models.TaskRegression || len(labels) < minCalibration {
		return Calibration{}
	}
	curves := make([]Curve, width)
	for k := range curves {
		points := make([]point, len(labels))
		for row, label := range labels {
			points[row] = point{x: predictions[row*width+k], y: hit(width, k, label), weight: 1}
		}
		curves[k] = isotonic(points)
	}
	return Calibration{Curves: curves}
}

func hit(width, class int, label float64) float64 {
	if width == 1 && label == 1 || width > 1 && label == float64(class) {
		return 1
	}
	return 0
}

type point struct{ x, y, weight float64 }

// isotonic is the rising function with the least squared error: pool adjacent
// violators. Each pool becomes its two ends.
func isotonic(points []point) Curve {
	slices.SortFunc(points, func(a, b point) int {
		switch {
		case a.x < b.x:
			return -1
		case a.x > b.x:
			return 1
		}
		return 0
	})
	points = gather(points)
	type pool struct{ low, high, mean, weight float64 }
	var pools []pool
	for _, p := range points {
		next := pool{p.x, p.x, p.y, p.weight}
		for len(pools) > 0 && pools[len(pools)-1].mean >= next.mean {
			last := pools[len(pools)-1]
			pools = pools[:len(pools)-1]
			weight := last.weight + next.weight
			next = pool{last.low, next.high, (last.mean*last.weight + next.mean*next.weight) / weight, weight}
		}
		pools = append(pools, next)
	}
	var c Curve
	for _, p := range pools {
		c.X, c.Y = append(c.X, p.low), append(c.Y, p.mean)
		if p.high > p.low {
			c.X, c.Y = append(c.X, p.high), append(c.Y, p.mean)
		}
	}
	return c.thinOut()
}

// gather puts equal predictions together.
func gather(sorted []point) []point {
	var out []point
	for _, p := range sorted {
		if last := len(out) - 1; last >= 0 && p.x == out[last].x {
			o := &out[last]
			o.weight += p.weight
			o.y += (p.y - o.y) * p.weight / o.weight
			continue
		}
		out = append(out, p)
	}
	return out
}

// thinOut keeps at most maxKnots points, evenly.
func (c Curve) thinOut() Curve {
	n := len(c.X)
	if n <= maxKnots {
		return c
	}
	var out Curve
	for k := range maxKnots {
		i := k * (n - 1) / (maxKnots - 1)
		out.X, out.Y = append(out.X, c.X[i]), append(out.Y, c.Y[i])
	}
	return out
}
