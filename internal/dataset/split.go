package dataset

import "github.com/mainspring-ml/mainspring/models"

// Spans are the two sides of a spec's window, without rows. Where a hash
// splits, each side is drawn from the whole window.
func Spans(spec models.DataSpec) (train, test models.Span) {
	to := spec.AsOf.UTC()
	from := to.Add(-spec.Window.Std())
	if spec.Split.By == models.SplitByHash {
		return models.Span{From: from, To: to}, models.Span{From: from, To: to}
	}
	cut := to.Add(-spec.Holdout.Std())
	return models.Span{From: from, To: cut}, models.Span{From: cut, To: to}
}
