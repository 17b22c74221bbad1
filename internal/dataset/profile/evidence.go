package profile

import "github.com/mainspring-ml/mainspring/models"

// The rules that a pass holds rows against. Those with the name of a check in
// models.DataCheckNames are its findings.
const (
	RuleNulls     = "nulls"      // no value in a column whose nulls have a limit (0 where none is set)
	RuleRange     = "range"      // outside of checks.range
	RuleAllowed   = "allowed"    // not among checks.allowed
	RuleUnseen    = "unseen"     // a string or bool that the baseline's training rows do not have
	RuleLabel     = "label"      // a label that the task does not know
	RuleTimeOrder = "time_order" // a label older than its event; the column is label_time
	RuleLate      = "leakage"    // a feature known only after its event, see ColumnSpec.KnownAt
	RuleTooLate   = "too_late"   // of those: not before the label was
)

// Evidence is what checks need to know beside the profile. It is JSON; runs are
// encoded by themselves.
type Evidence struct {
	// Findings has one entry for each rule and column that was looked at, also if
	// no row breaks it, sorted by rule and column.
	Findings     []Finding     `json:"findings"`
	Associations []Association `json:"associations,omitempty"` // one for each feature with values, by column
}

// Finding is the rows that break a rule.
type Finding struct {
	Rule   string `json:"rule"`
	Column string `json:"column"`
	Seen   int64  `json:"seen"`  // rows that were held against the rule
	Count  int64  `json:"count"` // that break it
	// Rows are the first ones, at most models.MaxOffendingRows, in the order of files
	// and rows.
	Rows []models.OffendingRow `json:"rows,omitempty"`
}

// Find returns the finding of a rule and a column; nil: it was not looked for.
func (e *Evidence) Find(rule, column string) *Finding {
	for i := range e.Findings {
		if e.Findings[i].Rule == rule && e.Findings[i].Column == column {
			return &e.Findings[i]
		}
	}
	return nil
}

// Association is how training rows spread over the values of a feature and the
// labels. A feature whose values say little of the label beyond chance explains
// about 0 of it, one that is the label under another name 1.
type Association struct {
	Column string `json:"column"`
	// Strings says that the cells are of strings, which crowd, not of numbers.
	Strings bool `json:"strings,omitempty"`
	// Crowded says that the feature has more than MaxValues strings, which nothing
	// can be learnt from one by one, or that the squares of labels are too large for
	// a float64; Cells are empty then.
	Crowded bool `json:"crowded,omitempty"`
	// Cells are the feature's buckets, or its strings by their hash, rising.
	Cells []Cell `json:"cells,omitempty"`
	// Squares is the sum of the squares of the labels of the cells' rows, of task
	// regression.
	Squares float64 `json:"squares,omitempty"`
}

// Cell is the training rows with one value, or bucket, of a feature.
type Cell struct {
	Key int64 `json:"key"`
	// Labels are rows by the label's number, see dataset.Labels; of task regression
	// there is one entry, the rows.
	Labels []int64 `json:"labels"`
	Sum    float64 `json:"sum,omitempty"` // of the labels, of task regression
}
