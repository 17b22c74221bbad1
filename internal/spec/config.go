package spec

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// ReadConfig reads a file of another shape than a spec's as strictly as a spec:
// all problems at once, each with its line. Such files refer to secrets, and one
// may have been written out by mistake, so problems repeat nothing but the names
// of fields. check's models.Problems are located as well.
func ReadConfig[T any](path string, check func(T) error) (T, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var none T
		if errors.Is(err, os.ErrNotExist) {
			return none, (&page{file: path}).fail(located{Problem: models.Problem{Message: "there is no such file"}})
		}
		return none, fmt.Errorf("read configuration: %w", err)
	}
	return ParseConfig(path, text, check)
}

// ParseConfig is ReadConfig for text that is already there; file is the name in
// errors.
func ParseConfig[T any](file string, text []byte, check func(T) error) (T, error) {
	var value T
	p := &page{file: file, text: bytes.TrimPrefix(text, []byte("\ufeff")), discreet: true}
	if len(text) > maxFileBytes {
		return value, p.fail(located{Problem: models.Problem{Message: fmt.Sprintf("the file has %d bytes; it may have %d", len(text), maxFileBytes)}})
	}
	if err := p.decode(&value); err != nil {
		return value, err
	}
	return value, p.locate(check(value))
}

// discreetly leaves out what the parser quotes.
func discreetly(problem *located) *located {
	told, _, quotes := strings.Cut(problem.Message, ": ")
	hint := ""
	if quotes {
		hint = syntaxHint
	}
	return &located{Problem: models.Problem{Path: problem.Path, Message: told, Hint: hint}, position: problem.position}
}
