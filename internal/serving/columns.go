package serving

import (
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// Columns are rows column by column: []string, []bool, []int32, []int64,
// []float32 or []float64, all of the same length.
type Columns map[string]any

// Feed turns the rows into a model's inputs, by name. Columns that the model
// does not take are left alone. Numbers and booleans are cast to the datatype
// the port wants when every value survives: integers become floats up to 2^24
// (FP32) or 2^53 (FP64), whole floats become integers, a float64 becomes FP32
// with the rounding that FP32 implies. Anything else is an *InputError.
func Feed(ports []models.ModelPort, columns Columns) (map[string]Tensor, error) {
	inputs := make(map[string]Tensor, len(ports))
	rows, rowsOf := -1, ""
	for _, port := range ports {
		column, ok := columns[port.Name]
		if !ok {
			return nil, inputErrorf(port.Name, "is not a column of the data")
		}
		data, err := castColumn(port, column)
		if err != nil {
			return nil, err
		}
		tensor := Tensor{Datatype: port.Datatype, Data: data}
		n := tensor.Len()
		if rowsOf != "" && n != rows {
			return nil, inputErrorf(port.Name, "has %d rows, but column %q has %d", n, rowsOf, rows)
		}
		rows, rowsOf = n, port.Name
		if tensor.Shape, err = columnShape(port, n); err != nil {
			return nil, err
		}
		inputs[port.Name] = tensor
	}
	return inputs, nil
}

// columnShape is [rows] or [rows,1,…]: one value of a column per row.
func columnShape(port models.ModelPort, rows int) ([]int64, error) {
	shape := slices.Clone(port.Shape)
	for i, n := range shape {
		switch {
		case i == 0 && (n == -1 || n == int64(rows)):
			shape[i] = int64(rows)
		case i > 0 && (n == -1 || n == 1):
			shape[i] = 1
		default:
			return nil, inputErrorf(port.Name, "has shape %s in the model; a column can feed [-1] or [-1,1] only", oip.ShapeText(port.Shape))
		}
	}
	if len(shape) == 0 {
		return nil, inputErrorf(port.Name, "is a scalar in the model; a column can feed [-1] or [-1,1] only")
	}
	return shape, nil
}

func castColumn(port models.ModelPort, column any) (any, error) {
	switch values := column.(type) {
	case []string:
		if port.Datatype != oip.Bytes {
			return nil, inputErrorf(port.Name, "is a string column, but the model needs %s", port.Datatype)
		}
		return values, nil
	case []bool:
		if port.Datatype == oip.Bool {
			return values, nil
		}
		ints := make([]int64, len(values))
		for i, v := range values {
			if v {
				ints[i] = 1
			}
		}
		return castNumbers(port, ints)
	case []int32:
		return castNumbers(port, values)
	case []int64:
		return castNumbers(port, values)
	case []float32:
		return castNumbers(port, values)
	case []float64:
		return castNumbers(port, values)
	default:
		return nil, inputErrorf(port.Name, "is a column of type %T, which can't be fed", column)
	}
}

type number interface {
	int32 | int64 | float32 | float64
}

func castNumbers[From number](port models.ModelPort, values []From) (any, error) {
	switch port.Datatype {
	case oip.Int32:
		return castEach[From, int32](port, values)
	case oip.Int64:
		return castEach[From, int64](port, values)
	case oip.FP32:
		return castEach[From, float32](port, values)
	case oip.FP64:
		return castEach[From, float64](port, values)
	default:
		return nil, inputErrorf(port.Name, "is a number column, but the model needs %s", port.Datatype)
	}
}

func castEach[From, To number](port models.ModelPort, values []From) ([]To, error) {
	if same, ok := any(values).([]To); ok {
		return same, nil
	}
	out := make([]To, len(values))
	for i, v := range values {
		if !survives[From, To](v) {
			return nil, inputErrorf(port.Name, "has the value %v in row %d, which %s can't hold", v, i, port.Datatype)
		}
		out[i] = To(v)
	}
	return out, nil
}

// survives reports whether To holds v. It never converts a value outside To's
// range, the result of which Go leaves to the machine.
func survives[From, To number](v From) bool {
	f := float64(v)
	switch any(To(0)).(type) {
	case int32:
		return f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32
	case int64:
		// Not ≤: the nearest float64 of MaxInt64 is 2^63, which is too large.
		_, integer := any(v).(int32)
		return integer || (f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63)
	case float32:
		if isFloat(v) { // rounding is what FP32 means; overflow is a loss
			return math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) <= math.MaxFloat32
		}
		return within(int64(v), 1<<24)
	default:
		return isFloat(v) || within(int64(v), 1<<53)
	}
}

func within(n, limit int64) bool { return -limit <= n && n <= limit }

func isFloat[N number](v N) bool {
	switch any(v).(type) {
	case float32, float64:
		return true
	}
	return false
}
