package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// answerTable is the content of a file of predictions: the keys and what was
// answered.
func answerTable(keys dataset.Series, f form, a answers) dataset.Table {
	table := dataset.Table{Series: []dataset.Series{keys}}
	for column, name := range f.columns(a.width) {
		table.Series = append(table.Series, answerColumn(name, a, column))
	}
	return table
}

func answerColumn(name string, a answers, column int) dataset.Series {
	values := a.values
	if a.width > 1 {
		values = make([]float64, a.rows())
		for i := range values {
			values[i] = a.values[i*a.width+column]
		}
	}
	return dataset.Series{Name: name, Type: dataset.TypeFloat64, Floats: values}
}

// storeAnswers writes a file of predictions under its digest.
func storeAnswers(ctx context.Context, store artifact.Store, keys dataset.Series, f form, a answers) (models.Predictions, error) {
	ref, err := writeTable(ctx, store, answerTable(keys, f, a), nil)
	if err != nil {
		return models.Predictions{}, err
	}
	return models.Predictions{
		File: ref, Rows: int64(a.rows()), Classes: a.width, Latency: a.latency, Seconds: a.seconds,
	}, nil
}

// readAnswers reads one model's predictions, which must be of the rows with
// these keys, in their order.
func (s *Scoring) readAnswers(ctx context.Context, who string, p models.Predictions, rows heldOut) (answers, error) {
	data := rows.input.Data
	f := form{task: taskOf(data), classes: len(data.Classes), output: predictionColumn}
	names := f.columns(max(1, p.Classes))
	table, err := readVerified(ctx, s.Store, p.File, append([]string{data.Key}, names...))
	if errors.Is(err, parquetio.ErrNoColumn) {
		return answers{}, foreignAnswers(who, p, err.Error())
	}
	if err != nil {
		return answers{}, err
	}
	if fault := sameKeys(rows.table.Column(data.Key), table.Column(data.Key)); fault != "" {
		return answers{}, foreignAnswers(who, p, fault)
	}
	a := answers{width: len(names), values: make([]float64, 0, table.Rows()*len(names))}
	for row := range table.Rows() {
		for column := range names {
			v, ok := table.Series[column+1].Number(row)
			if !ok {
				return answers{}, foreignAnswers(who, p, fmt.Sprintf("row %d has no number in column %q", row, names[column]))
			}
			a.values = append(a.values, v)
		}
	}
	if message, _ := f.check(a.values, block{rows: table.Rows()}); message != "" {
		return answers{}, foreignAnswers(who, p, message)
	}
	return a, nil
}

func foreignAnswers(who string, p models.Predictions, message string) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: who + " " + p.File.URI,
		Message: "these are no predictions for the snapshot's held-out rows: " + message,
		Hint:    "predict again from the same snapshot",
	}
}

// sameKeys says where two lists of keys differ; nothing when they don't.
func sameKeys(want, got *dataset.Series) string {
	if want.Len() != got.Len() {
		return fmt.Sprintf("%d rows instead of %d", got.Len(), want.Len())
	}
	for i := range want.Len() {
		if a, b := want.Text(i), got.Text(i); a != b {
			return fmt.Sprintf("row %d has the key %q instead of %q", i, b, a)
		}
	}
	return ""
}
