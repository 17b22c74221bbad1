// Package copying moves snapshots, models and other objects from one store to
// another, and can be killed at any moment.
//
// # Vocabulary
//
//   - An item is one object: where it comes from, its key below the destination,
//     its size and, if it is known, its digest.
//   - A seal is what makes items a whole: a manifest, which names their digests.
//   - A plan is the items and seals of one copy. Making one reads manifests and
//     listings, and writes nothing.
//   - A destination is a prefix of a bucket, or a directory of this host.
//   - Bytes are proven when their SHA-256 is the one that they must have.
//
// # The order of effects
//
// An item appears at its destination when its bytes are complete and have their
// digest. Items that look like manifests come after all others, and seals after
// all items, in their order. So whatever has a manifest is complete, and a copy
// that is run again sends what is not there yet.
package copying
