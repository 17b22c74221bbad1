package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// ordersKept and longestOrder bound what people leave in a rollout's state.
	ordersKept   = 12
	longestOrder = 300
	// Of those before the newest few the reasons are cut.
	ordersWhole = 2
	shortOrder  = 60
)

// takeOrders registers the update by which people steer the rollout. It answers
// at once: whoever waits for evidence sees the order and acts on it.
func (r *rollout) takeOrders(ctx workflow.Context) error {
	options := workflow.UpdateHandlerOptions{Validator: r.mayOrder, Description: "A person pauses, resumes, aborts or promotes the rollout"}
	return workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateRollout, r.order, options)
}

// unsigned says what is wrong with how an order is signed, and what to do; empty:
// nothing.
func unsigned(by, why string) (message, hint string) {
	switch {
	case strings.TrimSpace(by) == "":
		return "the order does not say whose it is", "set by to a name"
	case len(by) > longestName:
		return fmt.Sprintf("the name has %d bytes", len(by)), fmt.Sprintf("use at most %d", longestName)
	case len(why) > longestOrder:
		return fmt.Sprintf("the reason has %d bytes", len(why)), fmt.Sprintf("use at most %d, and a link to the rest", longestOrder)
	default:
		return "", ""
	}
}

// mayOrder refuses an order before it enters the history.
func (r *rollout) mayOrder(order models.RolloutOrder) error {
	refuse := func(message, hint string) error {
		return failure(&models.Error{Kind: models.KindInvalidSpec, Subject: "rollout of version " + r.input.Candidate.Version, Message: message, Hint: hint})
	}
	if message, hint := unsigned(order.By, order.Reason); message != "" {
		return refuse(message, hint)
	}
	standing := r.decision()
	switch {
	case r.ended:
		return refuse("it has ended", "`mainspring rollback` makes an earlier version the champion again")
	case standing != nil && standing.Action == models.RolloutAbort:
		return refuse(standing.By+" aborted it already", "")
	}
	switch order.Action {
	case models.RolloutPause:
		if r.state.Paused {
			return refuse("it is paused already"+r.pausedBy(), "resume, abort or promote it")
		}
	case models.RolloutResume:
		if !r.state.Paused {
			return refuse("it is not paused", "")
		}
	case models.RolloutPromote:
		if standing != nil {
			return refuse(standing.By+" ordered that already", "it is done as soon as its servers are ready")
		}
	case models.RolloutAbort:
	default:
		return refuse(fmt.Sprintf("there is no action %q", order.Action), "use pause, resume, abort or promote")
	}
	return nil
}

// order notes what a person wants.
func (r *rollout) order(ctx workflow.Context, order models.RolloutOrder) (models.RolloutStatus, error) {
	now := workflow.Now(ctx)
	order.At = now
	switch order.Action {
	case models.RolloutPause:
		r.state.Paused, r.state.PausedSince = true, now
	case models.RolloutResume:
		if current := r.current(); current != nil {
			current.Paused += models.Duration(now.Sub(later(r.state.PausedSince, current.StartedAt)))
		}
		r.state.Paused, r.state.PausedSince = false, time.Time{}
	case models.RolloutAbort, models.RolloutPromote:
	}
	r.state.Orders = newest(append(r.state.Orders, order))
	r.news++
	r.show(ctx, r.waiting)
	return r.status(now), nil
}

// newest cuts old reasons short and leaves out the oldest order once there are too many, but never one that
// decides: it may still wait for servers.
func newest(orders []models.RolloutOrder) []models.RolloutOrder {
	for i := range len(orders) - ordersWhole {
		orders[i].Reason = clip(orders[i].Reason, shortOrder)
	}
	if len(orders) <= ordersKept {
		return orders
	}
	oldest := max(0, slices.IndexFunc(orders, func(o models.RolloutOrder) bool { return !decides(o) }))
	return slices.Delete(orders, oldest, oldest+1)
}

func decides(order models.RolloutOrder) bool {
	return order.Action == models.RolloutAbort || order.Action == models.RolloutPromote
}

// decision is the order that ends the rollout; nil: there is none. An abort
// comes after a promotion that still waits for servers.
func (r *rollout) decision() (found *models.RolloutOrder) {
	for i, order := range r.state.Orders {
		if decides(order) {
			found = &r.state.Orders[i]
		}
	}
	return found
}

// explainOrder holds what a person decided against the evidence at that moment.
func (r *rollout) explainOrder(order models.RolloutOrder) string {
	what, why := "promoted", "not backed by the evidence"
	if order.Action == models.RolloutAbort {
		what = "aborted"
	}
	said := what + " by " + order.By
	if order.Reason != "" {
		said += ", who says: " + order.Reason
	}
	current := r.current()
	if current == nil {
		if order.Action == models.RolloutAbort {
			return said + "; it had no traffic yet"
		}
		return said + "; " + why + ": it had no traffic yet"
	}
	agrees := models.VerdictPass
	if order.Action == models.RolloutAbort {
		agrees = models.VerdictFail
	}
	switch current.Verdict.Verdict {
	case agrees:
		why = "as the evidence says"
		if agrees == models.VerdictPass && r.state.Step < len(r.plan)-1 {
			why = "ahead of the evidence"
		}
	case models.VerdictPass, models.VerdictFail:
		why = "against the evidence"
	default:
		if order.Action == models.RolloutAbort {
			why = "the evidence"
		}
	}
	return fmt.Sprintf("%s; %s %s: %s", said, why, stage(*current), current.Verdict.Reason)
}

// pausedBy says who holds the rollout.
func (r *rollout) pausedBy() string {
	for i := len(r.state.Orders) - 1; i >= 0; i-- {
		if order := r.state.Orders[i]; order.Action == models.RolloutPause {
			said := fmt.Sprintf(" by %s since %s", order.By, moment(order.At))
			if order.Reason != "" {
				said += ": " + order.Reason
			}
			return said
		}
	}
	return ""
}
