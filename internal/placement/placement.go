// Package placement is the brain of a device pool: it decides who gets which
// devices, and says why the others wait. It has no clock, no I/O and no
// randomness, so that a workflow can call it and replay the same decisions.
//
// # Vocabulary
//
//   - A request waits in the queue until it is granted: a lease lends it a gang
//     of devices, whole or not at all.
//   - A lease is ending when its holder has been asked to give it back, by
//     preemption or by a drain. It is void when the holder has not done so in
//     time.
//   - A promise is a set of devices that a waiting request gets as soon as the
//     ending leases there have ended. Nobody else gets them meanwhile.
//   - A reservation keeps whole hosts for a waiting request for which nothing
//     can be ended. Others are granted devices there only if they are
//     preemptible: they are ended when the hosts are otherwise free.
//   - The level of a job is how much service it has had, in few steps; a job
//     with less goes first, since most jobs are short and nobody knows which.
//   - A request is impossible when the pool's hosts, all of them idle and in
//     use, could not hold it.
//
// # Order
//
// Requests are served by priority; then those that have reservations or have
// waited long; then by what their tenants have used lately; then by level; then
// in order of arrival. Whoever does not fit is passed by those who do, but not
// on hosts that are kept. Docs: docs/scheduling.md.
//
// # Events
//
// Each event is a method that changes the pool and returns its Effects. The
// caller sends them in the order of the struct's fields; all are repeatable. A
// pool made from another's State decides exactly as that one would have.
package placement

import "github.com/mainspring-ml/mainspring/models"

// Effects are the messages that an event causes, in the order in which they
// are sent.
type Effects struct {
	Losses      []Message[models.LeaseLost]
	Preemptions []Message[models.LeasePreempted]
	Refusals    []Message[models.LeaseRefused]
	Grants      []models.Lease // each to its Holder
	Waits       []Message[models.LeaseWaiting]
	Growths     []Message[models.LeaseGrowable]
	Hosts       []Message[models.HostsNamed]
}

// Message is what a holder is told.
type Message[T any] struct {
	Holder string
	Body   T
}

func (e *Effects) lose(lease models.Lease, lost models.LeaseLost) {
	lost.RequestID = lease.RequestID
	e.Losses = append(e.Losses, Message[models.LeaseLost]{lease.Holder, lost})
}

func (e *Effects) preempt(lease models.Lease) {
	e.Preemptions = append(e.Preemptions, Message[models.LeasePreempted]{lease.Holder, models.LeasePreempted{RequestID: lease.RequestID, LeaseEnding: *lease.Ending}})
}

func (e *Effects) refuse(holder, requestID, reason string) {
	e.Refusals = append(e.Refusals, Message[models.LeaseRefused]{holder, models.LeaseRefused{RequestID: requestID, Reason: reason}})
}

func (e *Effects) wait(w *asked, reason string) {
	e.Waits = append(e.Waits, Message[models.LeaseWaiting]{w.Holder, models.LeaseWaiting{RequestID: w.RequestID, Reason: reason}})
}
