package oip

import (
	"math"
	"reflect"
	"strconv"
	"strings"
)

// The datatypes of the protocol.
const (
	Bool   = "BOOL"
	Uint8  = "UINT8"
	Uint16 = "UINT16"
	Uint32 = "UINT32"
	Uint64 = "UINT64"
	Int8   = "INT8"
	Int16  = "INT16"
	Int32  = "INT32"
	Int64  = "INT64"
	FP16   = "FP16"
	FP32   = "FP32"
	FP64   = "FP64"
	Bytes  = "BYTES"
)

// Datatypes are all of them, in the specification's order.
var Datatypes = []string{Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, FP16, FP32, FP64, Bytes}

// Tensor is a decoded tensor. Data has the values in row-major order: []bool,
// []uint8 to []uint64, []int8 to []int64, []Half for FP16, []float32,
// []float64, or []string for BYTES.
type Tensor struct {
	Datatype string
	Shape    []int64
	Data     any
}

// Make returns size zero values of a datatype, and nil for a datatype that the
// protocol does not know.
func Make(datatype string, size int) any {
	switch datatype {
	case Bool:
		return make([]bool, size)
	case Uint8:
		return make([]uint8, size)
	case Uint16:
		return make([]uint16, size)
	case Uint32:
		return make([]uint32, size)
	case Uint64:
		return make([]uint64, size)
	case Int8:
		return make([]int8, size)
	case Int16:
		return make([]int16, size)
	case Int32:
		return make([]int32, size)
	case Int64:
		return make([]int64, size)
	case FP16:
		return make([]Half, size)
	case FP32:
		return make([]float32, size)
	case FP64:
		return make([]float64, size)
	case Bytes:
		return make([]string, size)
	default:
		return nil
	}
}

// Len is the number of values.
func (t Tensor) Len() int {
	switch data := t.Data.(type) { // the most frequent ones without reflection
	case []string:
		return len(data)
	case []int64:
		return len(data)
	case []float32:
		return len(data)
	case []float64:
		return len(data)
	case nil:
		return 0
	default:
		return reflect.ValueOf(data).Len()
	}
}

// width is the size of one binary value in bytes; 0: it varies, or the
// datatype is unknown.
func width(datatype string) int {
	switch datatype {
	case Bool, Uint8, Int8:
		return 1
	case Uint16, Int16, FP16:
		return 2
	case Uint32, Int32, FP32:
		return 4
	case Uint64, Int64, FP64:
		return 8
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

// ShapeText writes a shape as in messages: [-1,1].
func ShapeText(shape []int64) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.FormatInt(n, 10)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// intern spares an allocation for the datatypes of the protocol.
func intern(b []byte) string {
	for _, datatype := range Datatypes {
		if string(b) == datatype {
			return datatype
		}
	}
	return string(b)
}
