package spec

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/models"
)

// Error is everything wrong with one file, from its top to its bottom.
type Error struct {
	File     string
	Problems []Problem

	text []byte
}

// Problem is a problem and the place it was found at. Line and Column start at
// 1; both are 0 when the whole file is meant.
type Problem struct {
	models.Problem
	Line, Column int
}

func (p Problem) at() position { return position{p.Line, p.Column} }

// Error implements error. Each problem is file:line:column, the message, and
// the line with a caret beneath, as compilers write it:
//
//	lifecycle.yaml:9:3: data: unknown field `widnow`; did you mean `window`?
//	    9 |   widnow: 60d
//	      |   ^
func (e *Error) Error() string {
	var lines []string // none are shown of a discreet page
	if e.text != nil {
		lines = strings.Split(string(e.text), "\n")
	}
	var b strings.Builder
	for i, problem := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.File)
		if problem.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", problem.Line, problem.Column)
		}
		fmt.Fprintf(&b, ": %s", problem.String())
		// Problems of one place share its excerpt.
		shared := i+1 < len(e.Problems) && e.Problems[i+1].at() == problem.at()
		if problem.Line > 0 && problem.Line <= len(lines) && !shared {
			writeExcerpt(&b, lines[problem.Line-1], problem.Line, problem.Column)
		}
	}
	return b.String()
}

// Unwrap lets callers find the plain problems.
func (e *Error) Unwrap() error {
	problems := make(models.Problems, len(e.Problems))
	for i, problem := range e.Problems {
		problems[i] = problem.Problem
	}
	return problems
}

// excerptWidth keeps a long line (a JSON file without line breaks) readable.
const excerptWidth = 100

func writeExcerpt(b *strings.Builder, line string, number, column int) {
	runes := []rune(strings.TrimRight(strings.ReplaceAll(line, "\t", " "), "\r"))
	caret := min(max(column-1, 0), len(runes))
	if start := caret - excerptWidth/2; len(runes) > excerptWidth && start > 0 {
		runes, caret = runes[start:], caret-start
	}
	if len(runes) > excerptWidth {
		runes = runes[:excerptWidth]
	}
	fmt.Fprintf(b, "\n%5d | %s\n      | %s^", number, string(runes), strings.Repeat(" ", caret))
}

// position is a place in the file; the zero value is the file as a whole.
type position struct{ line, column int }

// located is a problem at a place.
type located struct {
	models.Problem
	position
}

// parent cuts the last field or index off a path.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// validText reports whether text can be shown to a person line by line.
func validText(text []byte) bool {
	return utf8.Valid(text) && !strings.ContainsRune(string(text), 0)
}
