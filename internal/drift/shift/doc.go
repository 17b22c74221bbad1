// Package shift says how live traffic differs from the rows that a model was
// judged on, and how much of a rise of its loss each difference explains. It is
// arithmetic without clock, I/O or hidden randomness.
//
// # Vocabulary
//
//   - The reference is the champion's own rows that it was not trained on: those
//     with an out-of-fold prediction, and those held out. It fixes the bins of
//     every feature, the cuts of every slicing, and the calibration.
//   - A bin is where a feature's value falls: an interval of numbers, a frequent
//     category, one of the rare categories, a category that the reference does
//     not have, or no value. The bins of two blocks are comparable because both
//     come from one reference. Where the profile of the champion's snapshot is known,
//     they come from it, so that what a monitor shows can be held against it.
//   - A slicing cuts all rows by one column; its slices are the parts.
//   - A row is kept as codes, one byte for each feature's bin and one for each
//     slicing's slice. Reading values and counting rows are thus apart: labels
//     and duplicates may be found out in between.
//   - A Block is the sums of one block's rows: a histogram per feature, and rows
//     and loss per slice. Blocks of the reference and of live traffic are the
//     same thing, and are compared as such.
//   - The unit of all evidence is the block. Rows within a block are alike (one
//     day has one weather), so that tests that take rows for independent cry
//     every week. Their p-values are reported for comparison with other tools,
//     and decide nothing.
package shift
