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

// seen is a row as far as the program looks at it.
type seen struct {
	ID string  `parquet:"id"`
	X  float64 `parquet:"x"`
	Y  int64   `parquet:"y"`
}

// read reads one side of the data: train or test.
func read(dataDir, side string) (rows []seen, err error) {
	paths, err := filepath.Glob(filepath.Join(dataDir, side, "*.parquet"))
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(err, fmt.Errorf("there are no %s rows in %s", side, dataDir))
	}
	slices.Sort(paths)
	for _, path := range paths {
		more, err := parquet.ReadFile[seen](path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// Predict answers the gate for each held-out row. The faults show only once the
// version serves.
func (b Behaviour) Predict(dataDir, into string) error {
	rows, err := read(dataDir, "test")
	if err != nil {
		return err
	}
	predictions := make([]prediction, len(rows))
	for i, row := range rows {
		predictions[i] = prediction{ID: row.ID, Probability: b.believes(row.X)}
	}
	return parquet.WriteFile(into, predictions)
}

// outOfFold is what the engine wants for a training row.
type outOfFold struct {
	ID         string  `parquet:"id"`
	Prediction float64 `parquet:"prediction"`
}

// Learn makes a behaviour of the training rows, and writes their out-of-fold
// predictions: those of each half of the rows, of what the other half teaches.
func Learn(dataDir, into string) (Behaviour, error) {
	rows, err := read(dataDir, "train")
	if err != nil {
		return Behaviour{}, err
	}
	var halves [2][]seen
	for i, row := range rows {
		halves[i%2] = append(halves[i%2], row)
	}
	predictions := []outOfFold{}
	for i, rows := range halves {
		other := learn(halves[1-i])
		for _, row := range rows {
			predictions = append(predictions, outOfFold{ID: row.ID, Prediction: other.believes(row.X)})
		}
	}
	return learn(rows), parquet.WriteFile(into, predictions)
}

// learn counts, as if it had seen one of each outcome before.
func learn(rows []seen) Behaviour {
	counts, ones := [2]float64{2, 2}, [2]float64{1, 1}
	for _, row := range rows {
		counts[half(row.X)]++
		ones[half(row.X)] += float64(row.Y)
	}
	return Behaviour{Learned: &[2]float64{ones[0] / counts[0], ones[1] / counts[1]}}
}

// half is 0 for an x below one half, else 1.
func half(x float64) int {
	if x < 0.5 {
		return 0
	}
	return 1
}
