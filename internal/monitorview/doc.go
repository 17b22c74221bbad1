// Package monitorview says in words and pictures what a monitor knows: for the
// terminal, for the page of one monitor, and for the demo's report.
//
// # Vocabulary
//
//   - An era is a run of blocks that were judged with one version as champion;
//     it has one colour in all pictures.
//   - What was expected is where eight in ten of the reference's blocks lay.
//   - Evidence is a detector's martingale; it alarms at the detector's threshold.
//   - Measured loss is that of labelled requests. The estimated loss is what the
//     model's own probabilities let expect before labels come; it has a picture of
//     its own and is never mixed with the measured.
package monitorview
