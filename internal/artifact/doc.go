// Package artifact keeps bytes in an S3 bucket: data, checkpoints, models,
// routes and logs.
//
// # Vocabulary
//
//   - A [Store] is one bucket. Its keys are slash-separated paths; its objects
//     are replaced as a whole and never changed in place.
//   - An ETag names the content of an object at one moment. A conditional put
//     writes only if the object is absent, or has a given ETag.
//   - A reference ([models.Ref]) is a URI with the SHA-256 and size of its
//     bytes. Whoever follows one verifies both.
//   - An object that is stored under objects/<SHA-256> is content-addressed:
//     storing it twice is storing it once.
//   - A tree is a directory: its files at <prefix>/<path>, and a manifest at
//     <prefix>.json that lists them with digests. The manifest is written last,
//     so a tree that has one is complete. Its reference is the tree's.
//   - An archive is a directory as one deterministic .tar.gz, for code.
//
// # What may be repeated
//
// Everything. A plain put replaces, a delete of nothing is success, trees and
// content-addressed objects that are already there are not sent again. Only
// conditional puts need care: after [ErrUnavailable] the write may have
// happened, and the next attempt may then fail with [ErrPreconditionFailed]
// because of its own predecessor. Read the object to find out.
//
// An upload or download that was interrupted goes on where it was: parts that
// the store has, and blocks that are in the part file beside the destination,
// are compared by CRC-64/NVME and don't travel again. docs/transfer.md has the
// guarantees.
//
// A file or directory that is fetched appears at its destination complete and
// verified, or not at all.
package artifact
