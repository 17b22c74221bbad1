// Package spec reads the file a person writes, says what is wrong with it and
// where, and turns its local paths into bytes that every host can fetch.
//
// # Vocabulary
//
//   - To load is to decode and validate: YAML or JSON in, a
//     models.LifecycleSpec out, nothing outside the file looked at.
//   - To resolve is to pack local paths, upload what is not there yet, and put
//     URI and digest in their place. A resolved spec is what the Lifecycle
//     workflow takes.
//   - A field path (data.window) is how models names a place in a spec; this
//     package knows the line and column of each.
//
// The accepted language is the part of YAML that JSON can express: no anchors,
// aliases, merges or tags, one document, every key once. What a person reads
// in the file is then what the engine is given.
package spec

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/mainspring-ml/mainspring/models"
)

// maxFileBytes bounds what the parser is fed; a spec is a page of text.
const maxFileBytes = 32 << 10

// Load reads and validates the spec at path. What is wrong with the content
// comes back as *Error, all of it at once.
func Load(path string) (models.LifecycleSpec, error) {
	document, err := Read(path)
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	return document.Spec, nil
}

// Document is a loaded spec that still knows where its fields were written.
type Document struct {
	Spec models.LifecycleSpec

	page
}

// Read is Load for callers that go on to resolve the spec.
func Read(path string) (*Document, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		missing := &Document{page: page{file: path}}
		return nil, missing.fail(located{Problem: models.Problem{Message: "there is no such file", Hint: "name the spec with -f"}})
	}
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	return Parse(path, text)
}

// Parse is Read for text that is already there; file is the name in errors.
func Parse(file string, text []byte) (*Document, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows write it
	document := &Document{page: page{file: file, text: text}}
	if len(text) > maxFileBytes {
		return nil, document.fail(located{Problem: models.Problem{
			Message: fmt.Sprintf("the file has %d bytes; a spec has at most %d", len(text), maxFileBytes),
			Hint:    "move data and large parameters to files in train.code"}})
	}
	if err := document.decode(&document.Spec); err != nil {
		return nil, err
	}
	return document, document.locate(document.Spec.Validate())
}
