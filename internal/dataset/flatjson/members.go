package flatjson

// Member is a named value of an object. Text is the content of a string, or a
// number as it is written. Both are good until the next object is read.
type Member struct {
	Name []byte
	Kind Kind // Other for a list or an object
	Text []byte
}

// Members gives every member of one object to a function, in the object's order,
// until it returns false. It is false for what is no JSON object, and says where
// that shows.
func (r *Reader) Members(text []byte, each func(Member) bool) (at int, ok bool) {
	r.text, r.at, r.unescaped = text, 0, r.unescaped[:0]
	if r.next() != '{' {
		return r.at, false
	}
	r.at++
	if r.next() == '}' {
		return r.ending()
	}
	for {
		m, ok := r.member()
		if !ok || !each(m) {
			return r.at, false
		}
		switch r.next() {
		case ',':
			r.at++
		case '}':
			return r.ending()
		default:
			return r.at, false
		}
	}
}

func (r *Reader) member() (m Member, ok bool) {
	if r.next() != '"' {
		return m, false
	}
	if m.Name, ok = r.string(); !ok || r.next() != ':' {
		return m, false
	}
	r.at++
	if c := r.next(); c == '[' || c == '{' {
		m.Kind = Other
		return m, r.skip(1)
	}
	start := r.at
	cell, ok := r.cell()
	m.Kind, m.Text = cell.Kind, cell.Text
	if ok && (r.text[start] == '-' || r.text[start]-'0' <= 9) {
		m.Kind, m.Text = Number, r.text[start:r.at] // however large it is
	}
	return m, ok
}

// ending passes the object's last brace, after which nothing may come.
func (r *Reader) ending() (at int, ok bool) {
	r.at++
	r.next()
	return r.at, r.at == len(r.text)
}

// ParseNumber reads a number as JSON writes it. It is false for what is none,
// and for one beyond what a float64 holds.
func ParseNumber(text []byte) (float64, bool) {
	r := Reader{text: text}
	cell, ok := r.number()
	return cell.Number, ok && cell.Kind == Number && r.at == len(text)
}
