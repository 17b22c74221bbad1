package adapt

import (
	"encoding/json"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// invocationOf is the body of POST /invocations for some inputs. Values are
// passed on as they were written: MLflow casts them to the signature.
func invocationOf(inputs []oip.RawTensor, tensors bool, ports []models.ModelPort) ([]byte, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf(`"inputs" is empty`)
	}
	values := make([][]json.RawMessage, len(inputs))
	seen := map[string]bool{}
	for i, input := range inputs {
		if seen[input.Name] {
			return nil, fmt.Errorf("input %q: is given twice", input.Name)
		}
		seen[input.Name] = true
		var err error
		if values[i], err = flatValues(input); err != nil {
			return nil, fmt.Errorf("input %q: %w", input.Name, err)
		}
	}
	if tensors {
		return tensorInvocation(inputs, values, ports)
	}
	return frameInvocation(inputs, values)
}

// flatValues are a tensor's values in row-major order, each as it was written.
func flatValues(input oip.RawTensor) ([]json.RawMessage, error) {
	tensor, err := input.Decode() // what it holds fits what it says
	if err != nil {
		return nil, err
	}
	if input.Data == nil { // binary; what JSON can't hold is refused
		if input, err = asJSON(input.Name, tensor); err != nil {
			return nil, err
		}
	}
	flat, err := input.AppendFlat(nil)
	if err != nil {
		return nil, err
	}
	var values []json.RawMessage
	return values, json.Unmarshal(flat, &values)
}

func asJSON(name string, tensor oip.Tensor) (oip.RawTensor, error) {
	text, err := oip.AppendRequest(nil, "", []oip.NamedTensor{{Name: name, Tensor: tensor}})
	if err != nil {
		return oip.RawTensor{}, err
	}
	request, err := oip.ScanRequest(text)
	if err != nil {
		return oip.RawTensor{}, err
	}
	return request.Inputs[0], nil
}

// frameInvocation makes a data frame of the inputs, a column each. A column of
// several values for each row has lists in its cells.
func frameInvocation(inputs []oip.RawTensor, values [][]json.RawMessage) ([]byte, error) {
	rows := -1
	columns := make([]string, len(inputs))
	for i, input := range inputs {
		columns[i] = input.Name
		if len(input.Shape) == 0 || input.Shape[0] == 0 {
			return nil, fmt.Errorf("input %q: has shape %s; the first dimension is the batch, of one row at least", input.Name, oip.ShapeText(input.Shape))
		}
		if n := int(input.Shape[0]); rows >= 0 && n != rows {
			return nil, fmt.Errorf("input %q: has a batch of %d, but input %q has %d", input.Name, n, inputs[0].Name, rows)
		}
		rows = int(input.Shape[0])
	}
	data := make([][]any, rows)
	for row := range data {
		data[row] = make([]any, len(inputs))
		for i := range inputs {
			width := len(values[i]) / rows
			cell := values[i][row*width : (row+1)*width]
			if width == 1 {
				data[row][i] = cell[0]
			} else {
				data[row][i] = cell
			}
		}
	}
	return json.Marshal(map[string]any{"dataframe_split": map[string]any{"columns": columns, "data": data}})
}

// tensorInvocation names the tensors, unless the model has a single one without
// a name.
func tensorInvocation(inputs []oip.RawTensor, values [][]json.RawMessage, ports []models.ModelPort) ([]byte, error) {
	named := map[string]any{}
	for i, input := range inputs {
		if len(input.Shape) == 0 {
			return nil, fmt.Errorf("input %q: has no dimension; the first is the batch", input.Name)
		}
		named[input.Name] = nested(values[i], input.Shape)
	}
	if len(inputs) == 1 && len(ports) == 1 && ports[0].Name == unnamedInput {
		return json.Marshal(map[string]any{"inputs": named[inputs[0].Name]})
	}
	return json.Marshal(map[string]any{"inputs": named})
}

// unnamedInput is what callers are told of an input that has no name.
const unnamedInput = "input"

// nested puts values into lists of a shape that has room for exactly those.
func nested(values []json.RawMessage, shape []int64) any {
	if len(shape) == 1 {
		return values
	}
	list := make([]any, shape[0])
	for i := range list {
		size := len(values) / len(list)
		list[i] = nested(values[i*size:(i+1)*size], shape[1:])
	}
	return list
}
