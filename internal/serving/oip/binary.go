package oip

import (
	"encoding/binary"
	"fmt"
)

// The binary form of a tensor, in gRPC's raw contents and in the binary tensor
// data extension of HTTP: the values in row-major order, little-endian, without
// padding. BOOL takes one byte. An element of BYTES is preceded by its length
// in four bytes.

// lengthBytes is the size of the length before an element of BYTES.
const lengthBytes = 4

// AppendBinary appends the tensor's binary form to dst.
func AppendBinary(dst []byte, t Tensor) ([]byte, error) {
	switch data := t.Data.(type) {
	case []string:
		for _, s := range data {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
			dst = append(dst, s...)
		}
		return dst, nil
	case []Half:
		for _, h := range data {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(h))
		}
		return dst, nil
	case []bool, []uint8, []uint16, []uint32, []uint64, []int8, []int16, []int32, []int64, []float32, []float64:
		return binary.Append(dst, binary.LittleEndian, data)
	default:
		return nil, fmt.Errorf("data of type %T has no binary form", t.Data)
	}
}

// BinarySize is the length of the tensor's binary form.
func BinarySize(t Tensor) int {
	data, ok := t.Data.([]string)
	if !ok {
		return t.Len() * width(t.Datatype)
	}
	size := lengthBytes * len(data)
	for _, s := range data {
		size += len(s)
	}
	return size
}

// DecodeBinary reads a tensor's binary form. The tensor does not share raw's
// memory.
func DecodeBinary(datatype string, shape []int64, raw []byte) (Tensor, error) {
	t := Tensor{Datatype: datatype, Shape: shape}
	size := Size(shape)
	one := width(datatype)
	switch {
	case size < 0:
		return t, fmt.Errorf("shape %s does not fit the data", ShapeText(shape))
	case datatype == Bytes:
		data, err := decodeElements(raw, size)
		t.Data = data
		return t, err
	case one == 0:
		return t, unknownDatatype(datatype)
	case size*one != len(raw):
		return t, fmt.Errorf("%d bytes of data, but shape %s of %s takes %d", len(raw), ShapeText(shape), datatype, size*one)
	}
	t.Data = Make(datatype, size)
	if halves, ok := t.Data.([]Half); ok {
		for i := range halves {
			halves[i] = Half(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		return t, nil
	}
	_, err := binary.Decode(raw, binary.LittleEndian, t.Data)
	return t, err
}

func decodeElements(raw []byte, size int) ([]string, error) {
	// An absurd shape must not allocate memory that its data can't fill.
	if size > len(raw)/lengthBytes {
		return nil, fmt.Errorf("%d bytes of data can't hold %d elements of BYTES, each of which has a length of %d bytes before it", len(raw), size, lengthBytes)
	}
	values := make([]string, size)
	for i := range values {
		if len(raw) < lengthBytes {
			return nil, fmt.Errorf("value number %d: the data ends early", i+1)
		}
		n := binary.LittleEndian.Uint32(raw)
		raw = raw[lengthBytes:]
		if uint64(n) > uint64(len(raw)) {
			return nil, fmt.Errorf("value number %d: its length is %d, but %d bytes are left", i+1, n, len(raw))
		}
		values[i] = string(raw[:n])
		raw = raw[n:]
	}
	if len(raw) > 0 {
		return nil, fmt.Errorf("%d bytes are left after %d values", len(raw), size)
	}
	return values, nil
}
