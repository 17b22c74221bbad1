// Package figures puts what a command has measured into a document, between two
// marks that name the command: figures are never written by hand.
package figures

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// EndMark is the line after the figures.
const EndMark = "<!-- /figures -->"

// BeginMark is the line before them.
func BeginMark(command string) string { return "<!-- figures: " + command + " -->" }

// WriteInto replaces what stands between the marks of a document.
func WriteInto(path, command, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	written, err := Replace(string(document), command, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(written), 0o644)
}

// Replace returns the document with the text between the marks.
func Replace(document, command, text string) (string, error) {
	before, rest, found := strings.Cut(document, BeginMark(command))
	_, after, closed := strings.Cut(rest, EndMark)
	if !found || !closed {
		return "", fmt.Errorf("the lines %q and %q must be there, in this order", BeginMark(command), EndMark)
	}
	return before + BeginMark(command) + "\n" + text + EndMark + after, nil
}

// Output is where a command's figures go beside its standard output.
type Output struct {
	JSON  bool   // print the report as JSON, not as text
	Write string // a document to put the text into; empty: none
}

// Register declares the flags -json and -write.
func (o *Output) Register(flags *flag.FlagSet) {
	flags.BoolVar(&o.JSON, "json", false, "print JSON")
	flags.StringVar(&o.Write, "write", "", "document to write the figures into")
}

// Print prints a report and puts its text into the document.
func (o Output) Print(out io.Writer, command string, report any, text string) error {
	if o.Write != "" {
		if err := WriteInto(o.Write, command, text); err != nil {
			return err
		}
	}
	if !o.JSON {
		_, err := io.WriteString(out, text)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
