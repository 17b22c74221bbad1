package oip

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The datatypes that a model server here can feed and read.
const (
	Bytes = "BYTES"
	Bool  = "BOOL"
	Int32 = "INT32"
	Int64 = "INT64"
	FP32  = "FP32"
	FP64  = "FP64"
)

// Tensor is a decoded tensor. Data is []string for BYTES, []bool, []int32,
// []int64, []float32 or []float64, in row-major order.
type Tensor struct {
	Datatype string
	Shape    []int64
	Data     any
}

// Len is the number of values.
func (t Tensor) Len() int {
	switch data := t.Data.(type) {
	case []string:
		return len(data)
	case []bool:
		return len(data)
	case []int32:
		return len(data)
	case []int64:
		return len(data)
	case []float32:
		return len(data)
	case []float64:
		return len(data)
	default:
		return 0
	}
}

// Size is the number of values of a shape, and -1 if it has an unknown
// dimension or more values than fit an int.
func Size(shape []int64) int {
	size := int64(1)
	for _, n := range shape {
		if n < 0 || (n > 0 && size > math.MaxInt32/n) {
			return -1
		}
		size *= n
	}
	return int(size)
}

// Decode reads the values. The datatype must be one of the constants above.
func (t RawTensor) Decode() (Tensor, error) {
	size := Size(t.Shape)
	// Each value takes at least one byte and a comma: an absurd shape must not
	// allocate memory that its data can't fill.
	if size < 0 || size > len(t.Data) {
		return Tensor{}, fmt.Errorf("shape %v does not fit the data", t.Shape)
	}
	out := Tensor{Datatype: t.Datatype, Shape: t.Shape}
	var err error
	switch t.Datatype {
	case Bytes:
		out.Data, err = decodeValues(t.Data, size, (*cursor).stringValue)
	case Bool:
		out.Data, err = decodeValues(t.Data, size, (*cursor).boolValue)
	case Int32:
		out.Data, err = decodeValues(t.Data, size, func(c *cursor) (int32, error) {
			n, err := c.intValue(32)
			return int32(n), err
		})
	case Int64:
		out.Data, err = decodeValues(t.Data, size, func(c *cursor) (int64, error) { return c.intValue(64) })
	case FP32:
		out.Data, err = decodeValues(t.Data, size, func(c *cursor) (float32, error) {
			f, err := c.floatValue(32)
			return float32(f), err
		})
	case FP64:
		out.Data, err = decodeValues(t.Data, size, func(c *cursor) (float64, error) { return c.floatValue(64) })
	default:
		err = fmt.Errorf("datatype %q is not supported; use one of %s", t.Datatype,
			strings.Join([]string{Bool, Int32, Int64, FP32, FP64, Bytes}, ", "))
	}
	return out, err
}

func decodeValues[T any](text []byte, size int, value func(*cursor) (T, error)) ([]T, error) {
	c := &cursor{text: text}
	values := make([]T, 0, size)
	err := c.flatten(0, func() error {
		v, err := value(c)
		if err != nil {
			return fmt.Errorf("value number %d: %w", len(values)+1, err)
		}
		values = append(values, v)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(values) != size:
		return nil, fmt.Errorf("%d values, but the shape has room for %d", len(values), size)
	}
	return values, nil
}

func (c *cursor) stringValue() (string, error) {
	if c.peek() != '"' {
		token, _ := c.skip(0)
		return "", fmt.Errorf("%s is not a string", shorten(token))
	}
	b, err := c.stringBytes()
	return string(b), err
}

func (c *cursor) boolValue() (bool, error) {
	token, err := c.skip(0)
	switch {
	case err != nil:
		return false, err
	case string(token) == "true":
		return true, nil
	case string(token) == "false":
		return false, nil
	}
	return false, fmt.Errorf("%s is not true or false", shorten(token))
}

func (c *cursor) intValue(bits int) (int64, error) {
	token, err := c.skip(0)
	if err != nil {
		return 0, err
	}
	if !isNumber(token) {
		return 0, fmt.Errorf("%s is not an integer", shorten(token))
	}
	n, err := strconv.ParseInt(string(token), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s is not an integer of %d bits", shorten(token), bits)
	}
	return n, nil
}

func (c *cursor) floatValue(bits int) (float64, error) {
	token, err := c.skip(0)
	if err != nil {
		return 0, err
	}
	if !isNumber(token) {
		return 0, fmt.Errorf("%s is not a number", shorten(token))
	}
	f, err := strconv.ParseFloat(string(token), bits)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number of %d bits", shorten(token), bits)
	}
	return f, nil
}

// isNumber reports whether token follows JSON's grammar of numbers, which is
// narrower than strconv's: no hexadecimal, underscore, leading '+' or
// infinity.
func isNumber(token []byte) bool {
	rest := token
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	whole := digits(rest)
	if whole == 0 || (whole > 1 && rest[0] == '0') {
		return false
	}
	rest = rest[whole:]
	if len(rest) > 0 && rest[0] == '.' {
		n := digits(rest[1:])
		if n == 0 {
			return false
		}
		rest = rest[1+n:]
	}
	if len(rest) > 0 && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		n := digits(rest)
		if n == 0 {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

// digits counts the decimal digits that text starts with.
func digits(text []byte) int {
	for i, b := range text {
		if b < '0' || b > '9' {
			return i
		}
	}
	return len(text)
}

func shorten(token []byte) string {
	if len(token) > 40 {
		return string(token[:40]) + "…"
	}
	return string(token)
}

// intern spares an allocation for the datatypes that occur in practice.
func intern(b []byte) string {
	switch string(b) {
	case Bytes:
		return Bytes
	case Bool:
		return Bool
	case Int32:
		return Int32
	case Int64:
		return Int64
	case FP32:
		return FP32
	case FP64:
		return FP64
	}
	return string(b)
}

// ShapeText writes a shape as in messages: [-1,1].
func ShapeText(shape []int64) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.FormatInt(n, 10)
	}
	return "[" + strings.Join(parts, ",") + "]"
}
