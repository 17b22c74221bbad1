// Package official holds events and schemas against openlineage-python, whose
// classes are generated from the published schemas. It is for tests; see
// official.py for what is held against what.
package official

import (
	"bytes"
	"context"
	_ "embed" // the program
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

//go:embed official.py
var program string

// refused is the exit code that says that the answers have complaints.
const refused = 3

// Events returns what is wrong with each event, and where; nothing: it is right.
// Python is an interpreter that has the client, and events are JSON, one a line.
func Events(ctx context.Context, python string, events []byte) ([][]string, error) {
	return ask(ctx, python, "events", events)
}

// Schemas returns how each type in a file of JSON Schemas by URL differs from
// the published one.
func Schemas(ctx context.Context, python string, schemas []byte) ([][]string, error) {
	return ask(ctx, python, "schemas", schemas)
}

func ask(ctx context.Context, python, what string, input []byte) (answers [][]string, err error) {
	var out, complaint bytes.Buffer
	command := exec.CommandContext(ctx, python, "-I", "-B", "-c", program, what)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &out, &complaint
	var exit *exec.ExitError
	if err := command.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != refused) {
		return nil, fmt.Errorf("hold %s against OpenLineage's client: %w: %s", what, err, bytes.TrimSpace(complaint.Bytes()))
	}
	for decoder := json.NewDecoder(&out); ; {
		var answer []string
		if err := decoder.Decode(&answer); errors.Is(err, io.EOF) {
			return answers, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what OpenLineage's client says of %s: %w", what, err)
		}
		answers = append(answers, answer)
	}
}
