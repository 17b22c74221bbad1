package activities

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// foldRequest asks for the training rows that a program predicted out of fold.
type foldRequest struct {
	data     models.DataSpec
	manifest models.Ref
	file     models.Ref
	width    int      // numbers per prediction
	columns  []string // of the snapshot, the key among them
}

// answeredRows are rows of a snapshot, each with a model's answer to it.
type answeredRows struct {
	table   dataset.Table
	answers answers
}

// readFolds joins the program's out-of-fold predictions with the training rows,
// in the order of the predictions. Rows without one are no evidence; a file
// that fits none is an error.
func readFolds(ctx context.Context, store artifact.Store, want foldRequest) (answeredRows, error) {
	out := answeredRows{answers: answers{width: want.width}}
	f := form{task: taskOf(want.data), classes: want.width}
	names := f.columns(want.width)
	folds, err := readVerified(ctx, store, want.file, append([]string{want.data.Key}, names...))
	if errors.Is(err, parquetio.ErrNoColumn) || errors.Is(err, parquetio.ErrNotParquet) {
		quoted := make([]string, len(names))
		for i, name := range names {
			quoted[i] = strconv.Quote(name)
		}
		return out, rejectFolds(want.file, fmt.Sprintf("the file must be Parquet with the columns %q and %s", want.data.Key, strings.Join(quoted, ", ")), err)
	}
	if err != nil {
		return out, err
	}
	train, err := readSide(ctx, store, want.manifest, side{dataset.TrainDir, want.columns})
	if err != nil {
		return out, err
	}
	rowOf := make(map[string]int, train.Rows())
	for row := range train.Rows() {
		rowOf[train.Column(want.data.Key).Text(row)] = row
	}
	var picked []int
	for i := range folds.Rows() {
		key := folds.Series[0].Text(i)
		row, known := rowOf[key]
		if !known {
			continue
		}
		answer := numbersAt(folds.Series[1:], i)
		if fault := f.fault(answer); fault != "" {
			return out, rejectFolds(want.file, fmt.Sprintf("the prediction for %q %s", key, strings.Replace(fault, " for a held-out row", "", 1)), nil)
		}
		picked = append(picked, row)
		out.answers.values = append(out.answers.values, answer...)
	}
	if len(picked) == 0 {
		return out, rejectFolds(want.file, fmt.Sprintf("none of the %d keys is a training row's", folds.Rows()), nil)
	}
	out.table = train.Pick(want.columns, picked)
	return out, nil
}

// numbersAt is one row of some columns; NaN where there is no number.
func numbersAt(columns []dataset.Series, row int) []float64 {
	numbers := make([]float64, len(columns))
	for i := range columns {
		v, ok := columns[i].Number(row)
		if !ok {
			v = math.NaN()
		}
		numbers[i] = v
	}
	return numbers
}

func rejectFolds(ref models.Ref, message string, cause error) error {
	return &models.Error{
		Kind: models.KindModelRejected, Subject: ref.URI, Message: "out-of-fold predictions: " + message, Cause: cause,
		Hint: "write Parquet with the key and the prediction of each training row, or write no file",
	}
}
