package models

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a spec.
type Problem struct {
	Path    string `json:"path"`    // field, such as data.window or train.command[0]
	Message string `json:"message"` // what is wrong
	Hint    string `json:"hint,omitempty"`
}

// String writes "data.window: message (hint)".
func (p Problem) String() string {
	s := p.Message
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Problems are everything that is wrong with a spec, in the spec's order. It
// is the error that Validate returns.
type Problems []Problem

// Error implements error: one problem on a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// err is nil for no problems, so that callers can compare with nil.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// section collects the problems of one part of the spec.
type section struct {
	path     string
	problems *Problems
}

func sectionAt(path string) section { return section{path: path, problems: new(Problems)} }

// sub is the section of a field; its problems go to the same list.
func (s section) sub(field string) section {
	return section{path: join(s.path, field), problems: s.problems}
}

func (s section) add(field, hint, format string, args ...any) {
	*s.problems = append(*s.problems, Problem{Path: join(s.path, field), Message: fmt.Sprintf(format, args...), Hint: hint})
}

// check adds a problem unless ok.
func (s section) check(ok bool, field, hint, format string, args ...any) {
	if !ok {
		s.add(field, hint, format, args...)
	}
}

// fraction accepts the open interval: a rate of 0 or 1 is never what is meant.
func (s section) fraction(field string, v float64) {
	s.check(v > 0 && v < 1, field, "", "is %v; it must be above 0 and below 1", v)
}

func (s section) atLeast(field string, v, least int64) {
	s.check(v >= least, field, "", "is %d; it must be at least %d", v, least)
}

func (s section) positive(field string, d Duration) {
	const hint = "write a number and a unit, such as 90s, 36h or 60d"
	if d == 0 { // durations with a default are never 0 here
		s.add(field, hint, "is missing, or 0")
		return
	}
	s.check(d > 0, field, hint, "is %s; it must be longer than 0", d)
}

func (s section) required(field, v, hint string) bool {
	s.check(v != "", field, hint, "is missing")
	return v != ""
}

// name checks what becomes part of workflow IDs, object keys and URLs.
func (s section) name(field, v string) {
	if !s.required(field, v, "a name of letters, digits, '-', '_' and '.'") {
		return
	}
	s.check(namePattern.MatchString(v), field, "",
		"is %q; a name has letters, digits, '-', '_' and '.', starts with a letter or digit, and is at most 100 long", v)
}

var (
	namePattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	sha256Pattern   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func join(path, field string) string {
	switch {
	case path == "":
		return field
	case field == "" || strings.HasPrefix(field, "["):
		return path + field
	default:
		return path + "." + field
	}
}

// quoted lists alternatives in an error: "a, b or c".
func quoted[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// oneOf accepts only the given values.
func oneOf[T ~string](s section, field string, v T, allowed ...T) {
	s.check(slices.Contains(allowed, v), field, "", "is %q; it must be %s", v, quoted(allowed))
}
