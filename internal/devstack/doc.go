// Package devstack installs and runs what a laptop needs around Mainspring:
// a Temporal dev server, an S3 server and MLflow, as child processes.
//
// # Vocabulary
//
//   - An item is something that set-up installs: uv, the Temporal CLI, the S3
//     server, the MLflow environment, ONNX Runtime.
//   - The cache holds items for all clones of a user, each in a directory
//     named by its version and a digest of everything it was made from. A
//     directory appears by rename, so it is complete or absent.
//   - The state directory (.mainspring/dev) holds everything of one stack: the
//     servers' data, logs, credentials, and stack.json, which tells clients
//     where the running stack is. One stack at a time uses it.
//   - A server is a process of the stack that Mainspring does not implement; a
//     program is one of Mainspring's own (worker, agent, gateway).
//   - The mark is a pair of environment variables that every process of a
//     stack inherits. By it, processes that left their supervisor (training
//     shims) are found and ended with the stack, and never a stranger whose
//     process ID happens to be the same.
//   - The watchdog is a small process that ends what is marked when the stack
//     itself is killed.
//
// Setup and Doctor deal with items, Start and Discover with the stack.
package devstack
