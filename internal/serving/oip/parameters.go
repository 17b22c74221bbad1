package oip

import (
	"fmt"
	"strconv"
)

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

// parameters are those that say where values are, or are to be.
type parameters struct {
	binaryOutput bool // of a request
	form         form // of an output
	binarySize   int  // of a tensor; -1: none
}

// parameters consumes an object of parameters, which may be null.
func (c *cursor) parameters() (p parameters, err error) {
	p.binarySize = -1
	if c.null() {
		return p, nil
	}
	for more, err := c.open('{'); ; more, err = c.next('}') {
		if err != nil || !more {
			return p, err
		}
		name, err := c.key()
		if err != nil {
			return p, err
		}
		value, err := c.skip(0)
		if err != nil {
			return p, err
		}
		switch string(name) {
		case "binary_data_output":
			p.binaryOutput = string(value) == "true"
		case "binary_data":
			if p.form = formJSON; string(value) == "true" {
				p.form = formBinary
			}
		case "binary_data_size":
			n, err := strconv.ParseInt(string(value), 10, 32)
			if err != nil || n < 0 {
				return p, fmt.Errorf("binary_data_size: %s is not a number of bytes", shorten(value))
			}
			p.binarySize = int(n)
		case "shared_memory_region":
			return p, fmt.Errorf("shared memory is not supported; send the data in the request")
		}
	}
}

// wanted consumes the list of outputs that a request asks for.
func (c *cursor) wanted(r *RawRequest) error {
	if c.null() {
		return nil
	}
	for more, err := c.open('['); ; more, err = c.next(']') {
		if err != nil || !more {
			return err
		}
		name, said, err := c.wantedOutput()
		if err == nil && name == "" {
			err = fmt.Errorf(`"name" is missing`)
		}
		if err != nil {
			return fmt.Errorf("output number %d: %w", len(r.Outputs)+1, err)
		}
		r.Outputs, r.forms = append(r.Outputs, name), append(r.forms, said)
	}
}

func (c *cursor) wantedOutput() (name string, said form, err error) {
	for more, err := c.open('{'); ; more, err = c.next('}') {
		if err != nil || !more {
			return name, said, err
		}
		member, err := c.key()
		if err != nil {
			return name, said, err
		}
		switch string(member) {
		case "name":
			name, err = c.stringOf("name")
		case "parameters":
			var p parameters
			p, err = c.parameters()
			said = p.form
		default:
			_, err = c.skip(0)
		}
		if err != nil {
			return name, said, err
		}
	}
}
