package spec

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse feeds the parser what a person may have in a file. Whatever it is,
// the answer is a spec or problems, each with a place in the file unless it
// concerns the file as a whole or a section that is not there; and a spec that
// was accepted is the same when it is read again as the engine would write it.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/full.yaml", "testdata/full.json", "../../examples/flights/lifecycle.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{
		minimal, "", "a", "- [", "{a: {b: ", "model: &a\n<<: *a", "? x\n: y", "|\n a", "%YAML 1.2\n---\n", "!!map {a: 1}", "a: .inf",
		"---\n---\n", "\ufeffmodel: {}", "model: &a {name: x}\ndata: *a\n", "data:\n  checks:\n    range: {distance: {min: 1e999}}\n",
		"data:\n  columns:\n    a.b: {sensitive: keep}\n    ? [x]\n    : {}\n", "data:\n  split: {by: hash, fraction: .2}\n  csv: {delimiter: \"\\t\"}\n",
		"data: {as_of: 2013-02-30, window: 60dd, retention: -1h}", "train:\n  command: [python\n", "model: {name: a}\nmodel: {name: b}\n",
		"data:\n\tsource: x\n", "a: !!binary x", "? a\n", "- a\n- b\n", "{\"data\": {\"checks\": {\"severity\": {\"nulls.\": \"warn\"}}}}",
		"data: {prepare: {command: [sh], per: source, resources: {gpus: 0.5}}}", "data: {checks: {max_leak: .nan, max_shift: .inf, freshness: 1d}}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		document, err := Parse("lifecycle.yaml", text)
		if err == nil {
			if err := document.Spec.Validate(); err != nil {
				t.Fatalf("accepted an invalid spec: %v", err)
			}
			readsBack(t, document)
			return
		}
		var problems *Error
		if !errors.As(err, &problems) {
			t.Fatalf("%T, not problems with places: %v", err, err)
		}
		if len(problems.Problems) == 0 || strings.TrimSpace(problems.Error()) == "" {
			t.Fatal("it failed and says nothing")
		}
		lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + 1
		for _, p := range problems.Problems {
			if p.Message == "" || p.Line < 0 || p.Line > lines || (p.Line > 0) != (p.Column > 0) {
				t.Errorf("%q at %d:%d of %d lines", p.Message, p.Line, p.Column, lines)
			}
			if top, _, _ := strings.Cut(p.Path, "."); p.Line == 0 && document != nil && document.positions[top] != (position{}) {
				t.Errorf("%s is written, and no line is named: %s", top, p.Message)
			}
		}
	})
}

func readsBack(t *testing.T, document *Document) {
	t.Helper()
	written, err := json.Marshal(document.Spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.json", written)
	if err != nil {
		t.Fatalf("accepted once and refused as %s: %v", written, err)
	}
	if !reflect.DeepEqual(again.Spec, document.Spec) {
		t.Errorf("read\n%+v\nand then\n%+v", document.Spec, again.Spec)
	}
}
