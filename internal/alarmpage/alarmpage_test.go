package alarmpage_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/alarmpage"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

var day = time.Date(2013, 8, 1, 0, 0, 0, 0, time.UTC)

// Squares of errors on large numbers are more than an integer of 64 bits holds.
func TestAGreatLossIsWrittenAsItIs(t *testing.T) {
	a := full()
	a.Splits[1].Slices = []models.SliceShift{{Slice: "dear", Mix: 1, Share: 0.5, ShareBefore: 0.5, LossBefore: 1234567, Loss: 3e20}}
	page, err := a.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if want := "loss 1,234,567 → 3e+20"; !bytes.Contains(page, []byte(strings.ReplaceAll(want, "+", "&#43;"))) && !bytes.Contains(page, []byte(want)) {
		t.Errorf("the page does not say %q: %s", want, regexp.MustCompile("loss 1,2[^<]*").Find(page))
	}
}

// full is an account with everything, and with names that want to be markup.
func full() alarmpage.Account {
	const name = `<b onclick="x">&`
	a := alarmpage.Account{
		Endpoint: "delay" + name, Version: "3", Task: models.TaskBinary,
		Alarm:       models.Alarm{Block: day.AddDate(0, 0, 9), Detector: name, Martingale: 2e7, Threshold: 50, Change: day.AddDate(0, 0, 5), Action: name},
		Explanation: models.Explanation{Words: name, LossBefore: 0.5, Loss: 0.7, Column: name, Mix: 0.05, Concept: 0.15, Classifier: &models.Estimate{Value: 0.8, Low: 0.7, High: 0.9}},
		Inputs: models.InputReport{
			From: day, To: day.AddDate(0, 0, 10), Blocks: 1, Rows: 1000,
			Features: []models.FeatureShift{{Feature: name, Type: "category", PSI: 0.3, EValue: 1e90, Moved: true, Unseen: 0.5}, {Feature: "x", Type: "number", Wasserstein: 2}},
			Slices:   []models.SliceShift{{Column: name, Slice: name, Rows: 10, Share: 1, Mix: -0.0001}},
		},
		ReferenceLosses: []float64{0.4, 0.5, 0.5, 0.6, 0.45},
		Splits:          []shift.Split{{Column: "other"}, {Column: name, Mix: 0.05, Concept: 0.15}},
		Histograms:      []shift.Histogram{{Feature: name, Bins: []shift.HistogramBin{{Name: name, Before: 0.2, Now: 1}}}, {Feature: "bare"}},
		Gate:            &models.GateVerdict{Verdict: models.VerdictFail, Reason: name},
		Notes:           []string{name},
	}
	for k := range 20 {
		a.Splits[1].Slices = append(a.Splits[1].Slices, models.SliceShift{Column: name, Slice: name, Mix: 0.01 * float64(k-5), Share: 0.1})
	}
	for i := range 10 {
		start := day.AddDate(0, 0, i)
		a.Blocks = append(a.Blocks, models.Block{Start: start, End: start.AddDate(0, 0, 1), Loss: 0.5 + 0.01*float64(i), Estimated: 0.5, Labelled: 100, Conclusive: i != 3, Martingale: float64(i * i * i)})
	}
	return a
}

func TestPage(t *testing.T) {
	page, err := full().HTML()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(page, []byte("<b onclick")) {
		t.Error("a name became markup")
	}
	for _, want := range []string{"Loss by block", "threshold 50", "10⁷", "What the rise is made of", "5 more slices", "0.800 [0.700, 0.900]", "in about 80 % of cases", "moved", "change, about 6 Aug"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "ZgotmplZ", "src=", "href=", "url(", "<script"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAll(page, -1) {
		d := xml.NewDecoder(bytes.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("a plot is no XML: %v\n%.300s", err, svg)
			}
		}
	}
	again, err := full().HTML()
	if err != nil || !bytes.Equal(page, again) {
		t.Errorf("not the same twice: %v", err)
	}
	if data, err := full().JSON(); err != nil || !bytes.Contains(data, []byte(`"reference_losses"`)) {
		t.Errorf("JSON: %v", err)
	}
}

func TestPageOfNothing(t *testing.T) {
	for name, a := range map[string]alarmpage.Account{
		"nothing":   {},
		"one block": {Blocks: []models.Block{{Start: day, End: day.Add(time.Hour), Loss: 0.5, Conclusive: true, Martingale: 1}}, Alarm: models.Alarm{Block: day, Threshold: 10}},
	} {
		page, err := a.HTML()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text := string(page); strings.Contains(text, "NaN") || !strings.Contains(text, "</html>") {
			t.Errorf("%s: the page is broken", name)
		}
		if _, err := a.JSON(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
