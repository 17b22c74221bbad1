package textio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// csvReader reads what encoding/csv reads, and tells bare cells from quoted
// ones, which encoding/csv does not.
type csvReader struct {
	lines
	comma  []byte
	header []string
	cells  []cell
	plain  []byte // the record's cells that had quotes in them
}

func newCSV(source io.Reader, comma string) (*csvReader, error) {
	r := &csvReader{lines: newLines(source), comma: []byte(comma)}
	first, err := r.read()
	if errors.Is(err, io.EOF) {
		return nil, &Broken{Reason: "the file is empty", Hint: writeAgain}
	}
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(first.cells))
	for i, c := range first.cells {
		name := string(c.text)
		switch {
		case !utf8.ValidString(name):
			return nil, brokenAt(first.line, "the name of column %d is no UTF-8", i+1)
		case name == "":
			return nil, brokenAt(first.line, "column %d has no name", i+1)
		case seen[name]:
			return nil, brokenAt(first.line, "two columns have the name %q", name)
		}
		seen[name] = true
		r.header = append(r.header, name)
	}
	return r, nil
}

func (r *csvReader) names() []string { return r.header }

// next implements records.
func (r *csvReader) next() (record, error) {
	found, err := r.read()
	if err == nil && len(found.cells) != len(r.header) {
		err = r.misfit(found)
	}
	return found, err
}

func (r *csvReader) misfit(found record) error {
	b := brokenAt(found.line, "the record has %d cells, but the header names %d columns", len(found.cells), len(r.header))
	if len(r.header) != 1 {
		return b
	}
	names := map[string]string{";": "';'", "\t": "a tab", ",": "a comma", "|": "'|'"}
	if name := names[dataset.LikelyDelimiter(r.header[0])]; name != "" {
		b.Hint = fmt.Sprintf("see whether cells end with %s: set data.csv.delimiter", name)
	}
	return b
}

// read reads a record of any length and passes it.
func (r *csvReader) read() (record, error) {
	for {
		end, err := r.lineEnd(0)
		if err != nil {
			return record{}, err
		}
		if end == 0 {
			return record{}, io.EOF
		}
		found := record{line: r.line, bytes: end}
		text := withoutBreak(r.window(end))
		switch {
		case len(text) == 0:
			r.pass(end, 1)
			continue
		case bytes.IndexByte(text, '"') >= 0:
			return r.readQuoted(end)
		case len(r.comma) == 1:
			r.cells = split(r.cells[:0], text, r.comma[0])
		default:
			r.cells = r.cells[:0]
			for part := range bytes.SplitSeq(text, r.comma) {
				r.cells = append(r.cells, cell{part, bare})
			}
		}
		if len(r.cells) > maxColumns {
			return record{}, tooMany(r.line)
		}
		r.pass(end, 1)
		found.cells = r.cells
		return found, nil
	}
}

func split(cells []cell, text []byte, comma byte) []cell {
	start := 0
	for i, c := range text {
		if c == comma {
			cells = append(cells, cell{text[start:i:i], bare})
			start = i + 1
		}
	}
	return append(cells, cell{text[start:], bare})
}

// readQuoted reads a record with quotes, of which the first line ends at a place.
// A line break belongs to it after an odd number of them.
func (r *csvReader) readQuoted(end int) (record, error) {
	breaks := 1
	var cut error
	for open := bytes.Count(r.window(end), []byte{'"'})%2 == 1; open; {
		next, err := r.lineEnd(end)
		if err != nil || next == end {
			cut = err
			break // what is there may say why
		}
		open = bytes.Count(r.window(next)[end:], []byte{'"'})%2 == 0
		end = next
		breaks++
	}
	if b := (*Broken)(nil); cut != nil && !errors.As(cut, &b) {
		return record{}, cut
	}
	found := record{line: r.line, bytes: end}
	if err := r.fields(withoutBreak(r.window(end)), cut); err != nil {
		return record{}, err
	}
	r.pass(end, breaks)
	found.cells = r.cells
	return found, nil
}

// fields divides a record with quotes. Cut is why it was not read to its end.
func (r *csvReader) fields(text []byte, cut error) error {
	r.cells = r.cells[:0]
	if cap(r.plain) < len(text) {
		r.plain = make([]byte, 0, 2*len(text)) // never moved below: cells point into it
	}
	r.plain = r.plain[:0]
	for rest := text; ; {
		var c cell
		n := len(rest)
		if len(rest) > 0 && rest[0] == '"' {
			var closed bool
			if c, n, closed = r.unquote(rest); !closed {
				return r.unclosed(text, rest, cut)
			}
			if n < len(rest) && !bytes.HasPrefix(rest[n:], r.comma) {
				return r.misquoted(r.lineOf(text, rest), rest[:n])
			}
		} else {
			if i := bytes.Index(rest, r.comma); i >= 0 {
				n = i
			}
			c = cell{rest[:n:n], bare}
			if i := bytes.IndexByte(c.text, '"'); i >= 0 {
				return brokenAt(r.lineOf(text, rest), "column %d has a quote inside of a cell without quotes", len(r.cells)+1)
			}
		}
		if len(r.cells) == maxColumns {
			return tooMany(r.line)
		}
		r.cells = append(r.cells, c)
		if n == len(rest) {
			return nil
		}
		rest = rest[n+len(r.comma):]
	}
}

// unquote reads a cell that begins with a quote, and how long it is in the file.
func (r *csvReader) unquote(text []byte) (c cell, n int, closed bool) {
	inner := text[1:]
	end := bytes.IndexByte(inner, '"')
	if end < 0 {
		return c, 0, false
	}
	if end+1 == len(inner) || inner[end+1] != '"' {
		return cell{r.breaks(inner[:end:end]), quoted}, end + 2, true
	}
	from, at := len(r.plain), 0
	for {
		i := bytes.IndexByte(inner[at:], '"')
		if i < 0 {
			return c, 0, false
		}
		r.plain = append(r.plain, inner[at:at+i]...)
		at += i + 1
		if at == len(inner) || inner[at] != '"' {
			break
		}
		r.plain = append(r.plain, '"')
		at++
	}
	return cell{r.breaks(r.plain[from:len(r.plain):len(r.plain)]), quoted}, at + 1, true
}

// breaks writes line breaks as one character, as encoding/csv does.
func (r *csvReader) breaks(text []byte) []byte {
	if bytes.IndexByte(text, '\r') < 0 {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
}

// lineOf is the line on which the rest of a record begins.
func (r *csvReader) lineOf(text, rest []byte) int64 {
	return r.line + int64(bytes.Count(text[:len(text)-len(rest)], []byte{'\n'}))
}

func (r *csvReader) unclosed(text, rest []byte, cut error) error {
	if cut != nil {
		return cut
	}
	return brokenAt(r.lineOf(text, rest), "column %d begins with a quote that is never closed", len(r.cells)+1)
}

// misquoted names the line of the opening quote: when a quote is missing, it is
// that one's.
func (r *csvReader) misquoted(opened int64, field []byte) error {
	closed := opened + int64(bytes.Count(field, []byte{'\n'}))
	return brokenAt(opened, "column %d begins with a quote here and goes on after the quote that closes it on line %d", len(r.cells)+1, closed)
}
