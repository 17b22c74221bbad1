// Package gateway is the data plane: it splits inference traffic between model
// versions, fails over, and records what was asked, answered and how it turned
// out.
//
// # Vocabulary
//
//   - A route is an endpoint's traffic table, see models.Route. Its generation
//     only grows. A gateway follows the routes in the artifact store and talks
//     to nothing else but the model servers; when the store is out it goes on
//     with the last good routes.
//
//   - An arm is one version's share of a route. A request draws its arm; an arm
//     has a pool of replicas, the model servers of its version.
//
//   - A replica that can't be reached is passed over for a second. One whose
//     answers fail again and again is ejected for longer each time, but never
//     more than half of a pool.
//
//   - A breaker bounds how many requests wait for a version, and keeps them away
//     while it fails. Who is kept away is diverted to the champion.
//
//   - A shadow is an arm without weight that gets copies of the champion's
//     requests and answers nobody.
//
//   - A named request is one whose path has a version: it is not drawn.
//
//   - Event time is when a request happened in the world that it describes:
//     now, or what the header Mainspring-Event-Time says.
//
//   - The inference log has a row per answered request, or per one of a sample,
//     in Parquet files by event-time hour. The watermark promises that the log is
//     complete up to a moment of event time.
//
//   - The spool keeps rows on the local disk until the log has them, see package
//     spool. A logbook is what one endpoint's log has on its way to the store.
//
//   - A tenant is a caller with keys of its own. The door lets tenants in, within
//     their limits; without a file of tenants it is open.
//
// # What is counted
//
// A request counts for the version that answered it, once, whatever was tried
// before. When nobody answers, it counts as an error of the arm that was drawn.
// A server that is lost with requests in flight counts one error for its
// version: a crash is evidence against a version even though its requests are
// answered elsewhere, and one crash is one piece of evidence however many
// requests it took down. A server that can't be reached in the first place is
// no evidence. A client that goes away counts nothing, and neither does a named
// request, whose failures open no breaker either: the judge compares what chance
// assigned.
//
// A diverted request is an error of the version whose breaker was open, and
// does not count for the champion, who answered it.
//
// Copies count for the shadow. While there is one, the champion's blocks hold
// only the requests whose copies were answered, each in the block of its copy,
// so that the blocks of both are about the same requests; totals hold all. A
// server of either that is lost then fails the request that noticed it, in both.
//
// # Order of effects
//
// A flush makes the log's rows durable, then the counters, and the watermark
// that promises the rows last. Between flushes the counters are written at
// their own pace. Labels are durable before their request is answered.
//
// With a spool, rows go from memory to the disk twice a second: that is what a
// gateway loses that is killed. What it left there the next process of the same
// name uploads first, before it promises anything new; until then it keeps the
// old promise, so that no reader passes those rows. A segment of the spool
// gives the same objects whenever it is uploaded. Disks and stores that are out
// or full make rows wait in memory, and are counted when there is no room;
// requests never wait.
//
// # Watermark
//
// The watermark follows the requests alone: it is the latest event time seen,
// held back by requests in flight. Replayed traffic thus closes its days as it
// moves on, at any speed, and an endpoint that nobody calls stays where it is.
// Labels do not move it. A request that is older than the watermark is logged
// all the same; the monitor's maturity has to cover such stragglers.
package gateway
