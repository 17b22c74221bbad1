package textio

import (
	"strings"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// column reads one column's cells into a series.
type column struct {
	name      string
	typ       string
	times     models.TimeFormat
	sensitive bool
	nulls     map[string]bool

	series  dataset.Series
	isNull  []bool
	anyNull bool
	intern  map[string]string
	bad     dataset.BadValues
}

// maxInterned bounds the strings shared between rows; a column with more
// different ones is a key or free text, where sharing gains nothing.
const maxInterned = 4096

func (c *column) add(v cell, line int64) {
	null := c.null(v)
	if !null {
		null = !c.read(v.text)
		if null {
			c.complain(v.text, line)
		}
	}
	if null {
		c.anyNull = true
		switch c.typ {
		case dataset.TypeString:
			c.series.Strings = append(c.series.Strings, "")
		case dataset.TypeFloat64:
			c.series.Floats = append(c.series.Floats, 0)
		default:
			c.series.Ints = append(c.series.Ints, 0)
		}
	}
	c.isNull = append(c.isNull, null)
}

// null: quotes make an empty cell, and a text that stands for no value, a string,
// where the column has strings.
func (c *column) null(v cell) bool {
	switch {
	case v.kind == absent:
		return true
	case v.kind == quoted && c.typ == dataset.TypeString:
		return false
	}
	return len(v.text) == 0 || len(c.nulls) > 0 && c.nulls[string(v.text)]
}

// read appends a value; false: it does not read as the column's type.
func (c *column) read(text []byte) bool {
	var whole int64
	var ok bool
	switch c.typ {
	case dataset.TypeString:
		return c.readString(text)
	case dataset.TypeFloat64:
		v, ok := parseFloat(text)
		if ok {
			c.series.Floats = append(c.series.Floats, v)
		}
		return ok
	case dataset.TypeTimestamp:
		whole, ok = parseTime(text, c.times)
	case dataset.TypeBool:
		whole, ok = parseBool(text)
	default:
		whole, ok = parseInt(text)
	}
	if ok {
		c.series.Ints = append(c.series.Ints, whole)
	}
	return ok
}

func (c *column) readString(raw []byte) bool {
	text, known := c.intern[string(raw)]
	if !known {
		if !utf8.Valid(raw) {
			return false
		}
		text = string(raw)
		if len(c.intern) < maxInterned {
			c.intern[text] = text
		}
	}
	c.series.Strings = append(c.series.Strings, text)
	return true
}

// shownValue bounds what of a bad value is shown.
const shownValue = 64

func (c *column) complain(text []byte, line int64) {
	c.bad.Count++
	if len(c.bad.Rows) == models.MaxOffendingRows {
		return
	}
	shown := models.Masked
	if !c.sensitive {
		shown = strings.ToValidUTF8(string(text[:min(len(text), shownValue)]), "\uFFFD")
	}
	c.bad.Rows = append(c.bad.Rows, models.OffendingRow{Row: line, Value: shown})
}

// take hands out what was read since the last time; the next values overwrite it.
func (c *column) take() dataset.Series {
	out := c.series
	if c.anyNull {
		out.Nulls = c.isNull
	}
	c.series.Strings, c.series.Floats, c.series.Ints = c.series.Strings[:0], c.series.Floats[:0], c.series.Ints[:0]
	c.isNull, c.anyNull = c.isNull[:0], false
	return out
}
