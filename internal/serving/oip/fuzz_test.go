package oip

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"runtime"
	"strconv"
	"testing"
)

// allocatedBy is the memory that f allocates. Other goroutines of the test may
// add to it, so the limits are generous.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bounded fails when reading n bytes takes more than a multiple of them: a
// short body must not claim much memory.
func bounded(t *testing.T, n int, f func()) {
	t.Helper()
	if used, limit := allocatedBy(f), uint64(1<<20+128*n); used > limit {
		t.Fatalf("%d bytes made the reader allocate %d, more than %d", n, used, limit)
	}
}

// FuzzScanRequest holds the hand-written reader against encoding/json: what it
// takes must be taken there too, with the same values, and survive being
// written again.
func FuzzScanRequest(f *testing.F) {
	f.Add([]byte(`{"id":"a","inputs":[{"name":"x","datatype":"FP64","shape":[2],"data":[[1.5],[-2e3]]}]}`), 0)
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["\u00e9\\"]}],"outputs":[{"name":"p","parameters":{"binary_data":true}}]}`), 0)
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"INT16","shape":[2],"parameters":{"binary_data_size":4}}]}abcd`), 93)
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}`+"\x01\x00\x00\x00x"), 93)
	f.Fuzz(func(t *testing.T, body []byte, length int) {
		header := ""
		if length > 0 {
			header = strconv.Itoa(length)
		}
		var request RawRequest
		var err error
		var tensors []NamedTensor
		bounded(t, len(body), func() {
			request, err = ScanBinaryRequest(body, header)
			for _, raw := range request.Inputs {
				if tensor, err := raw.Decode(); err == nil {
					tensors = append(tensors, NamedTensor{Name: raw.Name, Tensor: tensor})
				}
			}
		})
		if err != nil {
			return
		}
		for _, raw := range request.Inputs {
			agreesWithStandardLibrary(t, raw)
		}
		roundTrips(t, tensors)
	})
}

func agreesWithStandardLibrary(t *testing.T, raw RawTensor) {
	t.Helper()
	tensor, err := raw.Decode()
	if err != nil || raw.Data == nil || tensor.Datatype == Uint8 || tensor.Datatype == FP16 { // JSON of []uint8 is base64 there
		return
	}
	flat, err := raw.AppendFlat(nil)
	if err != nil {
		t.Fatalf("%q decodes but does not flatten: %v", raw.Data, err)
	}
	want := reflect.New(reflect.TypeOf(tensor.Data))
	if err := json.Unmarshal(flat, want.Interface()); err != nil {
		t.Fatalf("%q decoded, but encoding/json says %v", flat, err)
	}
	if !reflect.DeepEqual(want.Elem().Interface(), tensor.Data) {
		t.Fatalf("%q: got %v, encoding/json has %v", flat, tensor.Data, want.Elem())
	}
}

// roundTrips writes tensors in both forms and reads them again.
func roundTrips(t *testing.T, tensors []NamedTensor) {
	t.Helper()
	for i, tensor := range tensors {
		text, err := AppendRequest(nil, "id", tensors[i:i+1])
		if err != nil { // JSON can't hold it
			continue
		}
		again, err := ScanRequest(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := decodeAll(t, again.Inputs)[0]; !reflect.DeepEqual(got, tensor) {
			t.Fatalf("%s: got %v, want %v", text, got, tensor)
		}
	}
	for i := range tensors {
		tensors[i].Binary = true
	}
	body, jsonLength, err := AppendResponse(nil, Response{Model: "m", Outputs: tensors})
	if err != nil {
		t.Fatal(err)
	}
	response, err := ScanBinaryResponse(body, strconv.Itoa(max(jsonLength, 1)))
	if len(tensors) == 0 {
		return
	}
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	for i, got := range decodeAll(t, response.Outputs) {
		before, _ := AppendBinary(nil, tensors[i].Tensor) // bits: NaN differs from itself
		after, _ := AppendBinary(nil, got.Tensor)
		if !bytes.Equal(before, after) || got.Name != tensors[i].Name {
			t.Fatalf("got %v, want %v", got, tensors[i])
		}
	}
}

// FuzzDecode gives any text as the values of any tensor.
func FuzzDecode(f *testing.F) {
	for i, data := range []string{`[true,false]`, `[1,-0]`, `[[1],[2]]`, `[1e3,0.5]`, `["a","\ud83d\ude00"]`, `[[[[]]],[]]`, `[1,`, `[null]`, `[65519.99]`} {
		f.Add([]byte(data), uint8(i), int64(2), int64(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, rows, columns int64) {
		raw := RawTensor{Name: "x", Datatype: Datatypes[int(kind)%len(Datatypes)], Shape: []int64{rows, columns}, Data: append([]byte{}, data...)}
		var tensor Tensor
		var err error
		bounded(t, len(data), func() { tensor, err = raw.Decode() })
		if err != nil {
			return
		}
		if int64(tensor.Len()) != rows*columns {
			t.Fatalf("%d values for shape %v", tensor.Len(), raw.Shape)
		}
		agreesWithStandardLibrary(t, raw)
		roundTrips(t, []NamedTensor{{Name: "x", Tensor: tensor}})
	})
}

// FuzzBinary gives any bytes as the binary form of any tensor: what is taken
// must give the same bytes when written.
func FuzzBinary(f *testing.F) {
	f.Add([]byte{1, 0, 255, 255}, uint8(2), int64(2))
	f.Add([]byte("\x01\x00\x00\x00x\x00\x00\x00\x00"), uint8(12), int64(2))
	f.Add([]byte("\xff\xff\xff\xffx"), uint8(12), int64(1))
	f.Add([]byte{}, uint8(12), int64(math.MaxInt32))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, size int64) {
		datatype := Datatypes[int(kind)%len(Datatypes)]
		var tensor Tensor
		var err error
		bounded(t, len(data), func() { tensor, err = DecodeBinary(datatype, []int64{size}, data) })
		if err != nil {
			return
		}
		again, err := AppendBinary(nil, tensor)
		if err != nil || BinarySize(tensor) != len(again) {
			t.Fatalf("%d bytes, said to be %d: %v", len(again), BinarySize(tensor), err)
		}
		// Any byte but 0 is true.
		if datatype != Bool && !bytes.Equal(again, data) {
			t.Fatalf("%s: read %x, wrote %x", datatype, data, again)
		}
	})
}
