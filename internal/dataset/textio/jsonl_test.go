package textio

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
)

// readObjects reads all objects as texts by name: strings as they are behind a
// quote, other values as they are written.
func readObjects(data []byte) (all []map[string]string, err error) {
	r := newJSON(bytes.NewReader(data))
	r.buffer = make([]byte, 5)
	for {
		found, err := r.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		object := map[string]string{}
		for i, c := range found.cells {
			switch c.kind {
			case bare:
				object[r.columns[i]] = string(c.text)
			case quoted:
				object[r.columns[i]] = `"` + string(c.text)
			case nested:
				object[r.columns[i]] = "nested"
			case absent:
			}
		}
		all = append(all, object)
	}
}

// decoded reads one line with encoding/json; false: it is no object, or has a name
// twice.
func decoded(line []byte) (map[string]string, bool) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	object, names := map[string]string{}, map[string]bool{}
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return nil, false
	}
	for decoder.More() {
		token, err := decoder.Token()
		name, named := token.(string)
		if err != nil || !named || name == "" || names[name] {
			return nil, false
		}
		names[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, false
		}
		switch value[0] {
		case '"':
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return nil, false
			}
			object[name] = `"` + text
		case '[', '{':
			object[name] = "nested"
		case 'n':
		default:
			object[name] = string(value)
		}
	}
	_, err := decoder.Token()
	_, end := decoder.Token()
	return object, err == nil && errors.Is(end, io.EOF) && json.Valid(line)
}

func jsonSamples() []string {
	return []string{
		"", "\n", "{}\n", `{"a":1}`, "{\"a\":1,\"b\":\"x\"}\r\n\n {\"b\":null,\"a\":-1.5e3} \n", `{"a":true,"b":false,"c":null}`,
		`{"a":"\u00e4\n\"ö"}`, `{"ä":1}` + "\n" + `{"\u00e4":2}`, `{"a":1}{"a":2}`, `{"a":1,}`, `{"a":[1,{"b":[]}],"c":{"a":2}}`, `{"a":[}`, `{"a":[1]}`, `{"a":{}}`, `{"a":1,"a":2}`, `{"":1}`,
		`[{"a":1}]`, `{"a":01}`, `{"a":1`, `{"a"`, `{`, `"x"`, `{"a":123456789012345678901234567890}`, "{\"a\":\"\xff\"}", `{"a":1e999}`, `{"a":NaN}`, "\xff",
		`{"a":1}` + "\n" + `{"b":2,"a":3}` + "\n" + `{"a":4}`,
	}
}

func agreeJSON(t *testing.T, data []byte) {
	t.Helper()
	ours, err := readObjects(data)
	var theirs []map[string]string
	ok := true
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		object, flat := decoded(line)
		if !flat || !bytes.Equal(line, bytes.ToValidUTF8(line, []byte("?"))) {
			ok = false
			break
		}
		theirs = append(theirs, object)
	}
	if (err == nil) != ok {
		t.Fatalf("%q: %v, encoding/json reads it: %v", data, err, ok)
	}
	for i := range ours {
		if !maps.Equal(ours[i], theirs[i]) {
			t.Fatalf("%q: %q, encoding/json reads %q", data, ours[i], theirs[i])
		}
	}
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range jsonSamples() {
		agreeJSON(t, []byte(text))
	}
}

func FuzzJSONLines(f *testing.F) {
	for _, text := range jsonSamples() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		agreeJSON(t, data)
		objects, err := readObjects(data)
		if err != nil {
			return
		}
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		for _, object := range objects {
			values := map[string]any{}
			for name, text := range object {
				if content, quoted := strings.CutPrefix(text, `"`); quoted {
					values[name] = content
				} else if text == "nested" {
					values[name] = []int{1}
				} else {
					values[name] = json.RawMessage(text)
				}
			}
			if err := encoder.Encode(values); err != nil {
				t.Fatal(err)
			}
		}
		again, err := readObjects(b.Bytes())
		if err != nil || len(again) != len(objects) {
			t.Fatalf("%q written as %q: %v", data, b.Bytes(), err)
		}
		for i := range again {
			if !maps.Equal(again[i], objects[i]) {
				t.Fatalf("%q written as %q reads as %q", objects[i], b.Bytes(), again[i])
			}
		}
	})
}

func TestBrokenJSON(t *testing.T) {
	for text, want := range map[string]string{
		"\n{\"a\":1,\"a\":2}":     `line 2: the object has the name "a" twice`,
		`{"":2}`:                  "line 1: the object has an empty name",
		"[\n{\"a\":1}\n]":         "line 1: there is a list, not an object",
		"{\"a\":1}\n{\"a\":secr}": "line 2: this is no JSON object, as byte 6 shows",
		"{\"a\":1}\n{\"a\":":      "line 2: this is no JSON object, as byte 6 shows",
		"{\"a\":\"\xff\"}":        "line 1: the text is no UTF-8",
		"{\"a\":\"" + strings.Repeat("x", maxRecord+firstBuffer): "line 1: the record that begins here has more than 16 MiB",
	} {
		_, err := readObjects([]byte(text))
		var broken *Broken
		if !errors.As(err, &broken) || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}
