package checks

import (
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// Evidence is all that the checks of a preparation are made from.
type Evidence struct {
	Spec models.DataSpec // AsOf set; defaults need not be filled in
	// Profile is what the rows on both sides look like, and Rows which of them break
	// a rule.
	Profile profile.Profile
	Rows    profile.Evidence
	Schema  Schema
	Times   Times
	Unknown int64 // rows left out: label not known at AsOf

	// Keys has one entry for each column of checks.unique, and Duplicates the rows
	// that repeat another one in every column but the key.
	Keys       []Repeats
	Duplicates *Repeats // nil: not looked for

	// Baseline is nil without a champion, or without a profile of its rows;
	// NoBaseline says which, for people. Its version is a name to people.
	Baseline   *profile.Profile
	Version    string
	NoBaseline string

	// Traffic is nil when nothing was served; NoTraffic says why, for people.
	Traffic   *Traffic
	NoTraffic string
}

// Times are the event times of the whole source, so that an empty window can be
// explained.
type Times struct {
	Rows     int64
	Min, Max time.Time // zero without rows
	// Newest is the newest row before AsOf, whether its label is known or not; zero:
	// the newest row of the profile counts.
	Newest time.Time
}

// Repeats is what a column (or, of duplicates, the whole rows) has more than
// once.
type Repeats struct {
	Column string
	Seen   int64 // rows with a value
	Count  int64 // that an earlier one has; in the order of files and rows
	Rows   []models.OffendingRow
}

// Traffic is the rows held against what an endpoint has logged.
type Traffic struct {
	Endpoint string
	Version  string
	Requests int64 // logged in the window
	Features []ServedFeature
}

// ServedFeature is one feature of the traffic.
type ServedFeature struct {
	Column string
	Joined int64 // rows whose key was requested
	Differ int64 // of those, with another value than the one that was served
	Rows   []models.OffendingRow
	// Shift is the Jensen-Shannon distance between the training rows' and the
	// requests' values; nil: it can't be said, NoShift has the reason.
	Shift   *float64
	NoShift string
}
