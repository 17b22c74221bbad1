package oip

import (
	"bytes"
	"fmt"
	"strconv"
)

// RawTensor is a tensor whose values are unread. It shares the memory of the
// message it was scanned from.
type RawTensor struct {
	Name     string
	Datatype string
	Shape    []int64
	// Data is a nested or flat JSON list.
	Data []byte
	// Binary has the values in binary form when Data is nil.
	Binary []byte

	binarySize int // parameters.binary_data_size; -1: none
}

// RawRequest is an inference request with its values unread.
type RawRequest struct {
	ID     string
	Inputs []RawTensor
	// Outputs are the names asked for; none: all.
	Outputs []string

	forms      []form // of Outputs
	binaryForm bool   // of outputs that do not say
}

// form is how an output is to be written.
type form int8

const (
	formUnsaid form = iota
	formJSON
	formBinary
)

// WantsBinary reports whether the request asks for the output in binary form.
func (r RawRequest) WantsBinary(output string) bool {
	for i, name := range r.Outputs {
		if name == output && r.forms[i] != formUnsaid {
			return r.forms[i] == formBinary
		}
	}
	return r.binaryForm
}

// RawResponse is an inference reply with its values unread.
type RawResponse struct {
	ID      string
	Outputs []RawTensor
}

// ScanRequest finds the tensors of a request in JSON. Members that the protocol
// does not know, and parameters that are not about binary data, are passed
// over.
func ScanRequest(body []byte) (RawRequest, error) { return ScanBinaryRequest(body, "") }

// ScanBinaryRequest is ScanRequest for a body that may have binary data after
// its JSON. headerLength is the value of the HTTP header [HeaderLength]; empty:
// the body is JSON.
func ScanBinaryRequest(body []byte, headerLength string) (RawRequest, error) {
	var r RawRequest
	text, rest, err := split(body, headerLength)
	if err != nil {
		return r, err
	}
	c := &cursor{text: text}
	seen := false
	err = c.members(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			r.ID, err = c.optionalString("id")
		case "inputs":
			seen = true
			r.Inputs, err = c.tensors("input")
		case "outputs":
			err = c.wanted(&r)
		case "parameters":
			err = c.parameters(func(name, value []byte) error {
				if string(name) == "binary_data_output" {
					r.binaryForm = string(value) == "true"
				}
				return nil
			})
		default:
			_, err = c.skip(0)
		}
		return err
	})
	if err == nil {
		err = c.end()
	}
	if err == nil && !seen {
		err = fmt.Errorf(`the request has no "inputs"`)
	}
	if err == nil {
		err = attach("input", r.Inputs, rest)
	}
	return r, err
}

// ScanResponse finds the tensors of a reply in JSON.
func ScanResponse(body []byte) (RawResponse, error) { return ScanBinaryResponse(body, "") }

// ScanBinaryResponse is ScanResponse for a body that may have binary data after
// its JSON; see ScanBinaryRequest.
func ScanBinaryResponse(body []byte, headerLength string) (RawResponse, error) {
	var r RawResponse
	text, rest, err := split(body, headerLength)
	if err != nil {
		return r, err
	}
	c := &cursor{text: text}
	err = c.members(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			r.ID, err = c.optionalString("id")
		case "outputs":
			r.Outputs, err = c.tensors("output")
		default:
			_, err = c.skip(0)
		}
		return err
	})
	if err == nil {
		err = c.end()
	}
	if err == nil {
		err = attach("output", r.Outputs, rest)
	}
	return r, err
}

// HeaderLength is the HTTP header with the length of the JSON before binary
// data, in requests and replies.
const HeaderLength = "Inference-Header-Content-Length"

func split(body []byte, headerLength string) (text, rest []byte, err error) {
	if headerLength == "" {
		return body, nil, nil
	}
	n, err := strconv.ParseInt(headerLength, 10, 64)
	if err != nil || n < 0 || n > int64(len(body)) {
		return nil, nil, fmt.Errorf("header %s: %q is not the length of the JSON in a body of %d bytes", HeaderLength, headerLength, len(body))
	}
	return body[:n], body[n:], nil
}

// attach gives the tensors their parts of the binary data, which come in the
// order of the tensors.
func attach(kind string, tensors []RawTensor, rest []byte) error {
	for i := range tensors {
		t := &tensors[i]
		switch {
		case t.binarySize < 0:
			continue
		case t.binarySize > len(rest):
			return fmt.Errorf("%s %q: binary_data_size is %d, but %d bytes are left after the JSON (whose length the header %s must state)",
				kind, t.Name, t.binarySize, len(rest), HeaderLength)
		}
		t.Binary, rest = rest[:t.binarySize:t.binarySize], rest[t.binarySize:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes are left after the binary data of the last %s", len(rest), kind)
	}
	return nil
}

// stringOf consumes a string value of the named member.
func (c *cursor) stringOf(member string) (string, error) {
	if c.peek() != '"' {
		return "", fmt.Errorf("%q must be a string", member)
	}
	b, err := c.stringBytes()
	return string(b), err
}

// optionalString is stringOf for a member that may be null.
func (c *cursor) optionalString(member string) (string, error) {
	if c.null() {
		return "", nil
	}
	return c.stringOf(member)
}

// null consumes a null, if there is one.
func (c *cursor) null() bool {
	if c.peek() != 'n' || !bytes.HasPrefix(c.text[c.at:], []byte("null")) {
		return false
	}
	c.at += len("null")
	return true
}

// parameters calls visit with the name and the text of each parameter of the
// object at the cursor, which may be null.
func (c *cursor) parameters(visit func(name, value []byte) error) error {
	if c.null() {
		return nil
	}
	return c.members(func(name []byte) error {
		value, err := c.skip(0)
		if err != nil {
			return err
		}
		return visit(name, value)
	})
}

func (c *cursor) tensors(kind string) ([]RawTensor, error) {
	list := make([]RawTensor, 0, 8)
	err := c.elements(func() error {
		t, err := c.tensor()
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind, nameOrIndex(t.Name, len(list)), err)
		}
		list = append(list, t)
		return nil
	})
	return list, err
}

