package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Borrowing is the input of BorrowLeases.
type Borrowing struct {
	Resources models.Resources `json:"resources"`
	Until     time.Time        `json:"until"` // no new request after this
	Hold      time.Duration    `json:"hold"`  // how long each lease is kept
}

// Borrowed is one lease that was granted.
type Borrowed struct {
	At     time.Time     `json:"at"`
	Waited time.Duration `json:"waited"` // from the request to the grant
}

// BorrowLeases does nothing but what every holder of leases does: ask, wait,
// give back, again and again. It is for measuring a pool, see bench/pool, and
// is not among the registered workflows.
func BorrowLeases(ctx workflow.Context, input Borrowing) ([]Borrowed, error) {
	desk := newLeaseDesk(ctx)
	info := workflow.GetInfo(ctx)
	var all []Borrowed
	for n := 0; workflow.Now(ctx).Before(input.Until); n++ {
		request := models.LeaseRequest{
			RequestID: fmt.Sprintf("%s#%d", info.WorkflowExecution.RunID, n), Holder: info.WorkflowExecution.ID,
			Purpose: "measure the pool", Resources: input.Resources,
		}
		asked := workflow.Now(ctx)
		if _, err := desk.acquire(ctx, request); err != nil {
			return all, err
		}
		all = append(all, Borrowed{At: workflow.Now(ctx), Waited: workflow.Now(ctx).Sub(asked)})
		if input.Hold > 0 {
			if err := workflow.Sleep(ctx, input.Hold); err != nil {
				return all, err
			}
		}
		desk.release(ctx, request)
	}
	return all, nil
}
