package profile

import "github.com/mainspring-ml/mainspring/models"

// Run is the hashes of one partition's rows, with where each row is.
type Run struct {
	Column string // empty: whole rows
	File   string
	// Hashes rise; entry i is of the row Rows[i], which people know it by.
	Hashes []uint64
	Rows   []int64
}

// Encode writes a run: about ten bytes a row.
func (r Run) Encode() []byte { return nil }

// DecodeRun reads what Encode has written.
func DecodeRun(data []byte) (Run, error) { return Run{}, nil }

// Repeats counts the rows whose hash an earlier row has, over the runs of one
// column of all partitions in the order of their names, and names the first ones,
// at most models.MaxOffendingRows, without their values. It is exact but for
// different values with one hash, about n²/2⁶⁵ of them in n rows.
func Repeats(runs []Run) (count int64, first []models.OffendingRow) { return 0, nil }
