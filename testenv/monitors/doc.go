// Package monitors proves on a real Temporal server, real S3 and real worker
// processes that a monitor says the same whatever happens to it: its worker
// killed at every step, its history cut into runs, the server down for days.
//
// # Vocabulary
//
//   - A world is what was asked of an endpoint day by day, and how it turned
//     out: labels that are late, corrected, repeated or never come, among them.
//     It follows from a seed alone.
//   - A gateway writes a world into S3, as far as the story has come. It stands
//     for the real one, which would need a year to serve a year.
//   - A story is the same for every run: days that go by, and what the steward
//     answers at which day. The first run of it is undisturbed.
//   - A trial is a run of the story to which something happens. What it leaves,
//     its account, must equal that of the undisturbed run.
//   - A slot is a Temporal namespace with a worker process of its own. Workers
//     kill themselves when they reach a step for the first time: nobody from
//     outside can hit every step.
package monitors
