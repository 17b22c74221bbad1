// Package profile finds out, in one pass over the rows of a partition, what
// they look like and what is wrong with them. It does no I/O: chunks of rows
// come in, a Profile and an Evidence come out; both of several partitions merge.
// Nothing is judged here: limits are package dataset's and its callers'.
//
// # Vocabulary
//
//   - A side is where a row goes: it trains, it tests, or it is on neither. Whoever
//     feeds the pass decides that; see Side.
//   - A profile says what the rows of each side look like, column by column.
//   - A bucket is an interval of numbers that no data chooses: numbers with the
//     same sign, exponent and first seven bits of the mantissa (1/128 of their
//     size), and for times a day in UTC. Counts in buckets add up exactly in any
//     order on any machine, and any two profiles can be compared.
//   - A value's count is exact while a column has at most MaxValues different ones;
//     beyond that the frequent ones are kept, with a bound on what their counts
//     lack, and the number of different ones is estimated.
//   - Evidence is what checks need beside the profile: findings, associations and
//     hashes.
//   - A finding is how many rows break a rule of the spec, and the first of them.
//   - An association is how often which label meets which value of a feature: what
//     a feature explains of the label.
//   - A run is the sorted 64-bit hashes of one column, or of whole rows, of one
//     partition; merging runs finds what repeats across partitions.
//
// A merge's order matters for nothing but the frequent values of a column with
// more than MaxValues different ones, whose bound holds in any order, and for
// associations of task regression, which sum floats. Who merges in the order of
// the partitions' names gets the same bytes on any machine.
//
// A sensitive column has rows, nulls and lengths in a profile, and nothing that
// its values could be found out from: no extreme, no bucket, no value, no number
// of different ones. Its offending rows have models.Masked for a value. Runs
// are hashes, and anybody can try values where they have no seal: see Plan.Secret.
package profile
