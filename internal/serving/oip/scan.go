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
	c := cursor{text: text}
	seen, err := c.request(&r)
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

// request consumes a request's object; seen says that it has inputs.
func (c *cursor) request(r *RawRequest) (seen bool, err error) {
	for more, err := c.open('{'); ; more, err = c.next('}') {
		if err != nil || !more {
			return seen, err
		}
		name, err := c.key()
		if err != nil {
			return seen, err
		}
		switch string(name) {
		case "id":
			r.ID, err = c.optionalString("id")
		case "inputs":
			seen = true
			r.Inputs, err = c.tensors("input", 4)
		case "outputs":
			err = c.wanted(r)
		case "parameters":
			var p parameters
			p, err = c.parameters()
			r.binaryForm = p.binaryOutput
		default:
			_, err = c.skip(0)
		}
		if err != nil {
			return seen, err
		}
	}
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
	c := cursor{text: text}
	if err = c.response(&r); err == nil {
		err = c.end()
	}
	if err == nil {
		err = attach("output", r.Outputs, rest)
	}
	return r, err
}

func (c *cursor) response(r *RawResponse) error {
	for more, err := c.open('{'); ; more, err = c.next('}') {
		if err != nil || !more {
			return err
		}
		name, err := c.key()
		if err != nil {
			return err
		}
		switch string(name) {
		case "id":
			r.ID, err = c.optionalString("id")
		case "outputs":
			r.Outputs, err = c.tensors("output", 2)
		default:
			_, err = c.skip(0)
		}
		if err != nil {
			return err
		}
	}
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

// tensors consumes a list of tensors; about so many are expected.
func (c *cursor) tensors(kind string, expected int) ([]RawTensor, error) {
	list := make([]RawTensor, 0, expected)
	for more, err := c.open('['); ; more, err = c.next(']') {
		if err != nil || !more {
			return list, err
		}
		t, err := c.tensor()
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, nameOrIndex(t.Name, len(list)), err)
		}
		list = append(list, t)
	}
}

func nameOrIndex(name string, index int) string {
	if name != "" {
		return strconv.Quote(name)
	}
	return "number " + strconv.Itoa(index+1)
}

func (c *cursor) tensor() (RawTensor, error) {
	t := RawTensor{binarySize: -1}
	err := c.tensorMembers(&t)
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

func (c *cursor) tensorMembers(t *RawTensor) error {
	for more, err := c.open('{'); ; more, err = c.next('}') {
		if err != nil || !more {
			return err
		}
		member, err := c.key()
		if err != nil {
			return err
		}
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
			var p parameters
			p, err = c.parameters()
			t.binarySize = p.binarySize
		default:
			_, err = c.skip(0)
		}
		if err != nil {
			return err
		}
	}
}

// list consumes a value that must be a list and returns its text.
func (c *cursor) list() ([]byte, error) {
	if b := c.peek(); b != '[' && c.at < len(c.text) {
		return nil, fmt.Errorf("data: found %q, expected a list", b)
	}
	return c.skip(0)
}

func (c *cursor) shape() ([]int64, error) {
	if c.sizes == nil {
		c.sizes = make([]int64, 0, 16)
	}
	start := len(c.sizes)
	for more, err := c.open('['); ; more, err = c.next(']') {
		if err != nil || !more {
			return c.sizes[start:len(c.sizes):len(c.sizes)], err
		}
		token, err := c.scalar()
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(string(token), 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("shape: %q is not a size", token)
		}
		c.sizes = append(c.sizes, n)
	}
}
