// Package snapshots says where prepared data lies in the artifact store, who
// uses it, and how it goes away again without anybody losing what he counts on.
//
// # Vocabulary
//
//   - A snapshot is a manifest and the files that it names. Its digest is the
//     manifest's. The files are objects/<digest>, and snapshots share them.
//   - A use says that a workflow counts on a snapshot, and how long after that
//     the snapshot is to be kept.
//   - A snapshot's state is live, condemned (it goes unless somebody uses it
//     within the grace) or deleting (it goes, and can't be used). No state is
//     live: snapshots of earlier versions have none.
//   - A life of a snapshot begins when its state is written where none was, and
//     ends when its state is deleted, as the last of its objects. The same digest
//     may have another life later.
//   - The intent is the one object that says which files a collection is about to
//     delete.
//
// # Order
//
// Whoever publishes or uses a snapshot makes its state live, with the digests of
// all its files; then writes the use; then reads the state again, which must be
// live and of the same life; then reads the intent, which must name none of the
// files; then looks whether all files are there; and only then writes the
// manifest. A collection makes a state condemned and, a grace later, deleting;
// only after that it reads who uses the snapshot. It writes the intent, deletes
// the manifest, and then reads the states and manifests of all other snapshots;
// files that one of them names stay.
//
// Each side writes before it reads what the other writes, so at least one of
// them sees the other. docs/adr/0012-deleting-snapshots.md has the argument.
package snapshots
