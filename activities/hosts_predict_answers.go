package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func (p *hostPrediction) reject(message, hint string, cause error) error {
	return rejectAnswers(p.req, message, hint, cause)
}

// answers reads and checks what the program has left: one answer for each
// held-out row, in their order.
func (p *hostPrediction) answers(ctx context.Context) (keys dataset.Series, given answers, err error) {
	data := p.req.Data
	table, err := readHeldOutFiles(ctx, p.data, []string{data.Key})
	if err != nil {
		return keys, given, err
	}
	if table.Rows() == 0 {
		return keys, given, noHeldOutRows(p.req.Snapshot)
	}
	keys = table.Series[0]
	if runtimeOf(p.req.Predict) == models.RuntimePyfunc {
		given, err = p.readNumbers(keys.Len())
	} else {
		given, err = p.readFile(ctx, &keys)
	}
	if err != nil {
		return keys, given, err
	}
	given.latency, err = p.readLatency()
	return keys, given, err
}

// readFile reads the Parquet file of predictions. Rows in another order are put
// into that of the keys.
func (p *hostPrediction) readFile(ctx context.Context, keys *dataset.Series) (answers, error) {
	wants := fmt.Sprintf("write Parquet with the columns %q and %s, one row for each held-out row, to the path in MAINSPRING_PREDICTIONS", p.req.Data.Key, p.columnsText())
	table, err := readParquetFile(ctx, p.path(predictionsFile), func(fields []dataset.Field) ([]string, error) { return p.chooseColumns(fields, wants) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return answers{}, p.reject("the program ended well but wrote no predictions", wants, nil)
	case err != nil:
		if rich := (*models.Error)(nil); errors.As(err, &rich) && rich.Kind == models.KindModelRejected {
			return answers{}, rich
		}
		return answers{}, p.reject("the file of predictions can't be read", wants, err)
	case table.Rows() != keys.Len():
		return answers{}, p.reject(fmt.Sprintf("the file of predictions has %d rows for %d held-out rows", table.Rows(), keys.Len()), wants, nil)
	}
	order, fault := align(keys, &table.Series[0])
	if fault != "" {
		return answers{}, p.reject("the file of predictions "+fault, wants, nil)
	}
	columns := table.Series[1:]
	given := answers{width: len(columns), values: make([]float64, 0, len(order)*len(columns))}
	for row, at := range order {
		for i := range columns {
			v, ok := columns[i].Number(at)
			if !ok {
				return answers{}, p.reject(fmt.Sprintf("the prediction for %q is no number in column %q", keys.Text(row), columns[i].Name), p.form.repair(), nil)
			}
			given.values = append(given.values, v)
		}
	}
	if message, hint := p.form.check(given.values, block{rows: keys.Len()}); message != "" {
		return answers{}, p.reject(message, hint, nil)
	}
	return given, nil
}

// columnsText names the columns of the program's file.
func (p *hostPrediction) columnsText() string {
	switch {
	case p.form.task != models.TaskMulticlass:
		return fmt.Sprintf("%q", p.column())
	case p.form.classes > 0:
		return fmt.Sprintf(`"p0" to "p%d"`, p.form.classes-1)
	default:
		return `"p0", "p1", …`
	}
}

// column is the one column of predictions: as the engine names it in its own
// files, as evaluate.prediction says in those of a command.
func (p *hostPrediction) column() string {
	if runtimeOf(p.req.Predict) == models.RuntimeONNX {
		return predictionColumn
	}
	return p.form.output
}

// chooseColumns picks the key and the predictions.
func (p *hostPrediction) chooseColumns(fields []dataset.Field, hint string) ([]string, error) {
	have := map[string]bool{}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		have[f.Name] = f.Type != ""
	}
	want := []string{p.req.Data.Key}
	if p.form.task == models.TaskMulticlass {
		classes := p.form.classes
		for classes == 0 || p.form.classes == 0 && have[fmt.Sprintf("p%d", classes)] {
			classes++
		}
		want = append(want, p.form.columns(classes)...)
	} else {
		want = append(want, p.column())
	}
	for _, name := range want {
		if have[name] {
			continue
		}
		text := fmt.Sprintf("the file of predictions has no column %q of numbers or keys", name)
		if near := dataset.Nearest(name, names); near != "" && near != name {
			text += fmt.Sprintf(", did you mean %q?", near)
		}
		return nil, p.reject(text+" It has "+strings.Join(names, ", "), hint, nil)
	}
	return want, nil
}

// align returns for each of the wanted keys the row that has it, or what is
// wrong.
func align(want, got *dataset.Series) (order []int, fault string) {
	order = make([]int, want.Len())
	if sameKeys(want, got) == "" {
		for i := range order {
			order[i] = i
		}
		return order, ""
	}
	rowOf := make(map[string]int, got.Len())
	for row := range got.Len() {
		key := got.Text(row)
		if _, twice := rowOf[key]; twice {
			return nil, fmt.Sprintf("has the key %q twice, and its rows are not in the order of the held-out rows", key)
		}
		rowOf[key] = row
	}
	for i := range order {
		row, found := rowOf[want.Text(i)]
		if !found {
			return nil, fmt.Sprintf("has no row for the key %q", want.Text(i))
		}
		order[i] = row
	}
	return order, ""
}

// readLatency reads what the program has measured; nil: nothing.
func (p *hostPrediction) readLatency() (*models.Latency, error) {
	latency := &models.Latency{}
	err := readJSONFile(p.path(latencyFile), latency)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // measuring is the program's choice
	}
	if err == nil && (latency.Requests < 1 || !slices.IsSorted([]float64{0, latency.P50Millis, latency.P99Millis})) {
		err = fmt.Errorf("%d requests, p50 %v ms, p99 %v ms make no sense", latency.Requests, latency.P50Millis, latency.P99Millis)
	}
	if err != nil {
		return nil, p.reject("the file of latencies can't be used",
			`write {"requests": 200, "p50_ms": 1.2, "p99_ms": 3.4} to the path in MAINSPRING_LATENCY, or no file`, err)
	}
	return latency, nil
}
