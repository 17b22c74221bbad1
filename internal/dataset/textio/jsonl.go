package textio

import (
	"bytes"
	"io"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
)

// jsonReader reads one object on each line. Columns are in the order in
// which the file first names them.
type jsonReader struct {
	lines
	objects *flatjson.Reader
	columns []string
	byName  map[string]int
	// order is which column came where in the objects before.
	order []int
	cells []cell
	// given is the last line that had a column.
	given []int64
}

func newJSON(source io.Reader) *jsonReader {
	return &jsonReader{lines: newLines(source), objects: flatjson.NewReader(), byName: map[string]int{}}
}

func (r *jsonReader) names() []string { return r.columns }

// next implements records.
func (r *jsonReader) next() (record, error) {
	for {
		end, err := r.lineEnd(0)
		if err != nil {
			return record{}, err
		}
		if end == 0 {
			return record{}, io.EOF
		}
		found := record{line: r.line, bytes: end}
		text := bytes.TrimSpace(r.window(end))
		if len(text) == 0 {
			r.pass(end, 1)
			continue
		}
		if err := r.object(text); err != nil {
			return found, err
		}
		r.pass(end, 1)
		found.cells = r.cells
		return found, nil
	}
}

// object reads one object into cells.
func (r *jsonReader) object(text []byte) error {
	if !utf8.Valid(text) {
		return brokenAt(r.line, "the text is no UTF-8")
	}
	if text[0] == '[' {
		b := brokenAt(r.line, "there is a list, not an object")
		b.Hint = "write one object on each line, without a list around them"
		return b
	}
	clear(r.cells)
	var fault error
	position := 0
	at, ok := r.objects.Members(text, func(m flatjson.Member) bool {
		i, err := r.column(position, m.Name)
		switch {
		case err != nil:
			fault = err
		case r.given[i] == r.line:
			fault = brokenAt(r.line, "the object has the name %q twice", m.Name)
		}
		if fault != nil {
			return false
		}
		r.given[i] = r.line
		position++
		r.cells[i] = cellOf(m)
		return true
	})
	if !ok && fault == nil {
		return brokenAt(r.line, "this is no JSON object, as byte %d shows", at+1)
	}
	return fault
}

func cellOf(m flatjson.Member) cell {
	switch m.Kind {
	case flatjson.Null:
		return cell{}
	case flatjson.Number:
		return cell{m.Text, bare}
	case flatjson.Text:
		return cell{m.Text, quoted}
	case flatjson.True:
		return cell{[]byte("true"), bare}
	case flatjson.False:
		return cell{[]byte("false"), bare}
	default:
		return cell{kind: nested}
	}
}

// column finds the column of the name at a place in the object.
func (r *jsonReader) column(position int, name []byte) (int, error) {
	if position < len(r.order) && r.columns[r.order[position]] == string(name) {
		return r.order[position], nil
	}
	i, known := r.byName[string(name)]
	if !known {
		switch i = len(r.columns); {
		case len(name) == 0:
			return 0, brokenAt(r.line, "the object has an empty name")
		case i == maxColumns:
			return 0, tooMany(r.line)
		}
		r.columns = append(r.columns, string(name))
		r.byName[string(name)] = i
		r.cells, r.given = append(r.cells, cell{}), append(r.given, 0)
	}
	if position < len(r.order) {
		r.order[position] = i
	} else {
		r.order = append(r.order, i)
	}
	return i, nil
}