func nameOrIndex(name string, index int) string {
	if name != "" {
		return strconv.Quote(name)
	}
	return "number " + strconv.Itoa(index+1)
}

func (c *cursor) tensor() (RawTensor, error) {
	t := RawTensor{binarySize: -1}
	err := c.members(func(member []byte) (err error) {
		switch string(member) {
		case "name":
			t.Name, err = c.stringOf("name")
		case "datatype":
			var b []byte
			if b, err = c.stringBytes(); err == nil {
				t.Datatype = intern(b)
			}
		case "shape":
			t.Shape, err = c.shape()
		case "data":
			t.Data, err = c.list()
		case "parameters":
			err = c.parameters(t.parameter)
		default:
			_, err = c.skip(0)
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case t.Name == "":
		return t, fmt.Errorf(`"name" is missing`)
	case t.Datatype == "":
		return t, fmt.Errorf(`"datatype" is missing`)
	case t.Shape == nil:
		return t, fmt.Errorf(`"shape" is missing`)
	case t.Data == nil && t.binarySize < 0:
		return t, fmt.Errorf(`"data" is missing`)
	case t.Data != nil && t.binarySize >= 0:
		return t, fmt.Errorf(`has "data" and the parameter binary_data_size; it must have one of them`)
	}
	return t, nil
}

// parameter takes note of those that say where the values are.
func (t *RawTensor) parameter(name, value []byte) error {
	switch string(name) {
	case "binary_data_size":
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("binary_data_size: %s is not a number of bytes", shorten(value))
		}
		t.binarySize = int(n)
	case "shared_memory_region":
		return fmt.Errorf("shared memory is not supported; send the data in the request")
	}
	return nil
}

// list consumes a value that must be a list and returns its text.
func (c *cursor) list() ([]byte, error) {
	if b := c.peek(); b != '[' && c.at < len(c.text) {
		return nil, fmt.Errorf("data: found %q, expected a list", b)
	}
	return c.skip(0)
}

func (c *cursor) shape() ([]int64, error) {
	shape := make([]int64, 0, 2)
	err := c.elements(func() error {
		token, err := c.scalar()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(token), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("shape: %q is not a size", token)
		}
		shape = append(shape, n)
		return nil
	})
	return shape, err
}

// wanted consumes the list of outputs that a request asks for.
func (c *cursor) wanted(r *RawRequest) error {
	if c.null() {
		return nil
	}
	return c.elements(func() error {
		name, said := "", formUnsaid
		err := c.members(func(member []byte) (err error) {
			switch string(member) {
			case "name":
				name, err = c.stringOf("name")
			case "parameters":
				err = c.parameters(func(name, value []byte) error {
					switch {
					case string(name) != "binary_data":
					case string(value) == "true":
						said = formBinary
					default:
						said = formJSON
					}
					return nil
				})
			default:
				_, err = c.skip(0)
			}
			return err
		})
		if err == nil && name == "" {
			err = fmt.Errorf(`output number %d: "name" is missing`, len(r.Outputs)+1)
		}
		r.Outputs, r.forms = append(r.Outputs, name), append(r.forms, said)
		return err
	})
}

// AppendFlat appends the tensor's values to dst as one flat JSON list without
// white space. What JSON can't hold of binary data is null (NaN, ±Inf) or
// replaced by U+FFFD (bytes that are not UTF-8): this form is for reading, not
// for predicting.
func (t RawTensor) AppendFlat(dst []byte) ([]byte, error) {
	if t.Data == nil {
		tensor, err := t.Decode()
		if err != nil {
			return nil, err
		}
		return appendLossy(dst, tensor.Data)
	}
	c := &cursor{text: t.Data}
	dst = append(dst, '[')
	first := true
	err := c.flatten(0, func() error {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		value, err := c.skip(maxDepth)
		dst = append(dst, value...)
		return err
	})
	return append(dst, ']'), err
}

// flatten calls visit at each innermost value of nested lists.
func (c *cursor) flatten(depth int, visit func() error) error {
	if depth > maxDepth {
		return fmt.Errorf("more than %d levels of lists", maxDepth)
	}
	return c.elements(func() error {
		if c.peek() == '[' {
			return c.flatten(depth+1, visit)
		}
		return visit()
	})
}

// AppendTensors appends tensors to dst as a JSON object of name → flat list,
// the form in which the inference log keeps them.
func AppendTensors(dst []byte, tensors []RawTensor) ([]byte, error) {
	dst = append(dst, '{')
	for i, t := range tensors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, t.Name)
		dst = append(dst, ':')
		var err error
		if dst, err = t.AppendFlat(dst); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
	}
	return append(dst, '}'), nil
}
