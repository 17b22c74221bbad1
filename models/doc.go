// Package models is Mainspring's contract: what a person writes, what the
// workflows answer, and what the activities promise. It imports the standard
// library only, so that any Go service can start and follow a lifecycle
// without linking the engine.
//
// # Vocabulary
//
//   - A lifecycle carries one candidate from raw data to a verdict: prepare,
//     train, evaluate, register, roll out.
//   - A snapshot is the prepared, content-addressed data of one lifecycle.
//   - A device is one accelerator (or MIG instance), named by its UUID. A lease
//     lends devices to one holder; its fencing token is larger than that of
//     every lease before it.
//   - A gang is a set of ranks that start together or not at all.
//   - A model version is a trained artifact that has been registered. The
//     champion is the version that answers an endpoint's traffic; a challenger
//     is on its way there.
//   - A verdict has three values: pass, fail, inconclusive. Missing evidence is
//     inconclusive, and inconclusive never promotes.
//   - A block is a span of event time (a day by default) judged as one
//     observation. A block is mature once its labels are known.
//
// # Files
//
// names.go has workflow types, task queues, identifiers and message names;
// spec.go the file a person writes and validate.go what is wrong with it; one
// file per capability has its requests, results and activity interface;
// errors.go the failures that a caller can tell apart.
package models
