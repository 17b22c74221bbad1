package labelfile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/internal/dataset/textio"
	"github.com/mainspring-ml/mainspring/internal/gateway"
	"github.com/mainspring-ml/mainspring/models"
)

// table collects a file's labels.
type table struct {
	in      Input
	rows    []models.LabelRow
	without int
}

// cell is one row of a file as texts; label and known are empty when missing.
type cell struct {
	id, label, known string
	at               time.Time // instead of known
}

// add checks a row and takes it in.
func (t *table) add(c cell) error {
	columns := t.in.Columns
	if c.id == "" {
		return fmt.Errorf("column %q: the request's ID is missing", columns.ID)
	}
	if c.label == "" {
		t.without++
		return nil
	}
	label, err := strconv.ParseFloat(c.label, 64)
	if err != nil || !gateway.KnownLabel(label, t.in.Task) {
		hint := ""
		if err != nil && t.in.Task == models.TaskMulticlass {
			hint = "; write the place of the class in data.classes instead of its name"
		}
		return fmt.Errorf("column %q: the label is %.40q, must be %s%s", columns.Label, c.label, gateway.WantedLabel(t.in.Task), hint)
	}
	at := t.in.Now
	switch {
	case columns.Time == "":
	case !c.at.IsZero():
		at = c.at
	default:
		micros, ok := textio.ParseISO([]byte(c.known))
		if !ok {
			return fmt.Errorf("column %q: %.40q is no time; write it like 2013-01-01T08:30:00Z", columns.Time, c.known)
		}
		at = time.UnixMicro(micros)
	}
	t.rows = append(t.rows, models.LabelRow{
		ID: c.id, Label: label, LabelTime: at.UnixMicro(), Time: t.in.Now.UnixMicro() + int64(len(t.rows)),
	})
	return nil
}

// wanted are the names of the columns that a file must have.
func (c Columns) wanted() []string {
	names := []string{c.ID, c.Label}
	if c.Time != "" {
		names = append(names, c.Time)
	}
	return names
}

func noColumn(name string, has []string) error {
	text := fmt.Sprintf("there is no column %q; the file has %s", name, strings.Join(has, ", "))
	if near := models.Nearest(name, has); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return errors.New(text)
}

// declared makes texts of all that a text file may hold: add says what is wrong
// with them.
func (c Columns) declared() models.DataSpec {
	spec := models.DataSpec{Columns: map[string]models.ColumnSpec{}}
	for _, name := range c.wanted() {
		spec.Columns[name] = models.ColumnSpec{Type: dataset.TypeString}
	}
	return spec
}

// readRows takes in all rows of a file.
func (t *table) readRows(ctx context.Context, file partition.Reader) error {
	var has []string
	fields := map[string]dataset.Field{}
	for _, field := range file.Fields() {
		has = append(has, field.Name)
		fields[field.Name] = field
	}
	names := t.in.Columns.wanted()
	for _, name := range names {
		switch field, there := fields[name]; {
		case !there:
			return noColumn(name, has)
		case field.Type == "":
			return fmt.Errorf("column %q is no plain value but %s", name, field.Native)
		}
	}
	return file.Chunks(ctx, nil, names, func(chunk dataset.Chunk) error {
		series := chunk.Table.Series
		for row := range chunk.Table.Rows() {
			c := cell{id: textOf(&series[0], row), label: textOf(&series[1], row)}
			if len(series) > 2 {
				if c.known = textOf(&series[2], row); series[2].Type == dataset.TypeTimestamp && !series[2].IsNull(row) {
					c.at = time.UnixMicro(series[2].Ints[row])
				}
			}
			if err := t.add(c); err != nil {
				return fmt.Errorf("%s %d: %w", chunk.RowWord(), chunk.Row(row), err)
			}
		}
		return nil
	})
}

// textOf is a value as text; null, and NaN for it, is empty.
func textOf(s *dataset.Series, row int) string {
	number, ok := s.Number(row)
	switch {
	case s.IsNull(row):
		return ""
	case s.Type == dataset.TypeString:
		return s.Strings[row]
	case !ok:
		return ""
	case s.Type == dataset.TypeFloat64:
		return strconv.FormatFloat(number, 'f', -1, 64) // an ID has no exponent
	default:
		return strconv.FormatInt(s.Ints[row], 10)
	}
}
