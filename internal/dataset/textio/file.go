package textio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// ErrNoColumn says that a column is missing, or holds lists or objects.
var ErrNoColumn = errors.New("no such column of plain values")

// Options say how a file is written.
type Options struct {
	Format  models.DataFormat // csv or jsonl
	Gzip    bool              // as the name says; a file that is compressed is found out anyway
	Comma   string            // what ends a CSV file's cells
	Nulls   []string          // bare texts that stand for no value
	Columns map[string]models.ColumnSpec
}

// File is a text file. It is for one goroutine.
type File struct {
	options Options
	open    func(context.Context) (io.ReadCloser, error)
	nulls   map[string]bool
	fields  []dataset.Field
	rows    int64 // -1: not known yet
	bad     []dataset.BadValues
}

// Open finds the columns of a file, which open opens again for every reading. It
// is read once to its end when types must be guessed, and when it is JSON.
func Open(ctx context.Context, options Options, open func(context.Context) (io.ReadCloser, error)) (*File, error) {
	f := &File{options: options, open: open, rows: -1}
	for _, text := range options.Nulls {
		if f.nulls == nil {
			f.nulls = map[string]bool{}
		}
		f.nulls[text] = true
	}
	return f, f.scan(ctx, f.inspect)
}

// Fields are the columns in the order of the header, or of the first objects
// that have them.
func (f *File) Fields() []dataset.Field { return f.fields }

// Rows is the number of rows; -1: not known yet.
func (f *File) Rows() int64 { return f.rows }

// BadValues are what the last reading found, by column.
func (f *File) BadValues() []dataset.BadValues { return f.bad }

