// Package registry breaks registrations and promotions on a real stack: the
// test holds what comes out to the promises, and the command bench/registry
// publishes the figures.
//
// # Vocabulary
//
//   - A boundary is one kind of call to MLflow, by method and path.
//   - A fault is a way in which a call goes wrong. Those whose name ends in
//     "after" strike when the server has done what it was asked, and its answer
//     is lost.
//   - A strike is one fault at one call: the n-th at its boundary.
//   - The front stands between a worker and MLflow. It carries strikes out,
//     and counts calls.
//   - A slot is a Temporal namespace with one worker process of its own, so that
//     killing the worker disturbs nobody else.
//   - A seed is one model with two lifecycles, the second after the first, under
//     strikes that follow from its number.
//
// # What is real
//
// Temporal, S3, MLflow, the worker's process and its connections; the workflows
// Lifecycle, ModelSteward and Rollout; every activity that they call. Stand-ins
// prepare, train, evaluate and serve in a moment, and say what a gateway would
// have counted. Activities time out after seconds instead of a minute, so that a
// killed worker is noticed within the patience of a test.
package registry
