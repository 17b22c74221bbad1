package profile

import (
	"errors"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Side is where a row goes.
type Side uint8

// The sides. A row of neither side leaves no trace, but for Unusable.
const (
	// Outside of the window, or not known at its end.
	Outside Side = iota
	Train
	Test
	// Unusable rows would be on a side if they had a time and a label: only what
	// these two lack is found.
	Unusable
)

// Plan says what a pass looks for.
type Plan struct {
	// Spec has its defaults filled in. Names in it that are not among Columns are not
	// looked at.
	Spec models.DataSpec
	// Columns are those of the chunks, in any order, with their types and roles. The
	// profile has them all but label_time and known_at, which are not kept; whole rows
	// are compared by what the profile has, the key aside.
	Columns []models.Column
	// Baseline is what categories are held against; nil: nothing is unseen.
	Baseline *Profile
	// File names the partition in offending rows.
	File string
	// Seed makes the hashes of runs hard to guess where columns are sensitive; all
	// partitions of a preparation must have the same. 0 is a seed too.
	Seed uint64
}

// Pass goes once over the rows of a partition. It is for one goroutine; several
// passes over parts of the partition are joined by Append.
type Pass struct{ plan Plan }

// NewPass begins a pass. Columns with unusable types are refused.
func NewPass(plan Plan) (*Pass, error) { return &Pass{plan: plan}, nil }

// Add looks at the chunk's rows: sides has one entry a row, nil is Train for all.
// Nothing of the chunk is kept.
func (p *Pass) Add(chunk dataset.Chunk, sides []Side) error {
	return errors.New("not profiled yet")
}

// Append adds what another pass with the same plan has seen of the rows that
// follow. The other one can't be used afterwards.
func (p *Pass) Append(next *Pass) {}

// Result is what a pass has found.
type Result struct {
	Profile  Profile
	Evidence Evidence
	// Runs are the hashes of the columns that must be unique, by name, and of whole
	// rows: that of the empty name.
	Runs []Run
}

// Finish ends a pass.
func (p *Pass) Finish() Result { return Result{} }
