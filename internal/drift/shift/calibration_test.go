package shift

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// TestIsotonic: the textbook example of pooling adjacent violators.
func TestIsotonic(t *testing.T) {
	var points []point
	for i, y := range []float64{1, 2, 3, 3, 1, 6, 7, 8, 11, 9, 10} {
		points = append(points, point{x: float64(i), y: y, weight: 1})
	}
	got := isotonic(points)
	want := Curve{
		X: []float64{0, 1, 2, 4, 5, 6, 7, 8, 10},
		Y: []float64{1, 2, 7.0 / 3, 7.0 / 3, 6, 7, 8, 10, 10},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for x, want := range map[float64]float64{-5: 1, 0.5: 1.5, 3: 7.0 / 3, 4.5: (7.0/3 + 6) / 2, 99: 10} {
		near(t, "curve", got.At(x), want, 1e-12)
	}
}

// TestExpectedLoss: a model that is too sure of itself expects too little loss;
// calibrated, what is expected is what comes, as long as the world is the same.
func TestExpectedLoss(t *testing.T) {
	for _, c := range []struct {
		task  models.Task
		width int
	}{{models.TaskBinary, 1}, {models.TaskMulticlass, 3}} {
		r := rand.New(rand.NewPCG(4, 4))
		const n = 20_000
		var predictions, labels []float64
		for range n {
			odds := 1.5 * r.NormFloat64()
			sure := func(z float64) float64 { return 1 / (1 + math.Exp(-2.5*z)) }
			one := 0.0
			if r.Float64() < 1/(1+math.Exp(-odds)) {
				one = 1
			}
			labels = append(labels, one)
			if p := sure(odds); c.width == 1 {
				predictions = append(predictions, p)
			} else {
				predictions = append(predictions, 0.9*(1-p), 0.9*p, 0.1)
			}
		}
		ref := &Reference{Task: c.task, Width: c.width, Calibration: calibrate(c.task, c.width, predictions, labels)}
		var expected, believed, came float64
		for i, label := range labels {
			answer := predictions[i*c.width:][:c.width]
			loss, ok := ref.ExpectedLoss(answer)
			if !ok {
				t.Fatal("no expectation")
			}
			expected += loss / n
			came += metric.Loss(c.task, answer, label) / n
			for class := range max(2, c.width) {
				p := 1 - answer[0]
				if c.width > 1 {
					p = answer[class]
				} else if class == 1 {
					p = answer[0]
				}
				believed += p * metric.Loss(c.task, answer, float64(class)) / n
			}
		}
		t.Logf("%s: came %.4f, expected %.4f, the model itself believes %.4f; %d points", c.task, came, expected, believed, len(ref.Calibration.Curves[0].X))
		near(t, "expected loss", expected, came, 0.01*came) // in-sample curves are a little too sure
		if believed > 0.9*came && c.width == 1 {
			t.Errorf("the model is not too sure: %v of %v", believed, came)
		}
	}
}

func TestNoExpectation(t *testing.T) {
	few := &Reference{Calibration: calibrate(models.TaskBinary, 1, []float64{0.5}, []float64{1})}
	if _, ok := few.ExpectedLoss([]float64{0.5}); ok {
		t.Error("one row calibrated a model")
	}
	flat := &Reference{Calibration: Calibration{Curves: []Curve{{X: []float64{0.5}, Y: []float64{0.4}}}}}
	for _, prediction := range [][]float64{{math.NaN()}, {1.5}, {}, {0.5, 0.5}} {
		if _, ok := flat.ExpectedLoss(prediction); ok {
			t.Errorf("%v has an expectation", prediction)
		}
	}
	loss, ok := flat.ExpectedLoss([]float64{0})
	near(t, "a sure model", loss, 0.4*metric.Loss(models.TaskBinary, []float64{0}, 1)+0.6*metric.Loss(models.TaskBinary, []float64{0}, 0), 1e-9)
	if !ok {
		t.Error("no expectation")
	}
}
