package canary

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// TestGolden holds the formulas against testdata/golden.py.
func TestGolden(t *testing.T) {
	var golden struct {
		Arms []struct {
			CanaryErrors   float64 `json:"canary_errors"`
			Canary         float64 `json:"canary"`
			ChampionErrors float64 `json:"champion_errors"`
			Champion       float64 `json:"champion"`
			Ratio          float64 `json:"ratio"`
			Spread         float64 `json:"spread"`
			Harm           float64 `json:"harm"`
			Safe           float64 `json:"safe"`
		} `json:"arms"`
		Keeps []struct {
			K     float64 `json:"k"`
			N     float64 `json:"n"`
			Limit float64 `json:"limit"`
			Guess float64 `json:"guess"`
			Value float64 `json:"value"`
		} `json:"keeps"`
		Deviations []struct {
			T     float64 `json:"t"`
			P     float64 `json:"p"`
			Alpha float64 `json:"alpha"`
			Value float64 `json:"value"`
		} `json:"deviations"`
	}
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Arms) == 0 || len(golden.Keeps) == 0 || len(golden.Deviations) == 0 {
		t.Fatal("the table is empty")
	}
	for _, g := range golden.Arms {
		a := arms{champion: trials{g.ChampionErrors, g.Champion}, canary: trials{g.CanaryErrors, g.Canary}}
		bet := alternative{ratio: g.Ratio, spread: g.Spread}
		near(t, fmt.Sprintf("harm of %+v", a), bet.factor(a.harmful()), g.Harm, 1e-9)
		near(t, fmt.Sprintf("safety of %+v", a), bet.factor(a.harmless(0.5)), g.Safe, 1e-9)
	}
	for _, g := range golden.Keeps {
		near(t, fmt.Sprintf("limit kept %+v", g), keeps(trials{g.K, g.N}, g.Limit, g.Guess), g.Value, 1e-9)
	}
	for _, g := range golden.Deviations {
		near(t, fmt.Sprintf("deviation %+v", g), deviation(g.T, g.P, g.Alpha), g.Value, 1e-9)
	}
}
