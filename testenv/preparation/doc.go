// Package preparation proves on real servers that preparing data loses nothing
// and reads nothing twice, however workers die.
//
// # Vocabulary
//
//   - A slot is a namespace and a bucket of its own, with some workers.
//   - A fate is the moment at which a slot's workers kill themselves: before an
//     activity does anything, or when it has done everything and has not said so.
//     Each step is died at once; the journal has a file for each.
//   - A spoiled partition is one whose file is deleted as soon as its task has
//     done everything: whoever read it again would fail.
package preparation
