package simulation

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"testing"
)

// worlds is how many seeds are lived through; MAINSPRING_SIMULATIONS asks for
// more. The race detector finds nothing in a world, which is one goroutine, and
// makes it ten times slower. A seed that fails is lived again with
// -run 'TestSeed/17$'.
func worlds(t *testing.T) uint64 {
	if text := os.Getenv("MAINSPRING_SIMULATIONS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("MAINSPRING_SIMULATIONS:", err)
		}
		return n
	}
	if testing.Short() || raceDetector {
		return 300
	}
	return enough
}

// enough seeds see every kind of event; `make check` lives through so many.
const enough = 3000

func TestSeed(t *testing.T) {
	var total Stats
	lived := 0
	for seed := range worlds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			report := Run(Config{Seed: seed})
			total = total.Add(report.Stats)
			lived++
			if report.Violation != nil {
				t.Fatalf("%v\n\nthe last events of seed %d:\n%s", report.Violation, seed, report.Script)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", total)
	if lived < enough {
		return // by -run or -short, or under the race detector: a rare event may be in none
	}
	values := reflect.ValueOf(total)
	for i := range values.NumField() {
		if values.Field(i).Int() == 0 {
			t.Errorf("in no world was there any of %s: they are too tame to prove anything", values.Type().Field(i).Name)
		}
	}
}
