// Package gate decides whether a candidate may be registered. It holds the
// evidence that package metric measured against what a spec asks for, and is
// arithmetic without clock, I/O or randomness.
//
// # Vocabulary
//
//   - A figure is a metric over many rows with its interval.
//   - A block is a span of event time. Rows of one block resemble each other, so
//     blocks, not rows, are resampled.
//   - The gain is by how much the candidate is better than the champion on the
//     same rows; above 0 it is, whatever the metric's direction.
//   - A check holds one figure against one limit. A ruling is a check of a slice.
//   - A verdict is pass, fail or inconclusive; missing evidence is inconclusive.
package gate
