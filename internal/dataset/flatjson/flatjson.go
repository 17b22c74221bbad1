// Package flatjson reads the inputs and outputs of the inference log: JSON
// objects of name → flat list of values. It is for millions of small objects
// with the same names in mostly the same order, which encoding/json takes
// minutes for, and agrees with it about what is JSON and what is in it.
//
// Vocabulary: a list is what a wanted name holds; a cell is one value of it.
package flatjson

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Kind is what a cell holds.
type Kind uint8

// The kinds.
const (
	Null   Kind = iota
	Number      // Number
	Text        // Text
	True
	False
	Other // a list, an object, or a number too large for a float64
)

// Cell is one value of a list. Text is valid until the next Read.
type Cell struct {
	Kind   Kind
	Number float64
	Text   []byte
}

// Want names a list and how many of its first values are of interest; 0: all.
type Want struct {
	Name  string
	Width int
}

// Reader finds lists in objects. It is for one goroutine.
type Reader struct {
	wants  []Want
	byName map[string]int
	lists  [][]Cell
	// order is which list came where in the objects before: -1 for a name that
	// nobody wants, guessed right for nearly all objects of a log.
	order []int

	text []byte
	at   int
	// unescaped holds the texts of this object that had escapes.
	unescaped []byte
}

// NewReader returns a reader of the wanted lists.
func NewReader(wants ...Want) *Reader {
	r := &Reader{wants: wants, byName: make(map[string]int, len(wants)), lists: make([][]Cell, len(wants))}
	for i, w := range wants {
		r.byName[w.Name] = i
	}
	return r
}

// List is the i-th wanted list of the object read last; nil when it has none.
func (r *Reader) List(i int) []Cell { return r.lists[i] }

// Numbers appends the i-th wanted list to numbers: as many as are wanted, or
// all, but at least one. It is false, and numbers nil, where there are fewer or
// one is no number.
func (r *Reader) Numbers(i int, to []float64) (numbers []float64, ok bool) {
	cells := r.lists[i]
	if len(cells) < max(1, r.wants[i].Width) {
		return nil, false
	}
	for _, c := range cells {
		if c.Kind != Number {
			return nil, false
		}
		to = append(to, c.Number)
	}
	return to, true
}

// Read reads one object. It is false for what is no JSON object, of which the
// lists are empty. Of a name that occurs twice the last counts.
func (r *Reader) Read(text []byte) bool {
	r.text, r.at, r.unescaped = text, 0, r.unescaped[:0]
	for i := range r.lists {
		r.lists[i] = r.lists[i][:0]
	}
	if r.object() && r.next() == 0 && r.at == len(r.text) {
		return true
	}
	for i := range r.lists {
		r.lists[i] = r.lists[i][:0]
	}
	return false
}

func (r *Reader) object() bool {
	if r.next() != '{' {
		return false
	}
	r.at++
	if r.next() == '}' {
		r.at++
		return true
	}
	for position := 0; ; position++ {
		list, ok := r.name(position)
		if !ok || r.next() != ':' {
			return false
		}
		r.at++
		if list < 0 {
			ok = r.skip(1)
		} else {
			ok = r.list(list)
		}
		if !ok {
			return false
		}
		switch r.next() {
		case ',':
			r.at++
		case '}':
			r.at++
			return true
		default:
			return false
		}
	}
}

// name reads a name and finds the list that it means; -1: nobody wants it.
func (r *Reader) name(position int) (list int, ok bool) {
	if r.next() != '"' {
		return -1, false
	}
	if position < len(r.order) && r.order[position] >= 0 {
		name := r.wants[r.order[position]].Name
		rest := r.text[r.at+1:]
		if len(rest) > len(name) && rest[len(name)] == '"' && string(rest[:len(name)]) == name && plain(name) {
			r.at += len(name) + 2
			return r.order[position], true
		}
	}
	raw, ok := r.string()
	if !ok {
		return -1, false
	}
	list, known := r.byName[string(raw)]
	if !known {
		list = -1
	}
	for len(r.order) <= position && position < maxOrder {
		r.order = append(r.order, -1)
	}
	if position < len(r.order) {
		r.order[position] = list
	}
	return list, true
}

