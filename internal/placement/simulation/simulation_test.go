package simulation

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// worlds is how many seeds are lived through; MAINSPRING_SIMULATIONS asks for
// more. A seed that fails is lived again with -run 'TestSeed/17$'.
func worlds(t *testing.T) uint64 {
	if text := os.Getenv("MAINSPRING_SIMULATIONS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("MAINSPRING_SIMULATIONS:", err)
		}
		return n
	}
	return 2000
}

func TestSeed(t *testing.T) {
	var total Stats
	for seed := range worlds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			report := Run(Config{Seed: seed})
			total = total.Add(report.Stats)
			if report.Violation != nil {
				t.Fatalf("%v\n\nthe last events of seed %d:\n%s", report.Violation, seed, report.Script)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", total)
}
