package textio

import (
	"fmt"
	"strings"
)

// Broken says why a file's records can't be told. It holds no values.
type Broken struct {
	Line   int64 // 0: the file as a whole
	Reason string
	Hint   string
}

// Error implements error.
func (b *Broken) Error() string {
	var text strings.Builder
	if b.Line > 0 {
		fmt.Fprintf(&text, "line %d: ", b.Line)
	}
	text.WriteString(b.Reason)
	return text.String()
}

func brokenAt(line int64, format string, args ...any) *Broken {
	return &Broken{Line: line, Reason: fmt.Sprintf(format, args...), Hint: "correct the line, or write the file again"}
}

const (
	writeAgain = "write the file again; its writer may have been interrupted"
	// maxRecord bounds a record, and so the memory for one.
	maxRecord = 16 << 20
	// maxColumns bounds what a header or a file of objects may name.
	maxColumns = 10_000
)

func tooLong(line int64) *Broken {
	b := brokenAt(line, "the record that begins here has more than %d MiB", maxRecord>>20)
	b.Hint = "see whether a quote is missing, or the file is no text"
	return b
}

func tooMany(line int64) *Broken { return brokenAt(line, "there are more than %d columns", maxColumns) }
