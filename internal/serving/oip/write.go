package oip

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// NamedTensor is a tensor in a message.
type NamedTensor struct {
	Name string
	Tensor
	// Binary puts the values of an output after the JSON, in binary form.
	Binary bool
}

// Response is an inference reply to be written.
type Response struct {
	Model   string
	Version string // left out when empty
	ID      string // left out when empty
	Outputs []NamedTensor
}

// AppendResponse appends the reply to dst: its JSON, and after it the binary
// data of the outputs that are Binary. jsonLength is 0 when there are none, and
// otherwise what belongs in the header [HeaderLength]. A value that JSON can't
// hold (NaN, ±Inf, bytes that are not UTF-8) is an error that names the output.
func AppendResponse(dst []byte, r Response) (body []byte, jsonLength int, err error) {
	start, binary := len(dst), false
	dst = append(dst, `{"model_name":`...)
	dst = appendString(dst, r.Model)
	if r.Version != "" {
		dst = append(dst, `,"model_version":`...)
		dst = appendString(dst, r.Version)
	}
	if r.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, r.ID)
	}
	dst = append(dst, `,"outputs":[`...)
	for i, t := range r.Outputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		binary = binary || t.Binary
		if dst, err = appendTensor(dst, t); err != nil {
			return nil, 0, fmt.Errorf("output %q: %w", t.Name, err)
		}
	}
	dst = append(dst, ']', '}')
	if !binary {
		return dst, 0, nil
	}
	jsonLength = len(dst) - start
	for _, t := range r.Outputs {
		if !t.Binary {
			continue
		}
		if dst, err = AppendBinary(dst, t.Tensor); err != nil {
			return nil, 0, fmt.Errorf("output %q: %w", t.Name, err)
		}
	}
	return dst, jsonLength, nil
}

// AppendRequest appends an inference request to dst, all of it as JSON. A value
// that JSON can't hold is an error that names the input.
func AppendRequest(dst []byte, id string, inputs []NamedTensor) ([]byte, error) {
	dst = append(dst, '{')
	if id != "" {
		dst = append(dst, `"id":`...)
		dst = appendString(dst, id)
		dst = append(dst, ',')
	}
	dst = append(dst, `"inputs":[`...)
	for i, t := range inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		t.Binary = false
		if dst, err = appendTensor(dst, t); err != nil {
			return nil, fmt.Errorf("input %q: %w", t.Name, err)
		}
	}
	return append(dst, ']', '}'), nil
}

func appendTensor(dst []byte, t NamedTensor) ([]byte, error) {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, t.Name)
	dst = append(dst, `,"datatype":"`...)
	dst = append(dst, t.Datatype...)
	dst = append(dst, `","shape":`...)
	dst = appendList(dst, t.Shape, appendInt[int64])
	if t.Binary {
		dst = append(dst, `,"parameters":{"binary_data_size":`...)
		return append(strconv.AppendInt(dst, int64(BinarySize(t.Tensor)), 10), '}', '}'), nil
	}
	dst = append(dst, `,"data":`...)
	dst, err := appendValues(dst, t.Data, false)
	if err != nil {
		return nil, err
	}
	return append(dst, '}'), nil
}

// appendLossy is appendValues for readers: what JSON can't hold is null or
// U+FFFD.
func appendLossy(dst []byte, values any) ([]byte, error) { return appendValues(dst, values, true) }

// appendValues appends a tensor's values as one flat list.
func appendValues(dst []byte, values any, lossy bool) ([]byte, error) {
	switch data := values.(type) {
	case []string:
		if i := slices.IndexFunc(data, func(s string) bool { return !utf8.ValidString(s) }); i >= 0 && !lossy {
			return nil, fmt.Errorf("value number %d is not UTF-8 text, which JSON can't hold; use binary data", i+1)
		}
		dst = appendList(dst, data, appendString)
	case []bool:
		dst = appendList(dst, data, strconv.AppendBool)
	case []uint8:
		dst = appendList(dst, data, appendUint[uint8])
	case []uint16:
		dst = appendList(dst, data, appendUint[uint16])
	case []uint32:
		dst = appendList(dst, data, appendUint[uint32])
	case []uint64:
		dst = appendList(dst, data, appendUint[uint64])
	case []int8:
		dst = appendList(dst, data, appendInt[int8])
	case []int16:
		dst = appendList(dst, data, appendInt[int16])
	case []int32:
		dst = appendList(dst, data, appendInt[int32])
	case []int64:
		dst = appendList(dst, data, appendInt[int64])
	case []Half:
		return appendFloats(dst, data, 32, lossy, func(h Half) float64 { return float64(h.Float32()) })
	case []float32:
		return appendFloats(dst, data, 32, lossy, func(f float32) float64 { return float64(f) })
	case []float64:
		return appendFloats(dst, data, 64, lossy, func(f float64) float64 { return f })
	default:
		return nil, fmt.Errorf("data of type %T has no JSON form", values)
	}
	return dst, nil
}

// appendFloats writes the fewest digits that give the same number of that many
// bits when read. lossy writes null for what JSON can't hold.
func appendFloats[T any](dst []byte, values []T, bits int, lossy bool, float func(T) float64) ([]byte, error) {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch f := float(v); {
		case !math.IsNaN(f) && !math.IsInf(f, 0):
			dst = strconv.AppendFloat(dst, f, 'g', -1, bits)
		case lossy:
			dst = append(dst, "null"...)
		default:
			return nil, fmt.Errorf("value number %d is %v, which JSON can't hold; use binary data", i+1, f)
		}
	}
	return append(dst, ']'), nil
}

func appendUint[T uint8 | uint16 | uint32 | uint64](dst []byte, n T) []byte {
	return strconv.AppendUint(dst, uint64(n), 10)
}

func appendInt[T int8 | int16 | int32 | int64](dst []byte, n T) []byte {
	return strconv.AppendInt(dst, int64(n), 10)
}

func appendList[T any](dst []byte, values []T, one func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, v)
	}
	return append(dst, ']')
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < 0x20 || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always has a JSON form
				return append(dst, `""`...)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// AppendError appends the JSON of a failed request's answer to dst.
func AppendError(dst []byte, message string) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendString(dst, message)
	return append(dst, '}')
}
