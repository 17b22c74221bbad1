// Package checks judges the rows of a preparation. Evidence comes in, what
// package profile and the steps of a preparation have counted; results come
// out, one for each check and column, and an error if the rows must not be
// trained on. Nothing is read or counted here.
//
// # Vocabulary
//
//   - A check is a question with a limit; models.DataCheckNames lists them. Each
//     family of checks has a file.
//   - A figure is what was seen, and a limit what is allowed, in the unit that the
//     check's file names.
//   - A check that can't be made is skipped, with the reason; it has not passed.
//   - The baseline is the profile of the rows that the champion was trained on;
//     traffic is what the champion's endpoint has logged.
//   - An offender is one of the first rows that break a rule. Its value is
//     models.Masked where the column is sensitive; no message holds a value of
//     such a column.
//   - The brief of some results is few enough of them to travel in histories.
package checks
