// Package infer guesses the data section of a spec from what a source looks
// like, for a person to edit. It does no I/O: profiles come in, YAML comes out.
//
// # Vocabulary
//
//   - A role is what a column is used as: key, time, label, label time, feature.
//   - A guess is a role, a limit or a sensitivity that the source suggests. Each
//     has its reason, which becomes a comment beside it.
//   - What is settled was said by a person and is not guessed.
//   - A draft is guessed from the columns one by one. Holding it against the rows,
//     which takes a second pass, drops what the rows contradict: a key that repeats,
//     a label time before its event, a feature that is the answer.
package infer
