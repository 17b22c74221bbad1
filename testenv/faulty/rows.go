package faulty

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Row is one of the data that a lifecycle starts from.
type Row struct {
	ID string    `parquet:"id"`
	At time.Time `parquet:"at,timestamp(microsecond)"`
	X  float64   `parquet:"x"`
	Y  int64     `parquet:"y"`
}

// The data's first day, and how it is cut.
const (
	Days       = 20
	RowsPerDay = 30
)

// Start is the first moment of the data.
func Start() time.Time { return time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC) }

// WriteRows writes one partition with all rows into dir.
func WriteRows(dir string) error {
	rows := make([]Row, 0, Days*RowsPerDay)
	for i := range Days * RowsPerDay {
		id := fmt.Sprintf("row-%d", i)
		at := Start().Add(time.Duration(i) * 24 * time.Hour / RowsPerDay)
		rows = append(rows, Row{ID: id, At: at, X: X(id), Y: int64(Label(id))})
	}
	return parquet.WriteFile(filepath.Join(dir, "all.parquet"), rows)
}

// prediction is what the gate wants for a row.
type prediction struct {
	ID          string  `parquet:"id"`
	Probability float64 `parquet:"probability"`
}

// Predict answers the gate: the truth for each held-out row. The faults show
// only once the version serves.
func Predict(dataDir, into string) error {
	paths, err := filepath.Glob(filepath.Join(dataDir, "test", "*.parquet"))
	if err != nil || len(paths) == 0 {
		return errors.Join(err, fmt.Errorf("there are no held-out rows in %s", dataDir))
	}
	slices.Sort(paths)
	var predictions []prediction
	for _, path := range paths {
		rows, err := parquet.ReadFile[struct {
			ID string  `parquet:"id"`
			X  float64 `parquet:"x"`
		}](path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, row := range rows {
			predictions = append(predictions, prediction{ID: row.ID, Probability: Truth(row.X)})
		}
	}
	return parquet.WriteFile(into, predictions)
}