// maxOrder bounds what is remembered of an object's order.
const maxOrder = 4096

// plain reports whether a name is written as it is.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// list reads the value of a wanted name. Anything but a list counts as none.
func (r *Reader) list(i int) bool {
	cells, width := r.lists[i][:0], r.wants[i].Width
	r.lists[i] = cells
	if r.next() != '[' {
		return r.skip(1)
	}
	r.at++
	if r.next() == ']' {
		r.at++
		return true
	}
	for {
		if width > 0 && len(cells) == width {
			if !r.skip(2) {
				return false
			}
		} else {
			cell, ok := r.cell()
			if !ok {
				return false
			}
			cells = append(cells, cell)
		}
		switch r.next() {
		case ',':
			r.at++
		case ']':
			r.at++
			r.lists[i] = cells
			return true
		default:
			return false
		}
	}
}

func (r *Reader) cell() (c Cell, ok bool) {
	switch r.next() {
	case '"':
		c.Kind = Text
		c.Text, ok = r.string()
		return c, ok
	case 'n':
		return c, r.word("null")
	case 't':
		return Cell{Kind: True}, r.word("true")
	case 'f':
		return Cell{Kind: False}, r.word("false")
	case '[', '{':
		return Cell{Kind: Other}, r.skip(2)
	default:
		return r.number()
	}
}

// string reads a string. One with escapes, or that is no UTF-8, is decoded by
// encoding/json; both are rare.
func (r *Reader) string() ([]byte, bool) {
	start := r.at + 1
	plain, ascii := true, true
	for at := start; at < len(r.text); at++ {
		switch c := r.text[at]; {
		case c == '"':
			r.at = at + 1
			if plain && (ascii || utf8.Valid(r.text[start:at])) {
				return r.text[start:at], true
			}
			return r.decode(r.text[start-1 : at+1])
		case c < ' ':
			return nil, false
		case c == '\\':
			plain = false
			at++
		case c >= 0x80:
			ascii = false
		}
	}
	return nil, false
}

func (r *Reader) decode(quoted []byte) ([]byte, bool) {
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return nil, false
	}
	from := len(r.unescaped)
	r.unescaped = append(r.unescaped, text...)
	return r.unescaped[from:len(r.unescaped):len(r.unescaped)], true
}

// maxDepth is encoding/json's.
const maxDepth = 10000

// skip passes over a value at a depth of the object.
func (r *Reader) skip(depth int) bool {
	switch r.next() {
	case '"':
		_, ok := r.string()
		return ok
	case 'n':
		return r.word("null")
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case '[', '{':
		return r.skipNested(depth + 1)
	default:
		_, ok := r.number()
		return ok
	}
}

func (r *Reader) skipNested(depth int) bool {
	if depth > maxDepth {
		return false
	}
	named := r.text[r.at] == '{'
	end := byte(']')
	if named {
		end = '}'
	}
	r.at++
	if r.next() == end {
		r.at++
		return true
	}
	for {
		if named {
			if r.next() != '"' {
				return false
			}
			if _, ok := r.string(); !ok || r.next() != ':' {
				return false
			}
			r.at++
		}
		if !r.skip(depth) {
			return false
		}
		switch r.next() {
		case ',':
			r.at++
		case end:
			r.at++
			return true
		default:
			return false
		}
	}
}

// next is the next byte that is no white space; 0 at the end. It is not passed.
func (r *Reader) next() byte {
	for r.at < len(r.text) {
		c := r.text[r.at]
		if c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		r.at++
	}
	return 0
}

func (r *Reader) word(word string) bool {
	if !bytes.HasPrefix(r.text[r.at:], []byte(word)) {
		return false
	}
	r.at += len(word)
	return true
}
