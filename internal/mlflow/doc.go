// Package mlflow is a thin, typed client of MLflow's REST interface, made for
// programs that are retried. It needs nothing but net/http; why there is no
// library underneath is in docs/adr/0002-own-mlflow-client.md.
//
// # Vocabulary
//
//   - An experiment groups runs; its name is unique on the server, also among
//     deleted experiments.
//   - A run is one training. Its parameters are immutable: writing the same
//     value again is a no-op, another value an error.
//   - A registered model is a name with versions; an alias is a name for one of
//     its versions that can be moved.
//   - A claim is a tag by which one owner keeps others from writing to a
//     registered model; see [Client.ClaimModel].
//   - A key is the caller's idempotency key, in hexadecimal digits. MLflow knows
//     no such thing: the client keeps it as a tag and settles duplicates.
//
// # What may be repeated
//
// Every Ensure call may be repeated and raced with the same key: all callers
// get the same run or version, and one is left. Tags, aliases, batches and
// updates may be repeated with the same content: an equal metric (key, value,
// time, step) is stored once, so times must come from the caller's input and
// never from the clock of an attempt. The client itself retries reads, and
// writes that a limiter turned away; any other failed write is the caller's to
// repeat.
//
// # Errors
//
// Every failure is an *[Error] that wraps one of the sentinels when it belongs
// to a class. Classes follow MLflow's error_code and not the HTTP status,
// which the server does not use consistently.
package mlflow
