package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	args := []string{"-rows", "4000", "-blocks", "10", "-resamples", "20", "-plain-rows", "3000", "-plain-resamples", "2", "-repeat", "1"}
	var out bytes.Buffer
	if err := run(append(args, "-json"), &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Rows != 4000 || r.Slices != 20 || len(r.Metrics) != 7 || !(r.Seconds > 0) || r.Plain == nil || !(r.Plain.Ratio > 0) {
		t.Errorf("report %+v", r)
	}
	out.Reset()
	if err := run(args, &out); err != nil || !strings.Contains(out.String(), "calibration_error") {
		t.Errorf("%v, %s", err, out.String())
	}
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-blocks", "1"}, {"-rows", "5", "-blocks", "10"}, {"-columns", "0"}, {"-slices", "2"}, {"-repeat", "0"}, {"-plain-rows", "7"}} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
