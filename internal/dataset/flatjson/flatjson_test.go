package flatjson

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// plainly reads with encoding/json, as the oracle.
func plainly(text []byte, w Want) (cells []Cell, ok bool) {
	var lists map[string]json.RawMessage
	if json.Unmarshal(text, &lists) != nil || lists == nil {
		return nil, false
	}
	var values []json.RawMessage
	if json.Unmarshal(lists[w.Name], &values) != nil {
		return nil, true
	}
	for i, v := range values {
		if w.Width > 0 && i == w.Width {
			break
		}
		c := Cell{Kind: Other}
		var number float64
		switch {
		case string(v) == "null":
			c.Kind = Null
		case string(v) == "true":
			c.Kind = True
		case string(v) == "false":
			c.Kind = False
		case v[0] == '"':
			var text string
			if err := json.Unmarshal(v, &text); err != nil {
				return nil, false
			}
			c.Kind, c.Text = Text, []byte(text)
		case v[0] != '[' && v[0] != '{' && json.Unmarshal(v, &number) == nil:
			c.Kind, c.Number = Number, number
		}
		cells = append(cells, c)
	}
	return cells, true
}

func same(a, b []Cell) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Kind != b[i].Kind || string(a[i].Text) != string(b[i].Text) || math.Float64bits(a[i].Number) != math.Float64bits(b[i].Number) {
			return false
		}
	}
	return true
}

func wants() []Want { return []Want{{"a", 1}, {"p", 0}, {"ä\"", 2}} }

func agree(t *testing.T, r *Reader, text []byte) {
	t.Helper()
	got := r.Read(text)
	for i, w := range wants() {
		want, ok := plainly(text, w)
		if got != ok || !same(r.List(i), want) {
			t.Errorf("%q, list %q: %v %v, want %v %v", text, w.Name, got, r.List(i), ok, want)
		}
	}
}

func samples() []string {
	return []string{
		`{}`, `{"a":[1]}`, `{"a":[1],"p":[0.25,0.75]}`, `{"p":[0.1,0.2,0.7],"a":["UA"]}`, ` { "a" : [ 1 , 2 ] , "p" : [ ] } `,
		`{"a":[null],"p":[true,false,null]}`, `{"a":1,"p":null}`, `{"a":"x","p":{"p":[1]}}`, `{"a":[[1],2],"p":[{"x":1}]}`,
		`{"a":["\u00e4\n\"\\"],"p":["ä","\ud800","` + "\xff" + `"]}`, `{"ä\"":[1,2,3]}`, `{"\u0061":[7]}`, `{"a":[1],"a":[2]}`, `{"a":[1],"a":2}`,
		`{"a":[-0.0],"p":[1e22,1e23,123456789012345678901,0.1234567890123456789,1e-400,5e-324,9007199254740993,-12.5E+2,1.5e-3]}`,
		`{"a":[1e999]}`, `{"a":[18446744073709551617]}`, `{"a":[00000000000000000000]}`,
		``, `[]`, `null`, `{`, `{"a"}`, `{"a":}`, `{"a":[}`, `{"a":[1}`, `{"a":[1],}`, `{"a":[1,]}`, `{"a":[1]}x`, `{"a":[01]}`, `{"a":[1.]}`, `{"a":[.5]}`,
		`{"a":[+1]}`, `{"a":[1e]}`, `{"a":[-]}`, `{"a":[nul]}`, `{"a":["x]}`, "{\"a\":[\"\n\"]}", `{"a":["\x"]}`, `{"a":[1] "p":[2]}`, `{a:[1]}`, `{"a":["\`,
		"{\"a\":[1]}\x00", `{"b":[1,{"c":[2,{"d":{}}]}],"a":[3]}`,
	}
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	r := NewReader(wants()...)
	for _, text := range samples() {
		agree(t, r, []byte(text))
	}
}

func TestADeepObjectIsLeftToNobody(t *testing.T) {
	deep := func(n int) []byte {
		text := []byte(`{"b":`)
		for range n {
			text = append(text, '[')
		}
		for range n {
			text = append(text, ']')
		}
		return append(text, '}')
	}
	r := NewReader(wants()...)
	agree(t, r, deep(9999))
	agree(t, r, deep(10000))
}

func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, text := range samples() {
		f.Add([]byte(text))
	}
	r := NewReader(wants()...)
	f.Fuzz(func(t *testing.T, text []byte) { agree(t, r, text) })
}

func FuzzNumbers(f *testing.F) {
	f.Add(0.1)
	f.Add(math.MaxFloat64)
	f.Add(5e-324)
	r := NewReader(Want{"a", 1})
	f.Fuzz(func(t *testing.T, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		for _, form := range []string{"%v", "%g", "%.3f", "%e", "%.17g", "%.25f"} {
			text := fmt.Sprintf(`{"a":[`+form+`]}`, v)
			var want struct{ A []float64 }
			if err := json.Unmarshal([]byte(text), &want); err != nil {
				t.Fatal(text, err)
			}
			if !r.Read([]byte(text)) || math.Float64bits(r.List(0)[0].Number) != math.Float64bits(want.A[0]) {
				t.Errorf("%s: %v, want %v", text, r.List(0), want.A)
			}
		}
	})
}

// TestNumbersAgainstStrconv tries digits of every length, and those that lie
// half way between two float64s, where an operation too few shows.
func TestNumbersAgainstStrconv(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	slow := 0
	for i := range 300_000 {
		digits := random.Uint64() >> random.IntN(40)
		exponent := -random.IntN(24)
		if i%3 == 0 { // half way: the mantissa and one bit more
			digits = (random.Uint64()>>11|1<<52)<<1 | 1
		}
		text := fmt.Sprintf("%de%d", digits, exponent)
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := scaled(digits, exponent)
		if !ok {
			slow++
		} else if len(strconv.FormatUint(digits, 10)) <= 19 && got != want {
			t.Fatalf("%s: %v, want %v", text, got, want)
		}
	}
	t.Logf("%d of 300000 are left to strconv", slow)
}

func BenchmarkRead(b *testing.B) {
	var wanted []Want
	text := []byte(`{`)
	for i := range 20 {
		name := fmt.Sprintf("feature_%02d", i)
		wanted = append(wanted, Want{name, 1})
		if i > 0 {
			text = append(text, ',')
		}
		switch i % 3 {
		case 0:
			text = fmt.Appendf(text, `"%s":[%v]`, name, math.Sqrt(float64(i+2)))
		case 1:
			text = fmt.Appendf(text, `"%s":[%.2f]`, name, math.Sqrt(float64(i+2)))
		default:
			text = fmt.Appendf(text, `"%s":["EWR"]`, name)
		}
	}
	text = append(text, '}')
	r := NewReader(wanted...)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if !r.Read(text) {
			b.Fatal("no object")
		}
	}
}
