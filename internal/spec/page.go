package spec

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// page is the text of one file, and where its fields were written.
type page struct {
	file string
	text []byte
	// discreet pages may hold a secret by mistake: errors repeat none of their
	// values and lines.
	discreet  bool
	positions map[string]position // by field path
}

// decode checks the text against the type that into points at, and fills it.
func (p *page) decode(into any) error {
	root, problem := parse(p.text)
	if problem != nil {
		if p.discreet {
			problem = discreetly(problem)
		}
		return p.fail(*problem)
	}
	decoder := newDecoder(reflect.TypeOf(into).Elem())
	decoder.discreet = p.discreet
	value := decoder.decode(root)
	p.positions = decoder.positions
	if len(decoder.problems) > 0 {
		return p.fail(decoder.problems...)
	}
	encoded, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(encoded, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	return nil
}

// locate gives problems their line and column; other errors pass unchanged.
func (p *page) locate(err error) error {
	var problems models.Problems
	if !errors.As(err, &problems) {
		return err
	}
	places := make([]located, len(problems))
	for i, problem := range problems {
		places[i] = located{Problem: problem, position: p.find(problem.Path)}
	}
	return p.fail(places...)
}

// find returns the position of a field, or that of the nearest section around
// it that was written.
func (p *page) find(path string) position {
	for path != "" {
		if at, ok := p.positions[path]; ok {
			return at
		}
		path = parent(path)
	}
	return position{}
}

func (p *page) fail(problems ...located) error {
	e := &Error{File: p.file}
	if !p.discreet {
		e.text = p.text
	}
	for _, at := range problems {
		e.Problems = append(e.Problems, Problem{Problem: at.Problem, Line: at.line, Column: at.column})
	}
	slices.SortStableFunc(e.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
