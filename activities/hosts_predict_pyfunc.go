package activities

import (
	"context"
	_ "embed" // the program
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// pyfuncProgram loads the model with mlflow.pyfunc. It is handed the rows as
// JSON and hands numbers back, so that the training's environment needs mlflow
// and pandas and no reader of Parquet.
//
//go:embed predict_pyfunc.py
var pyfuncProgram []byte

const (
	rowsDir     = "rows"
	answersFile = "answers.bin" // float64, little-endian, row by row
	shapeFile   = "answers.json"
	// rowsPerFile bounds what the program holds of the rows at a time.
	rowsPerFile = 64 << 10
)

// pyfuncRequest is the program's input.
type pyfuncRequest struct {
	Model    string          `json:"model"`
	Rows     []string        `json:"rows"` // files, in order
	Columns  []models.Column `json:"columns"`
	Output   string          `json:"output"`
	Classes  []string        `json:"classes"` // names of columns that may hold a class's probability
	Task     models.Task     `json:"task"`
	Answers  string          `json:"answers"`
	Shape    string          `json:"shape"`
	Latency  string          `json:"latency"`
	Failure  string          `json:"failure"`
	WarmUps  int             `json:"warm_ups"`
	Requests int             `json:"requests"`
	Seconds  float64         `json:"seconds"` // longest time for the requests
}

// pyfuncShape is the program's output beside the numbers.
type pyfuncShape struct {
	Shape   []int64 `json:"shape"`
	Seconds float64 `json:"seconds"`
}

// pyfunc runs mlflow.pyfunc in the training's environment.
func (p *hostPrediction) pyfunc(ctx context.Context) (program, error) {
	script := p.path("predict_pyfunc.py")
	runs := program{argv: []string{"python", script, p.path(requestFile)}}
	if err := p.ownProgram(ctx, &runs); err != nil {
		return program{}, err
	}
	p.enter("writing rows")
	table, err := readHeldOutFiles(ctx, p.data, p.req.Data.Features)
	if err != nil {
		return program{}, err
	}
	request := pyfuncRequest{
		Model: p.path(modelDir), Output: p.form.output, Classes: p.req.Data.Classes, Task: p.form.task,
		Answers: p.path(answersFile), Shape: p.path(shapeFile), Latency: p.path(latencyFile), Failure: p.path(failureFile),
		WarmUps: warmUps, Requests: timedRows, Seconds: timingLimit.Seconds(),
	}
	for i := range table.Series {
		request.Columns = append(request.Columns, models.Column{Name: table.Series[i].Name, Type: table.Series[i].Type, Role: dataset.RoleFeature})
	}
	if request.Rows, err = writeRows(p.path(rowsDir), table); err != nil {
		return program{}, err
	}
	return runs, errors.Join(os.WriteFile(script, pyfuncProgram, 0o600), writeJSON(p.path(requestFile), request))
}

// writeRows writes the table as JSON objects with a list for each column, some
// rows a file, and returns the files.
func writeRows(dir string, table dataset.Table) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for from := 0; from < table.Rows(); from += rowsPerFile {
		to := min(from+rowsPerFile, table.Rows())
		text := []byte{'{'}
		for i := range table.Series {
			if i > 0 {
				text = append(text, ',')
			}
			if text, err = appendColumn(text, &table.Series[i], from, to); err != nil {
				return nil, err
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%06d.json", len(files)))
		if err := os.WriteFile(path, append(text, '}'), 0o600); err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}

func appendColumn(text []byte, column *dataset.Series, from, to int) ([]byte, error) {
	quote := func(s string) error {
		quoted, err := json.Marshal(s)
		text = append(text, quoted...)
		return err
	}
	if err := quote(column.Name); err != nil {
		return nil, err
	}
	text = append(text, ':', '[')
	for row := from; row < to; row++ {
		if row > from {
			text = append(text, ',')
		}
		switch {
		case column.Absent(row):
			text = append(text, "null"...)
		case column.Type == dataset.TypeString:
			if err := quote(column.Strings[row]); err != nil {
				return nil, err
			}
		case column.Type == dataset.TypeFloat64 && math.IsInf(column.Floats[row], 0):
			text = append(text, map[bool]string{true: "Infinity", false: "-Infinity"}[column.Floats[row] > 0]...) // as Python reads it
		case column.Type == dataset.TypeFloat64:
			text = strconv.AppendFloat(text, column.Floats[row], 'g', -1, 64)
		case column.Type == dataset.TypeBool:
			text = strconv.AppendBool(text, column.Ints[row] != 0)
		default:
			text = strconv.AppendInt(text, column.Ints[row], 10)
		}
	}
	return append(text, ']'), nil
}

// readNumbers reads what the program has answered to so many rows.
func (p *hostPrediction) readNumbers(rows int) (answers, error) {
	var told pyfuncShape
	if err := readJSONFile(p.path(shapeFile), &told); err != nil {
		return answers{}, p.reject("the program ended well but left no answers", "", err)
	}
	data, err := os.ReadFile(p.path(answersFile))
	if err != nil {
		return answers{}, p.reject("the program ended well but left no answers", "", err)
	}
	given := answers{values: make([]float64, len(data)/8), seconds: told.Seconds}
	for i := range given.values {
		given.values[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	if message, hint := p.form.check(given.values, block{rows: rows, shape: told.Shape}); message != "" {
		return answers{}, p.reject(message, hint, nil)
	}
	given.width = len(given.values) / rows
	return given, nil
}

// readJSONFile fails with fs.ErrNotExist when there is no such file.
func readJSONFile(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
