package parquetio

import (
	"fmt"
	"io"
	"runtime"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// rowsPerGroup is small enough for a reader to hold and to skip by time, and
// large enough for the encodings to pay.
const rowsPerGroup = 128 << 10

// record is a group with its fields in a given order; parquet.Group sorts
// them by name.
type record struct {
	parquet.Group
	order []string
}

// Fields implements parquet.Node.
func (r record) Fields() []parquet.Field {
	byName := make(map[string]parquet.Field, len(r.order))
	for _, f := range r.Group.Fields() {
		byName[f.Name()] = f
	}
	fields := make([]parquet.Field, len(r.order))
	for i, name := range r.order {
		fields[i] = byName[name]
	}
	return fields
}

// Write writes the table. A column is nullable when it has nulls or when
// nullable names it; all others are required.
func Write(w io.Writer, table dataset.Table, nullable map[string]bool) error {
	group := record{Group: parquet.Group{}}
	levels := make([]int, len(table.Series)) // definition level of a value
	for i := range table.Series {
		s := &table.Series[i]
		n := node(s)
		if s.Nulls != nil || nullable[s.Name] {
			n, levels[i] = parquet.Optional(n), 1
		}
		group.order = append(group.order, s.Name)
		group.Group[s.Name] = n
	}
	config, err := parquet.NewWriterConfig(
		parquet.NewSchema("snapshot", group),
		parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("mainspring", "1", "snapshot"),
		parquet.DataPageVersion(1),
		parquet.PageBufferSize(1<<20),
	)
	if err != nil {
		return fmt.Errorf("configure the Parquet writer: %w", err)
	}
	writer := parquet.NewGenericWriter[any](w, config)
	// Groups are encoded side by side and written in their order, so that the bytes
	// are the same on any number of processors.
	side := runtime.GOMAXPROCS(0) * rowsPerGroup
	for from := 0; from < table.Rows(); from += side {
		if err := writeGroups(writer, table, levels, from, min(from+side, table.Rows())); err != nil {
			return fmt.Errorf("write rows %d and later: %w", from, err)
		}
	}
	return writer.Close()
}

// writeGroups encodes the groups of some rows at the same time.
func writeGroups(writer *parquet.GenericWriter[any], table dataset.Table, levels []int, from, to int) error {
	var groups []*parquet.ConcurrentRowGroupWriter
	var encoding errgroup.Group
	for first := from; first < to; first += rowsPerGroup {
		group := writer.BeginRowGroup()
		groups = append(groups, group)
		encoding.Go(func() error {
			for i, column := range group.ColumnWriters() {
				if err := writeColumn(column, part{&table.Series[i], levels[i], first, min(first+rowsPerGroup, to)}); err != nil {
					return fmt.Errorf("column %q: %w", table.Series[i].Name, err)
				}
			}
			return group.Flush()
		})
	}
	if err := encoding.Wait(); err != nil {
		return err
	}
	for _, group := range groups {
		if _, err := group.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// part is some rows of a series; level is the definition level of a value.
type part struct {
	series   *dataset.Series
	level    int
	from, to int
}

func writeColumn(column *parquet.ColumnWriter, p part) error {
	values := make([]parquet.Value, 0, 1024)
	for row := p.from; row < p.to; row++ {
		switch {
		case p.series.IsNull(row):
			values = append(values, parquet.NullValue())
		case p.level > 0:
			values = append(values, value(p.series, row).Level(0, p.level, 0))
		default:
			values = append(values, value(p.series, row))
		}
		if len(values) < cap(values) && row+1 < p.to {
			continue
		}
		if _, err := column.WriteRowValues(values); err != nil {
			return err
		}
		values = values[:0]
	}
	return nil
}

func node(s *dataset.Series) parquet.Node {
	var n parquet.Node
	switch s.Type {
	case dataset.TypeString:
		n = parquet.String()
		if fewStrings(s) {
			n = parquet.Encoded(n, &parquet.RLEDictionary)
		}
	case dataset.TypeFloat64:
		n = parquet.Leaf(parquet.DoubleType)
	case dataset.TypeBool:
		n = parquet.Leaf(parquet.BooleanType)
	case dataset.TypeTimestamp:
		n = parquet.Timestamp(parquet.Microsecond)
	default:
		n = parquet.Leaf(parquet.Int64Type)
	}
	return n
}

// fewStrings reports whether a dictionary pays: at most one different string
// in eight rows.
func fewStrings(s *dataset.Series) bool {
	seen := make(map[string]struct{}, 64)
	for _, text := range s.Strings {
		seen[text] = struct{}{}
		if 8*len(seen) > len(s.Strings) {
			return false
		}
	}
	return true
}

func value(s *dataset.Series, row int) parquet.Value {
	switch s.Type {
	case dataset.TypeString:
		return parquet.ByteArrayValue([]byte(s.Strings[row]))
	case dataset.TypeFloat64:
		return parquet.DoubleValue(s.Floats[row])
	case dataset.TypeBool:
		return parquet.BooleanValue(s.Ints[row] != 0)
	default:
		return parquet.Int64Value(s.Ints[row])
	}
}
