package textio

// cell is one value of a record.
type cell struct {
	text []byte
	kind cellKind
}

// cellKind is how a value is written.
type cellKind uint8

const (
	absent cellKind = iota // null in JSON, or not there
	bare                   // without quotes: a number or a word
	quoted
	nested // a list or an object
)

// records reads one record after another.
type records interface {
	// next reads a record, which is good until the next. It ends with io.EOF.
	next() (record, error)
	// names are the columns that are known so far.
	names() []string
}

// record is one row. Cells beyond its length are absent.
type record struct {
	line  int64
	cells []cell
	bytes int // that it takes in the file
}
