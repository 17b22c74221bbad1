package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// Paths are where a prediction on a host finds and leaves things.
type Paths struct {
	Data    string // directory with the snapshot's manifest.json and test
	Out     string // Parquet file to write: the key and the predictions
	Latency string // JSON file to write: models.Latency
	Failure string // JSON file to write instead: why there are no predictions
}

// PredictFiles predicts the held-out rows of a directory with the built-in
// runtime, as Scoring.PredictRows does with those in the store.
func PredictFiles(ctx context.Context, req models.PredictRowsRequest, loader ModelLoader, at Paths) error {
	err := predictFiles(ctx, req, loader, at)
	var rich *models.Error
	if !errors.As(err, &rich) {
		return err
	}
	failed := failure{Kind: rich.Kind, Message: rich.Message, Hint: rich.Hint}
	if rich.Cause != nil {
		failed.Message += ": " + rich.Cause.Error()
	}
	return errors.Join(err, writeJSON(at.Failure, failed))
}

// failure is how a program of the engine's own tells why it failed.
type failure struct {
	Kind    models.ErrorKind `json:"kind"`
	Message string           `json:"message"`
	Hint    string           `json:"hint,omitempty"`
}

func predictFiles(ctx context.Context, req models.PredictRowsRequest, loader ModelLoader, at Paths) error {
	p := newPrediction(req)
	if err := p.checkPorts(); err != nil {
		return err
	}
	table, err := readHeldOutFiles(ctx, at.Data, p.columns())
	if err != nil {
		return err
	}
	if table.Rows() == 0 {
		return noHeldOutRows(req.Snapshot)
	}
	result, err := p.answer(ctx, loader, table)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := parquetio.Write(&b, answerTable(*table.Column(req.Data.Key), p.form, result), nil); err != nil {
		return err
	}
	return errors.Join(writeJSON(at.Latency, result.latency), os.WriteFile(at.Out, b.Bytes(), 0o600))
}

func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// readHeldOutFiles reads some columns of the held-out rows in a directory, in
// the manifest's order. Their digests were verified when they were fetched.
func readHeldOutFiles(ctx context.Context, dir string, names []string) (dataset.Table, error) {
	var table dataset.Table
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return table, err
	}
	manifest, err := dataset.Decode(data)
	if err != nil {
		return table, err
	}
	for _, file := range manifest.Files {
		if path.Dir(file.Path) != dataset.TestDir {
			continue
		}
		more, err := readParquetFile(ctx, filepath.Join(dir, filepath.FromSlash(file.Path)), func([]dataset.Field) ([]string, error) { return names, nil })
		if err != nil {
			return table, err
		}
		table.Append(more)
	}
	return table, nil
}

// readParquetFile reads the columns that choose picks from those in the file.
func readParquetFile(ctx context.Context, path string, choose func([]dataset.Field) ([]string, error)) (table dataset.Table, err error) {
	source, err := os.Open(path)
	if err != nil {
		return table, err
	}
	defer func() { _ = source.Close() }() // only read from
	info, err := source.Stat()
	if err != nil {
		return table, err
	}
	file, err := parquetio.Open(source, info.Size())
	if err != nil {
		return table, unreadable(path, err)
	}
	names, err := choose(file.Fields())
	if err != nil {
		return table, err
	}
	if table, err = file.ReadAll(ctx, names); err != nil {
		return table, unreadable(path, err)
	}
	return table, nil
}
