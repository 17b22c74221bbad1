package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestReport: the command's JSON, from two runs, with every promise kept and
// the same figures for the same seed.
func TestReport(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"-json", "-runs", "2", "-seed", "7"}, out); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same seed gave other figures")
	}
	var report Report
	if err := json.Unmarshal(first.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	promises := 0
	for _, table := range report.Tables {
		for _, row := range table.Rows {
			for _, o := range row.Outcomes {
				if o.Promise != "" {
					promises++
				}
				if (o.Promise != "") && row.Budget == 0 {
					t.Errorf("%s: %s: a promise without a budget", table.Title, row.Case)
				}
			}
		}
	}
	if report.Broken != 0 || promises < 30 {
		t.Errorf("%d promises, %d broken", promises, report.Broken)
	}
	var text strings.Builder
	writeTables(&text, report)
	if !strings.Contains(text.String(), "| 0.1 %, ×2 |") {
		t.Error(text.String())
	}
}

// TestBrokenPromise: a rule that always decides is found out.
func TestBrokenPromise(t *testing.T) {
	always := contender[minute]{name: "always", claims: true, open: func() rule[minute] { return &flagger{limit: -1, of: arm.rate} }}
	w := plain(0.01, 1)
	row := Row{Budget: alpha, Outcomes: play(w.simulate, []contender[minute]{always}, options{runs: 20, seed: 1}, alpha)}
	if row.Outcomes[0].Promise != PromiseBroken || broken([]Table{{Rows: []Row{row}}}) != 1 || !strings.Contains(cell(row, "always"), "broken") {
		t.Errorf("%+v", row)
	}
}

func constant(rate float64) minute {
	return minute{champion: arm{requests: 1000, errors: 10}, canary: arm{requests: 1000, errors: int64(1000 * rate)}}
}

// TestOtherRules: the minute in which each decides on a canary with twice the
// errors, and that none does on an equal one.
func TestOtherRules(t *testing.T) {
	for name, c := range map[string]struct {
		rule  func() rule[minute]
		worse int
	}{
		"flagger": {func() rule[minute] { return &flagger{of: arm.rate, limit: 0.01} }, 5},
		"ratio":   {func() rule[minute] { return &ratio{of: arm.rate, factor: 1.2} }, 3},
		"peeked":  {func() rule[minute] { return &peeked{} }, 1},
		"kayenta": {func() rule[minute] { return &kayenta{of: arm.rate, every: 10} }, 10},
	} {
		equal, worse := make([]minute, 60), make([]minute, 60)
		for i := range equal {
			equal[i], worse[i] = constant(0.01), constant(0.03)
		}
		if got := first(c.rule(), equal); got != 0 {
			t.Errorf("%s: equal arms: minute %d", name, got)
		}
		if got := first(c.rule(), worse); got != c.worse {
			t.Errorf("%s: minute %d, want %d", name, got, c.worse)
		}
	}
}

func TestWorldIsWhatItSays(t *testing.T) {
	w := plain(0.01, 2).at(0.1)
	w.Slower = 1
	var sum minute
	for run := range uint64(5) {
		for _, m := range w.simulate(rand.New(rand.NewPCG(1, run))) {
			sum.canary.requests += m.canary.requests
			sum.canary.errors += m.canary.errors
			sum.canary.slow += m.canary.slow
			sum.champion.requests += m.champion.requests
			sum.champion.errors += m.champion.errors
		}
	}
	share := float64(sum.canary.requests) / float64(sum.canary.requests+sum.champion.requests)
	slow := float64(sum.canary.slow) / float64(sum.canary.requests)
	if share < 0.095 || share > 0.105 || sum.canary.rate() < 0.017 || sum.canary.rate() > 0.023 ||
		sum.champion.rate() < 0.0085 || sum.champion.rate() > 0.0115 || slow < 0.008 || slow > 0.012 {
		t.Errorf("share %v, canary %v, champion %v, slow %v", share, sum.canary.rate(), sum.champion.rate(), slow)
	}
}
