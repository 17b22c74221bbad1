package textio

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// readOurs reads all records through a window that is too small for most of them.
func readOurs(data []byte, comma string, buffer int) (all [][]string, err error) {
	r := &csvReader{lines: newLines(bytes.NewReader(data)), comma: []byte(comma)}
	r.buffer = make([]byte, buffer)
	for {
		found, err := r.read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		var texts []string
		for _, c := range found.cells {
			texts = append(texts, string(c.text))
		}
		all = append(all, texts)
	}
}

// readTheirs is the oracle.
func readTheirs(data []byte, comma rune) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord = comma, -1
	return r.ReadAll()
}

func same(a, b [][]string) bool {
	return slices.EqualFunc(a, b, func(x, y []string) bool { return slices.Equal(x, y) })
}

func csvSamples() []string {
	return []string{
		"", "\n", "\r\n", "\r", "a", "a\n", "a\r", "a\r\n", "a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\n\n1,2\n\r\n3,4",
		"\"a\"\n", "\"a\"\"b\"\n", "\"\"\n", "\"a\nb\",c\n", "\"a\r\nb\",\"c\r\r\n\"\n", "a,\"\"\n", ",\n", ",,\n,\n",
		"\"a\",\"b,c\",d\n\"\"\"\",x,\n", "\"a\"\r", "\"a\",\r\n", "a\rb\n", "\"a\"b\n", "a\"b\n", "\"a\n", "\"a\"\"\n", "\"a\nb\n\"c\n", "x,\"y\nz,w\"q\n", "\"", "\"\"\"", "\r\"\n",
		"ä,ö\n\"ü\",\xff\n", "\ufeffa\n", "a;b\n1;2\n", "a\x00b\n", "\"a\",b\"c\n1,\"2\n",
	}
}

func agree(t *testing.T, data []byte) {
	t.Helper()
	for _, comma := range []rune{',', ';', 'ä'} {
		theirs, want := readTheirs(data, comma)
		for _, buffer := range []int{1, 7, 4096} {
			ours, err := readOurs(data, string(comma), buffer)
			if (err == nil) != (want == nil) {
				t.Fatalf("%q cut at %q: %v, encoding/csv says %v", data, comma, err, want)
			}
			if err == nil && !same(ours, theirs) {
				t.Fatalf("%q cut at %q: %q, encoding/csv reads %q", data, comma, ours, theirs)
			}
		}
	}
}

func TestAgreesWithEncodingCSV(t *testing.T) {
	for _, text := range csvSamples() {
		agree(t, []byte(text))
	}
}

func FuzzCSV(f *testing.F) {
	for _, text := range csvSamples() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		agree(t, data)
		records, err := readOurs(data, ",", 64)
		if err != nil || bytes.IndexByte(data, '\r') >= 0 {
			return // line breaks inside of cells come back as one character
		}
		records = slices.DeleteFunc(records, func(r []string) bool { return slices.Equal(r, []string{""}) }) // written as an empty line
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.WriteAll(records); err != nil {
			t.Fatal(err)
		}
		again, err := readOurs(b.Bytes(), ",", 64)
		if err != nil || !same(again, records) {
			t.Fatalf("%q written as %q reads as %q, %v", records, b.Bytes(), again, err)
		}
	})
}

func TestBareAndQuotedCells(t *testing.T) {
	r, err := newCSV(strings.NewReader("a,b,c\n,\"\",x\n\"y\"\"\",2,\"3\"\n"), ",")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]cell{
		{{[]byte{}, bare}, {[]byte{}, quoted}, {[]byte("x"), bare}},
		{{[]byte("y\""), quoted}, {[]byte("2"), bare}, {[]byte("3"), quoted}},
	} {
		found, err := r.next()
		if err != nil || !slices.EqualFunc(found.cells, want, func(a, b cell) bool { return a.kind == b.kind && string(a.text) == string(b.text) }) {
			t.Errorf("%q, %v; want %q", found.cells, err, want)
		}
	}
}

func TestBrokenCSV(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "the file is empty",
		"\n\r\n":                         "the file is empty",
		"a,b\n1,2\n3\n":                  "line 3: the record has 1 cells, but the header names 2 columns",
		"a,b\n\n1,2,3\n":                 "line 3: the record has 3 cells, but the header names 2 columns",
		"a,b\n1,\"2\n3,4\n5,6\n":         "line 2: column 2 begins with a quote that is never closed",
		"a,b\n\"x\ny\",\"z\n":            "line 3: column 2 begins with a quote that is never closed",
		"a,b\n1,x\"y\n":                  "line 2: column 2 has a quote inside of a cell without quotes",
		"a,b\n1,\"x\n2,\"y\"\n":          "line 2: column 2 begins with a quote here and goes on after the quote that closes it on line 3",
		"a,b\n1,\"x\"y\n":                "line 2: column 2 begins with a quote here and goes on after the quote that closes it on line 2",
		"a,b,a\n":                        "line 1: two columns have the name \"a\"",
		"a,,b\n":                         "line 1: column 2 has no name",
		"a,b\xff\n":                      "line 1: the name of column 2 is no UTF-8",
		"a\n" + strings.Repeat(",", 2e4): "line 2: there are more than 10000 columns",
		"a\n\"" + strings.Repeat("x\n", maxRecord/2+firstBuffer): "line 2: the record that begins here has more than 16 MiB",
		"a\n" + strings.Repeat("x", maxRecord+firstBuffer):       "line 2: the record that begins here has more than 16 MiB",
	} {
		r, err := newCSV(strings.NewReader(text), ",")
		for err == nil {
			_, err = r.next()
		}
		var broken *Broken
		if !errors.As(err, &broken) || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestBrokenCSVHoldsNoValue(t *testing.T) {
	for _, text := range []string{"a,b\n1,\"secret\n", "a,b\nsecret\n", "a,b\n1,se\"cret\n", "a,b\n\"secret\"secret,1\n"} {
		r, err := newCSV(strings.NewReader(text), ",")
		for err == nil {
			_, err = r.next()
		}
		if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "cret") || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDelimiterHint(t *testing.T) {
	r, err := newCSV(strings.NewReader("a;b\n1,5;2\n"), ",")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.next()
	var broken *Broken
	if !errors.As(err, &broken) || !strings.Contains(broken.Hint, "data.csv.delimiter") {
		t.Errorf("%v, hint %q", err, broken.Hint)
	}
}
