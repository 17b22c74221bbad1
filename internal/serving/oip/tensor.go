package oip

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// Decode reads the values. The tensor does not share the message's memory.
func (t RawTensor) Decode() (Tensor, error) {
	if t.Data == nil {
		return DecodeBinary(t.Datatype, t.Shape, t.Binary)
	}
	size := Size(t.Shape)
	if size < 0 {
		return Tensor{}, fmt.Errorf("shape %s does not fit the data", ShapeText(t.Shape))
	}
	out := Tensor{Datatype: t.Datatype, Shape: t.Shape}
	var err error
	switch t.Datatype {
	case Bool:
		out.Data, err = decodeValues(t.Data, size, (*cursor).boolValue)
	case Uint8:
		out.Data, err = decodeValues(t.Data, size, uintValue[uint8])
	case Uint16:
		out.Data, err = decodeValues(t.Data, size, uintValue[uint16])
	case Uint32:
		out.Data, err = decodeValues(t.Data, size, uintValue[uint32])
	case Uint64:
		out.Data, err = decodeValues(t.Data, size, uintValue[uint64])
	case Int8:
		out.Data, err = decodeValues(t.Data, size, intValue[int8])
	case Int16:
		out.Data, err = decodeValues(t.Data, size, intValue[int16])
	case Int32:
		out.Data, err = decodeValues(t.Data, size, intValue[int32])
	case Int64:
		out.Data, err = decodeValues(t.Data, size, intValue[int64])
	case FP16:
		out.Data, err = decodeValues(t.Data, size, (*cursor).halfValue)
	case FP32:
		out.Data, err = decodeValues(t.Data, size, floatValue[float32])
	case FP64:
		out.Data, err = decodeValues(t.Data, size, floatValue[float64])
	case Bytes:
		out.Data, err = decodeValues(t.Data, size, (*cursor).stringValue)
	default:
		err = unknownDatatype(t.Datatype)
	}
	return out, err
}

func unknownDatatype(datatype string) error {
	return fmt.Errorf("datatype %q is not supported; use one of %s", datatype, strings.Join(Datatypes, ", "))
}

// decodeValues reads nested or flat lists of size values.
func decodeValues[T any](text []byte, size int, value func(*cursor) (T, error)) ([]T, error) {
	c := cursor{text: text}
	// Each value takes at least one byte and a comma: an absurd shape must not
	// allocate memory that its data can't fill.
	values, err := decodeList(&c, 0, make([]T, 0, min(size, len(text)/2)), size, value)
	switch {
	case err != nil:
		return nil, err
	case len(values) != size:
		return nil, fmt.Errorf("%d values, but the shape has room for %d", len(values), size)
	}
	return values, nil
}

func decodeList[T any](c *cursor, depth int, values []T, size int, value func(*cursor) (T, error)) ([]T, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	for more, err := c.open('['); ; more, err = c.next(']') {
		if err != nil || !more {
			return values, err
		}
		if c.peek() == '[' {
			if values, err = decodeList(c, depth+1, values, size, value); err != nil {
				return nil, err
			}
			continue
		}
		if len(values) == size {
			return nil, fmt.Errorf("more values than the shape has room for: %d", size)
		}
		v, err := value(c)
		if err != nil {
			return nil, fmt.Errorf("value number %d: %w", len(values)+1, err)
		}
		values = append(values, v)
	}
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

// number consumes a value that must follow JSON's grammar of numbers.
func (c *cursor) number(kind string) (string, error) {
	token, err := c.skip(0)
	if err != nil {
		return "", err
	}
	if !isNumber(token) {
		return "", fmt.Errorf("%s is not %s", shorten(token), kind)
	}
	// The strconv functions do not keep their argument.
	return unsafe.String(unsafe.SliceData(token), len(token)), nil
}

func intValue[T int8 | int16 | int32 | int64](c *cursor) (T, error) {
	token, err := c.number("an integer")
	if err != nil {
		return 0, err
	}
	bits := int(unsafe.Sizeof(T(0))) * 8
	n, err := strconv.ParseInt(token, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s is not an integer of %d bits", shorten([]byte(token)), bits)
	}
	return T(n), nil
}

func uintValue[T uint8 | uint16 | uint32 | uint64](c *cursor) (T, error) {
	token, err := c.number("an integer")
	if err != nil {
		return 0, err
	}
	bits := int(unsafe.Sizeof(T(0))) * 8
	n, err := strconv.ParseUint(token, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s is not an unsigned integer of %d bits", shorten([]byte(token)), bits)
	}
	return T(n), nil
}

func floatValue[T float32 | float64](c *cursor) (T, error) {
	token, err := c.number("a number")
	if err != nil {
		return 0, err
	}
	bits := int(unsafe.Sizeof(T(0))) * 8
	f, err := strconv.ParseFloat(token, bits)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number of %d bits", shorten([]byte(token)), bits)
	}
	return T(f), nil
}

func (c *cursor) halfValue() (Half, error) {
	f, err := floatValue[float64](c)
	if err != nil {
		return 0, err
	}
	h := HalfOf(f)
	if h&0x7fff == 0x7c00 {
		return 0, fmt.Errorf("%v is not a number of 16 bits", f)
	}
	return h, nil
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