// scan opens the file and hands its records to a function.
func (f *File) scan(ctx context.Context, use func(context.Context, records) error) (err error) {
	s, err := f.stream(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if f.options.Format == models.FormatJSONL {
		r := newJSON(s)
		return s.fault(r.line, use(ctx, r))
	}
	r, err := newCSV(s, f.options.Comma)
	if err != nil {
		return s.fault(1, err)
	}
	err = use(ctx, r)
	return s.fault(r.line, err)
}

// ctxEvery is after how many rows the context is looked at.
const ctxEvery = 4096

// inspect finds the columns and their types.
func (f *File) inspect(ctx context.Context, r records) error {
	asJSON := f.options.Format == models.FormatJSONL
	declared := func(name string) bool { return f.declared(name) != "" }
	if !asJSON && !slices.ContainsFunc(r.names(), func(name string) bool { return !declared(name) }) {
		f.describe(r.names(), nil)
		return nil
	}
	var guesses []guess
	rows := int64(0)
	for {
		row, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if rows++; rows%ctxEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for len(guesses) < len(row.cells) {
			guesses = append(guesses, guess{known: declared(r.names()[len(guesses)])})
		}
		for i, c := range row.cells {
			g := &guesses[i]
			switch {
			case c.kind == nested:
				g.nested = cmp.Or(g.nested, row.line)
			case !g.known && c.kind != absent && len(c.text) > 0 && !f.nulls[string(c.text)]:
				g.see(c, asJSON, row.line)
			}
		}
	}
	if rows == 0 {
		return f.noRows()
	}
	f.rows = rows
	f.describe(r.names(), guesses)
	return nil
}

// declared is the type that the spec says a column has; empty: it says nothing.
// Numbers that are said to count time are times.
func (f *File) declared(name string) string {
	c := f.options.Columns[name]
	if c.Type == "" && c.TimeFormat != "" && c.TimeFormat != models.TimeISO {
		return dataset.TypeTimestamp
	}
	return c.Type
}

// noRows: nothing is known about such a file's columns, and most often its
// writer was interrupted.
func (f *File) noRows() error {
	if f.options.Format == models.FormatJSONL {
		return &Broken{Reason: "the file is empty", Hint: writeAgain}
	}
	return &Broken{Line: 1, Reason: "the header is all there is, no row follows", Hint: "remove the file, or " + writeAgain}
}

// describe sets the fields: as declared, or as guessed. A column with lists or
// objects has no type.
func (f *File) describe(names []string, guesses []guess) {
	f.fields = make([]dataset.Field, len(names))
	for i, name := range names {
		field := dataset.Field{Name: name, Type: f.declared(name)}
		if field.Type == "" {
			g := &guesses[i]
			field.Type, field.Mixed = g.found(), g.mixed()
			field.Empty = len(g.counts) == 0
		}
		field.Native = field.Type
		if guesses != nil && guesses[i].nested > 0 {
			field.Type, field.Mixed, field.Empty = "", "", false
			field.Native = fmt.Sprintf("a list or an object, such as in line %d", guesses[i].nested)
		}
		f.fields[i] = field
	}
}

const (
	// chunkRows and chunkBytes bound a chunk.
	chunkRows  = 8192
	chunkBytes = 8 << 20
)

// Chunks gives the named columns of all rows to a function, some rows at once.
func (f *File) Chunks(ctx context.Context, names []string, each func(dataset.Chunk) error) error {
	return f.read(ctx, names, chunkRows, each)
}

// ReadAll reads the named columns of all rows.
func (f *File) ReadAll(ctx context.Context, names []string) (dataset.Table, error) {
	var all dataset.Table
	err := f.read(ctx, names, 0, func(c dataset.Chunk) error {
		all = c.Table
		return nil
	})
	return all, err
}

// read gives chunks of so many rows to a function; 0: one with all of them, even
// if there are none.
func (f *File) read(ctx context.Context, names []string, limit int, each func(dataset.Chunk) error) error {
	columns := make([]column, len(names))
	places := make([]int, len(names))
	for i, name := range names {
		places[i] = slices.IndexFunc(f.fields, func(has dataset.Field) bool { return has.Name == name })
		if places[i] < 0 || f.fields[places[i]].Type == "" {
			return fmt.Errorf("column %q: %w", name, ErrNoColumn)
		}
		columns[i] = f.column(f.fields[places[i]])
	}
	f.bad = nil
	p := &pass{columns: columns, places: places, limit: limit, each: each, first: 1}
	err := f.scan(ctx, func(ctx context.Context, r records) error {
		if f.options.Format == models.FormatCSV && !f.names(r) {
			return errChanged
		}
		if err := p.run(ctx, r, len(f.fields)); err != nil {
			return err
		}
		if !f.names(r) {
			return errChanged
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.rows == 0 {
		return f.noRows()
	}
	f.rows = p.rows
	for _, c := range columns {
		if c.bad.Count > 0 {
			f.bad = append(f.bad, c.bad)
		}
	}
	return nil
}

// names reports whether records have the columns that were found first.
func (f *File) names(r records) bool {
	return slices.EqualFunc(r.names(), f.fields, func(name string, has dataset.Field) bool { return name == has.Name })
}

var errChanged = &Broken{Reason: "the file was changed while it was read", Hint: "start again when nobody writes to it"}

func (f *File) column(field dataset.Field) column {
	spec := f.options.Columns[field.Name]
	return column{
		name: field.Name, typ: field.Type, times: spec.TimeFormat, sensitive: spec.Sensitive != "", nulls: f.nulls,
		series: dataset.Series{Name: field.Name, Type: field.Type}, intern: map[string]string{},
		bad: dataset.BadValues{Column: field.Name, Type: field.Type},
	}
}

// pass is one reading of a file.
type pass struct {
	columns []column
	places  []int // of the columns in records
	limit   int
	each    func(dataset.Chunk) error
	lines   []int64
	rows    int64
	bytes   int
	first   int64
}

func (p *pass) run(ctx context.Context, r records, width int) error {
	for {
		row, err := r.next()
		if errors.Is(err, io.EOF) {
			return p.flush()
		}
		if err != nil {
			return err
		}
		if len(row.cells) > width {
			return errChanged
		}
		for i := range p.columns {
			var v cell
			if at := p.places[i]; at < len(row.cells) {
				v = row.cells[at]
			}
			p.columns[i].add(v, row.line)
		}
		p.rows++
		p.bytes += row.bytes
		p.lines = append(p.lines, row.line)
		if p.rows%ctxEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if p.limit > 0 && (len(p.lines) == p.limit || p.bytes >= chunkBytes) {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
}

// flush hands out the rows since the last time.
func (p *pass) flush() error {
	if len(p.lines) == 0 {
		return nil
	}
	chunk := dataset.Chunk{First: p.first, Lines: p.lines, Table: dataset.Table{Series: make([]dataset.Series, len(p.columns))}}
	for i := range p.columns {
		chunk.Table.Series[i] = p.columns[i].take()
	}
	err := p.each(chunk)
	p.first += int64(len(p.lines))
	p.lines, p.bytes = p.lines[:0], 0
	return err
}
