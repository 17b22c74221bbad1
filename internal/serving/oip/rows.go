package oip

import "reflect"

// JoinRows puts tensors of one datatype together along their first dimension.
// Their other dimensions must be equal.
func JoinRows(tensors []Tensor) Tensor {
	first := tensors[0]
	rows, values := int64(0), 0
	for _, t := range tensors {
		rows += t.Shape[0]
		values += t.Len()
	}
	data := reflect.MakeSlice(reflect.TypeOf(first.Data), 0, values)
	for _, t := range tensors {
		data = reflect.AppendSlice(data, reflect.ValueOf(t.Data))
	}
	return Tensor{Datatype: first.Datatype, Shape: withRows(first.Shape, rows), Data: data.Interface()}
}

// Rows is the part of a tensor from one index of its first dimension up to
// another. It shares the tensor's memory.
func Rows(t Tensor, from, to int64) Tensor {
	each := int64(0)
	if t.Shape[0] > 0 {
		each = int64(t.Len()) / t.Shape[0]
	}
	data := reflect.ValueOf(t.Data).Slice3(int(from*each), int(to*each), int(to*each))
	return Tensor{Datatype: t.Datatype, Shape: withRows(t.Shape, to-from), Data: data.Interface()}
}

func withRows(shape []int64, rows int64) []int64 {
	return append([]int64{rows}, shape[1:]...)
}
