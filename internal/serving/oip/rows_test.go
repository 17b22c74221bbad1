package oip

import (
	"reflect"
	"testing"
)

func TestRowsUndoesJoinRows(t *testing.T) {
	parts := []Tensor{
		{Int16, []int64{2, 2}, []int16{1, 2, 3, 4}},
		{Int16, []int64{0, 2}, []int16{}},
		{Int16, []int64{1, 2}, []int16{5, 6}},
	}
	joined := JoinRows(parts)
	if want := (Tensor{Int16, []int64{3, 2}, []int16{1, 2, 3, 4, 5, 6}}); !reflect.DeepEqual(joined, want) {
		t.Fatalf("joined %v, want %v", joined, want)
	}
	from := int64(0)
	for _, want := range parts {
		if got := Rows(joined, from, from+want.Shape[0]); !reflect.DeepEqual(got, want) {
			t.Errorf("rows from %d: %v, want %v", from, got, want)
		}
		from += want.Shape[0]
	}
	if cap(Rows(joined, 0, 1).Data.([]int16)) != 2 {
		t.Error("appending to one part would write into the next")
	}
}
