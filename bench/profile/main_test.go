package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheExampleIsProfiledAndHeldAgainstItself(t *testing.T) {
	o := options{
		data: filepath.Join("..", "..", "examples", "flights", "data", "2013-02.parquet"), workers: 2,
		save: filepath.Join(t.TempDir(), "profile.json"),
	}
	look := func() (p profiled) {
		t.Helper()
		var out bytes.Buffer
		if err := profileIn(context.Background(), o, &out); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := look()
	o.baseline = o.save
	second := look()
	if second.Rows != 23_611 || second.Columns != 12 || second.Passed <= first.Passed || second.ProfileBytes == 0 {
		t.Errorf("without limits %+v\nwith limits %+v", first, second)
	}
}

func TestTextNamesWhatDidNotRun(t *testing.T) {
	r := report{File: "f", SHA256: strings.Repeat("0", 64), Rivals: []rival{{Name: "x", Failed: "no numpy"}, {Package: "y", Version: "1"}}}
	text := r.text()
	if !strings.Contains(text, "| x | did not run: no numpy |") || !strings.Contains(text, "| y 1 |") {
		t.Error(text)
	}
}
