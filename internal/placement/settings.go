package placement

import "time"

// These are the same for every pool: a pool's history must replay with the
// numbers it was made with. docs/scheduling.md says how sensitive the queueing
// figures are to them.
const (
	// halfLife is after how long use counts half in the fair share.
	halfLife = 24 * time.Hour
	// tenantFactor is how many times more a tenant must have used than another
	// before its leases are ended for the other's requests.
	tenantFactor = 2
	// ageAfter is how long a request waits before it goes ahead of all others of
	// its priority.
	ageAfter = 6 * time.Hour
	// agedReservations is how many long waiting requests have hosts kept for
	// them at a time.
	agedReservations = 4
	// planEvery is how often preemption is considered: a burst of requests is
	// then one decision.
	planEvery = time.Minute
	// protectedPart of what a job has used so far is what each of its leases may
	// use undisturbed, as far as that is longer than its MinRuntime. It bounds
	// how often one job is preempted by the logarithm of its length.
	protectedPart = 0.05
	// defaultGrace is for requests that don't say.
	defaultGrace = 30 * time.Second
	// endingMargin is for messages on their way: it is added to a grace before a
	// lease is void.
	endingMargin = 15 * time.Second
	// settleAfter is how long after the last new host a pool believes that it
	// knows them all.
	settleAfter = 20 * time.Second
	// forgetAfter is how long a host is down before it no longer counts for what
	// is possible.
	forgetAfter = 24 * time.Hour
	// shortest is the shortest time until Wake.
	shortest = time.Second
)

// levels are the GPU-seconds of service at which a job's level rises: 4, 32 and
// 256 GPU-hours. Steps this wide keep jobs that are alike from taking turns.
var levels = [...]int64{4 * 3600, 32 * 3600, 256 * 3600}
