// Package textio reads CSV (RFC 4180) and JSON lines, plain or gzip, as columns
// with types. It reads on and on with a bounded memory, and says of what it
// can't read on which line that is.
//
// # Vocabulary
//
//   - A record is one row as a text; its cells are absent, bare (as a number is)
//     or quoted. Its line is where its first byte is.
//   - A column's type is declared, or guessed from all the values of the file, so
//     that the order of the rows does not matter.
//   - A bad value does not read as its column's type. It is counted and read as a
//     null; see dataset.BadValues.
//   - A broken file is one of which records can't be told: see Broken.
//
// JSON objects are read as flat: a list or an object in one makes its column one
// without a type, which can't be read.
//
// In CSV an empty cell without quotes is a null; with quotes it is a text
// without characters. Empty lines are passed over.
package textio
