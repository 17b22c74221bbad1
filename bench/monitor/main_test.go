package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestMain is the process that scores as well: the command starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-score-in" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestReport(t *testing.T) {
	args := []string{"-rows", "6000", "-repeat", "1"}
	var out bytes.Buffer
	if err := run(t.Context(), append(args, "-json"), &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Rows != 6000 || r.Features != 20 || r.Objects != 24 || !(r.Seconds > 0) || !(r.PeakMiB > 1) || !(r.Loss > 0.1 && r.Loss < 1) {
		t.Errorf("report %+v", r)
	}
	if text := r.text(); !strings.Contains(text, "6000 requests × 20 features") {
		t.Errorf("%s", text)
	}
}

func TestTheSameSeedGivesTheSameTraffic(t *testing.T) {
	names := featureNames()
	a, b, other := newTraffic(1, 0.1), newTraffic(1, 0.1), newTraffic(2, 0.1)
	for i := range 100 {
		x, y, z := a.row(i, 100), b.row(i, 100), other.row(i, 100)
		if x != y || x.inputs(names) != y.inputs(names) || x == z {
			t.Fatalf("row %d: %+v, %+v, %+v", i, x, y, z)
		}
		if !json.Valid([]byte(x.inputs(names))) || !json.Valid([]byte(x.outputs())) {
			t.Errorf("no JSON: %s %s", x.inputs(names), x.outputs())
		}
	}
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-rows", "0"}, {"-repeat", "0"}, {"-colour"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
