// Package dataset decides what a snapshot holds: which rows of which columns,
// on which side of the split, and whether they keep what the spec asks of
// them. It reads no clock and does no I/O; package parquetio reads and writes
// the tables, and the activities carry its answers out.
//
// # Vocabulary
//
//   - A table is rows by column; a series is one column of it.
//   - A partition is one file of the source. Its share of a snapshot is the
//     rows that the window covers, on two sides: train and test.
//   - A row is known when its label was known at AsOf. Rows that are not known
//     are counted and left out, as they would have been missing on that day.
//   - A block is a span of event time; its loss is the mean over its rows.
package dataset
