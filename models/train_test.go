package models

import (
	"math"
	"testing"
)

func TestAccountInOneLine(t *testing.T) {
	a := GPUAccount{Waiting: 1, Starting: 2}.Add(GPUAccount{Waiting: 0.02, Computing: 1234.4, Checkpointing: 0.25, Lost: 11.4})
	if math.Abs(a.Leased()-1248.05) > 1e-9 {
		t.Errorf("leased %v", a.Leased())
	}
	want := "1248 GPU-seconds leased: starting 2 (0 %), computing 1234 (99 %), checkpointing 0.25 (0 %), lost 11.4 (1 %); waited for 1.02 before"
	if got := a.String(); got != want {
		t.Errorf("told   %s\nwanted %s", got, want)
	}
	if got, want := (GPUAccount{Waiting: 3}).String(), "0 GPU-seconds leased: starting 0, computing 0, checkpointing 0, lost 0; waited for 3 before"; got != want {
		t.Errorf("told   %s\nwanted %s", got, want)
	}
}
