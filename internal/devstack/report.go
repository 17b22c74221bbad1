package devstack

import (
	"sync"
	"time"
)

// ItemState is where set-up stands with an item.
type ItemState string

// The states. Cached, Done and Failed are final.
const (
	Cached     ItemState = "cached"
	Installing ItemState = "installing"
	Done       ItemState = "done"
	Failed     ItemState = "failed"
)

// Progress is one step of one item.
type Progress struct {
	Item    string // "mlflow"
	Title   string // "MLflow 3.17.2"
	State   ItemState
	Detail  string        // what is going on, or where the item was found
	Elapsed time.Duration // since the item's installation began
	Err     error         // of Failed
}

// Reporter shows progress. Report is never called twice at the same time.
type Reporter interface {
	Report(Progress)
}

// ReporterFunc is a Reporter made of a function.
type ReporterFunc func(Progress)

// Report implements Reporter.
func (f ReporterFunc) Report(p Progress) { f(p) }

// serialReporter keeps concurrent items from reporting at the same time.
type serialReporter struct {
	mu   sync.Mutex
	next Reporter // may be nil
}

func (r *serialReporter) report(p Progress) {
	if r.next == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next.Report(p)
}
