package dataset

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/models"
)

// Chunk is some consecutive rows of a partition.
type Chunk struct {
	// First is the place of the chunk's first row in the partition: 1 for the first.
	First int64
	// Lines are the rows' lines in a text file, where a row's first byte is; nil:
	// the partition is no text, and rows are told by their place.
	Lines []int64
	Table Table
	// Codings are of the table's series, in their order; nil, and nil for a series:
	// none is known.
	Codings []*Coding
}

// Coding is that of a series of the table; nil: none is known.
func (c Chunk) Coding(series int) *Coding {
	if series < len(c.Codings) {
		return c.Codings[series]
	}
	return nil
}

// RowWord is what Row's numbers count.
func (c Chunk) RowWord() string {
	if c.Lines != nil {
		return "line"
	}
	return "row"
}

// Row is how row i of the chunk is told to people, see models.OffendingRow.
func (c Chunk) Row(i int) int64 {
	if c.Lines != nil {
		return c.Lines[i]
	}
	return c.First + int64(i)
}

// BadValues are the values of a column of a text file that do not read as its
// type. In tables they are nulls.
type BadValues struct {
	Column string
	Type   string // that they should have had
	Count  int64
	// Rows are the first ones, at most models.MaxOffendingRows, without their file.
	// A sensitive column's have no value but models.Masked.
	Rows []models.OffendingRow
}

// Words say what is wrong: any text reads as a string, if it is one.
func (b BadValues) Words() string {
	what := "read as " + b.Type
	if b.Type == TypeString {
		what = "read as UTF-8"
	}
	if b.Count == 1 {
		return "1 value does not " + what
	}
	return fmt.Sprintf("%d values do not %s", b.Count, what)
}
