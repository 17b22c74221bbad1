package serving

import (
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// Tensor is the value of a port.
type Tensor = oip.Tensor

// InputError says which input of a prediction is wrong, and how.
type InputError struct {
	Input   string
	Message string
}

// Error implements error.
func (e *InputError) Error() string { return fmt.Sprintf("input %q: %s", e.Input, e.Message) }

func inputErrorf(input, format string, args ...any) error {
	return &InputError{Input: input, Message: fmt.Sprintf(format, args...)}
}

// checkInputs holds inputs against ports: the same names, datatypes and
// shapes, as many values as the shape says, and one batch for all.
func checkInputs(ports []models.ModelPort, inputs map[string]Tensor) error {
	batch, batchOf := int64(-1), ""
	for _, port := range ports {
		tensor, ok := inputs[port.Name]
		if !ok {
			return inputErrorf(port.Name, "is missing; the model needs %s %s", port.Datatype, oip.ShapeText(port.Shape))
		}
		if err := checkInput(port, tensor); err != nil {
			return err
		}
		if len(port.Shape) == 0 || port.Shape[0] != -1 {
			continue
		}
		if batchOf != "" && tensor.Shape[0] != batch {
			return inputErrorf(port.Name, "has a batch of %d, but input %q has %d", tensor.Shape[0], batchOf, batch)
		}
		batch, batchOf = tensor.Shape[0], port.Name
	}
	if len(inputs) == len(ports) {
		return nil
	}
	for _, name := range sortedNames(inputs) {
		if !slices.ContainsFunc(ports, func(p models.ModelPort) bool { return p.Name == name }) {
			return inputErrorf(name, "is not an input of the model, which has %v", portNames(ports))
		}
	}
	return nil
}

func checkInput(port models.ModelPort, tensor Tensor) error {
	if tensor.Datatype != port.Datatype {
		return inputErrorf(port.Name, "has datatype %s, but the model needs %s", tensor.Datatype, port.Datatype)
	}
	fits := len(tensor.Shape) == len(port.Shape)
	for i := 0; fits && i < len(port.Shape); i++ {
		fits = tensor.Shape[i] > 0 && (port.Shape[i] == -1 || port.Shape[i] == tensor.Shape[i])
	}
	if !fits {
		return inputErrorf(port.Name, "has shape %s, but the model needs %s", oip.ShapeText(tensor.Shape), oip.ShapeText(port.Shape))
	}
	if size := oip.Size(tensor.Shape); size != tensor.Len() {
		return inputErrorf(port.Name, "has %d values, but its shape %s has room for %d", tensor.Len(), oip.ShapeText(tensor.Shape), size)
	}
	return nil
}

// batchOf is the batch of inputs that were checked, and 1 when the model has
// none.
func batchOf(ports []models.ModelPort, inputs map[string]Tensor) int64 {
	for _, port := range ports {
		if len(port.Shape) > 0 && port.Shape[0] == -1 {
			return inputs[port.Name].Shape[0]
		}
	}
	return 1
}

// blankInputs are zeros and empty strings.
func blankInputs(ports []models.ModelPort, batch int64) map[string]Tensor {
	inputs := make(map[string]Tensor, len(ports))
	for _, port := range ports {
		shape := slices.Clone(port.Shape)
		for i, n := range shape {
			switch {
			case n == -1 && i == 0:
				shape[i] = batch
			case n == -1:
				shape[i] = 1
			}
		}
		inputs[port.Name] = Tensor{Datatype: port.Datatype, Shape: shape, Data: oip.Make(port.Datatype, oip.Size(shape))}
	}
	return inputs
}

func portNames(ports []models.ModelPort) []string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name
	}
	return names
}

func sortedNames(inputs map[string]Tensor) []string {
	names := make([]string, 0, len(inputs))
	for name := range inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
