package labelfile

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
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
		if at, err = parseTime(c.known); err != nil {
			return fmt.Errorf("column %q: %w", columns.Time, err)
		}
	}
	t.rows = append(t.rows, models.LabelRow{
		ID: c.id, Label: label, LabelTime: at.UnixMicro(), Time: t.in.Now.UnixMicro() + int64(len(t.rows)),
	})
	return nil
}

// parseTime takes a time without a zone for UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time; write it like 2013-01-01T08:30:00Z", text)
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

func readCSV(_ context.Context, data []byte, t *table) error {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		return fmt.Errorf("line 1: no header: %w", err)
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // as spreadsheets write it
	var at []int
	for _, name := range t.in.Columns.wanted() {
		i := slices.Index(header, name)
		if i < 0 {
			return noColumn(name, header)
		}
		at = append(at, i)
	}
	for {
		record, err := reader.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err // names the line
		}
		c := cell{id: record[at[0]], label: record[at[1]]}
		if len(at) > 2 {
			c.known = record[at[2]]
		}
		if err := t.add(c); err != nil {
			line, _ := reader.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func readLines(_ context.Context, data []byte, t *table) error {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(line, &object); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		var texts []string
		for _, name := range t.in.Columns.wanted() {
			text, err := plainText(object[name])
			if err != nil {
				return fmt.Errorf("line %d: column %q: %w", number, name, err)
			}
			texts = append(texts, text)
		}
		c := cell{id: texts[0], label: texts[1]}
		if len(texts) > 2 {
			c.known = texts[2]
		}
		if err := t.add(c); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// plainText is a JSON string or number as text; null and nothing are empty.
func plainText(value json.RawMessage) (string, error) {
	var text *string
	switch {
	case len(value) == 0:
		return "", nil
	case value[0] == '{' || value[0] == '[':
		return "", fmt.Errorf("%.40s is no plain value", value)
	case value[0] != '"' && value[0] != 'n':
		return string(value), nil
	}
	if err := json.Unmarshal(value, &text); err != nil || text == nil {
		return "", err
	}
	return *text, nil
}

func readParquet(ctx context.Context, data []byte, t *table) error {
	file, err := parquetio.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	var has []string
	for _, field := range file.Fields() {
		has = append(has, field.Name)
	}
	names := t.in.Columns.wanted()
	for _, name := range names {
		if !slices.Contains(has, name) {
			return noColumn(name, has)
		}
	}
	content, err := file.ReadAll(ctx, names)
	if err != nil {
		return err
	}
	series := content.Series
	for row := range content.Rows() {
		c := cell{id: textOf(&series[0], row), label: textOf(&series[1], row)}
		if len(series) > 2 {
			if c.known = textOf(&series[2], row); series[2].Type == dataset.TypeTimestamp && !series[2].IsNull(row) {
				c.at = time.UnixMicro(series[2].Ints[row])
			}
		}
		if err := t.add(c); err != nil {
			return fmt.Errorf("row %d: %w", row+1, err)
		}
	}
	return nil
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
		return strconv.FormatFloat(number, 'g', -1, 64)
	default:
		return strconv.FormatInt(s.Ints[row], 10)
	}
}
