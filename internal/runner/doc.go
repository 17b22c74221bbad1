// Package runner runs processes that outlive the program that started them:
// the ranks of a training, or a model server. It needs Linux.
//
// # Vocabulary
//
//   - A job is a set of processes that live and die together. Its key is the
//     name of its directory, and starting the same key again attaches to it.
//   - The shim is the job's parent: a small process in a session of its own.
//     It starts the processes, records how they end, and ends what is left.
//   - A fence remembers who has claimed a device: tokens, keys and shares, see
//     package fencing. Tokens only grow: a job with a lower token is refused
//     when newer ones leave no room for it, one with a higher token first ends
//     the older jobs that do not fit beside it. A whole device has one job.
//   - A stray is a process of a job whose shim is gone.
//
// # Files below a root
//
//	fences/<device>.json   the fence; <device>.lock is held while a job starts
//	jobs/<key>/job.json    what to run; never an environment, which may hold secrets
//	jobs/<key>/lock        held by the shim as long as it lives
//	jobs/<key>/state.json  what the shim has done
//	jobs/<key>/alive       touched by whoever watches over the job
//	jobs/<key>/stop        asks the shim to end the job; holds the reason
//
// # Order of writes
//
// Everything may be killed between any two steps:
//
//  1. The fence is raised. From here on no job without a claim can start on the
//     device, because a shim reads the fences after it has taken its lock.
//  2. Jobs on the device whose claim is gone are found by their held locks, and
//     ended.
//  3. job.json is written, then the shim is started. A shim that another one
//     beat to the lock, or that finds state.json, leaves at once: a job's
//     processes are started at most once.
//  4. state.json is written with the shim's own identity before the first
//     process starts, with all processes after the last one has, and again
//     whenever one ends.
//
// A free lock without a finished state therefore means that the shim was
// killed. The kernel kills its processes with it; their descendants are strays,
// which are recognised by a mark in their environment and ended by whoever
// notices. A process is never identified by its number alone.
package runner
