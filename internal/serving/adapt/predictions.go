package adapt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// outputsOf reads MLflow's answer. What "predictions" looks like follows from
// what the model returned:
//
//   - a list with an element for each row, a number or a list of numbers: one
//     output, the prediction;
//   - a list of objects, which is a data frame: an output for each column, or the
//     prediction, when there is one column without a name, which is a series;
//   - an object of lists: named tensors.
func (s *scoring) outputsOf(answer []byte) ([]oip.NamedTensor, error) {
	var body struct {
		Predictions any `json:"predictions"`
	}
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	if err := decoder.Decode(&body); err != nil {
		return nil, fmt.Errorf("the model server's answer is not JSON: %w", err)
	}
	switch predictions := body.Predictions.(type) {
	case []any:
		if len(predictions) > 0 {
			if _, records := predictions[0].(map[string]any); records {
				return s.columnsOf(predictions)
			}
		}
		output, err := s.tensorOf(s.predictionName(), predictions)
		return []oip.NamedTensor{output}, err
	case map[string]any:
		return s.namedOf(predictions)
	case nil:
		return nil, fmt.Errorf(`the model server's answer has no "predictions"`)
	default:
		return nil, fmt.Errorf(`the model server's "predictions" is %T, no list`, predictions)
	}
}

// columnsOf turns the rows of a data frame into its columns.
func (s *scoring) columnsOf(records []any) ([]oip.NamedTensor, error) {
	columns := map[string]any{}
	for i, r := range records {
		record, ok := r.(map[string]any)
		if !ok || i > 0 && len(record) != len(columns) {
			return nil, fmt.Errorf("row %d of the model's answer has other columns than the first", i)
		}
		for name, cell := range record {
			cells, known := columns[name].([]any)
			if i > 0 && !known {
				return nil, fmt.Errorf("row %d of the model's answer has other columns than the first", i)
			}
			columns[name] = append(cells, cell)
		}
	}
	const unnamedSeries = "0" // what pandas calls the column of a series without a name
	if cells, ok := columns[unnamedSeries].([]any); ok && len(columns) == 1 {
		output, err := s.tensorOf(s.predictionName(), cells)
		return []oip.NamedTensor{output}, err
	}
	return s.namedOf(columns)
}

// namedOf are the outputs in the order of the signature, others after them by
// name.
func (s *scoring) namedOf(columns map[string]any) ([]oip.NamedTensor, error) {
	place := func(name string) int {
		if i := slices.IndexFunc(s.outputs, func(p models.ModelPort) bool { return p.Name == name }); i >= 0 {
			return i
		}
		return len(s.outputs)
	}
	var outputs []oip.NamedTensor
	for name, cells := range columns {
		list, ok := cells.([]any)
		if !ok {
			list = []any{cells}
		}
		output, err := s.tensorOf(name, list)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, output)
	}
	slices.SortFunc(outputs, func(a, b oip.NamedTensor) int {
		if d := place(a.Name) - place(b.Name); d != 0 {
			return d
		}
		return bytes.Compare([]byte(a.Name), []byte(b.Name))
	})
	return outputs, nil
}

// tensorOf is one output, whose first dimension are the rows.
func (s *scoring) tensorOf(name string, rows []any) (oip.NamedTensor, error) {
	shape, values, err := flatten(rows)
	if err != nil {
		return oip.NamedTensor{}, fmt.Errorf("output %q: %w", name, err)
	}
	const classes = 2
	if s.config.Task == models.TaskBinary && name == s.predictionName() && len(shape) == 2 && shape[1] == classes {
		shape = shape[:1]
		for row := range int(shape[0]) {
			values[row] = values[classes*row+1]
		}
		values = values[:shape[0]]
	}
	datatype := ""
	if i := slices.IndexFunc(s.outputs, func(p models.ModelPort) bool { return p.Name == name }); i >= 0 {
		datatype = s.outputs[i].Datatype
	}
	data, datatype, err := typed(values, datatype)
	if err != nil {
		return oip.NamedTensor{}, fmt.Errorf("output %q: %w", name, err)
	}
	return oip.NamedTensor{Name: name, Tensor: oip.Tensor{Datatype: datatype, Shape: shape, Data: data}}, nil
}

// flatten returns the shape of nested lists, which must be even, and their
// innermost values.
func flatten(list []any) (shape []int64, values []any, err error) {
	shape = []int64{int64(len(list))}
	var inner []int64
	for i, element := range list {
		sub, isList := element.([]any)
		if !isList {
			if i > 0 && inner != nil {
				return nil, nil, fmt.Errorf("row %d is no list, as those before it are", i)
			}
			values = append(values, element)
			continue
		}
		deeper, more, err := flatten(sub)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 && !slices.Equal(deeper, inner) {
			return nil, nil, fmt.Errorf("row %d has the shape %v, and the first has %v", i, deeper, inner)
		}
		inner, values = deeper, append(values, more...)
	}
	return append(shape, inner...), values, nil
}

// typed gives values the datatype that the signature says, or, where it says
// none or they do not fit it, the narrowest of BOOL, INT64, FP64 and BYTES that
// all fit.
func typed(values []any, datatype string) (data any, as string, err error) {
	for i, v := range values {
		if v == nil {
			return nil, "", fmt.Errorf("the model's answer number %d is no finite number", i+1)
		}
	}
	for _, as := range []string{datatype, oip.Bool, oip.Int64, oip.FP64, oip.Bytes} {
		if data, ok := castTo(values, as); ok {
			return data, as, nil
		}
	}
	return nil, "", fmt.Errorf("the model's answer mixes %T and others", values[0])
}

func castTo(values []any, datatype string) (any, bool) {
	switch datatype {
	case oip.Bool:
		return all(values, func(v any) (b bool, ok bool) { b, ok = v.(bool); return b, ok })
	case oip.Bytes:
		return all(values, func(v any) (s string, ok bool) { s, ok = v.(string); return s, ok })
	case oip.Int32:
		return all(values, number(func(s string) (int32, error) { n, err := strconv.ParseInt(s, 10, 32); return int32(n), err }))
	case oip.Int64:
		return all(values, number(func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }))
	case oip.FP32:
		return all(values, number(func(s string) (float32, error) { f, err := strconv.ParseFloat(s, 32); return float32(f), err }))
	case oip.FP64:
		return all(values, number(func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }))
	default:
		return nil, false
	}
}

func number[T any](parse func(string) (T, error)) func(any) (T, bool) {
	return func(v any) (T, bool) {
		text, ok := v.(json.Number)
		if !ok {
			var none T
			return none, false
		}
		n, err := parse(text.String())
		return n, err == nil
	}
}

func all[T any](values []any, cast func(any) (T, bool)) (any, bool) {
	out := make([]T, len(values))
	for i, v := range values {
		var ok bool
		if out[i], ok = cast(v); !ok {
			return nil, false
		}
	}
	return out, true
}
