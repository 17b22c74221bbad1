package oip

import (
	"fmt"
	"strconv"
)

// RawTensor is a tensor whose values are JSON text that shares the memory of
// the message it was scanned from.
type RawTensor struct {
	Name     string
	Datatype string
	Shape    []int64
	Data     []byte // nested or flat list
}

// RawRequest is an inference request with its values unread.
type RawRequest struct {
	ID     string
	Inputs []RawTensor
	// Outputs are the names asked for; none: all.
	Outputs []string
}

// RawResponse is an inference reply with its values unread.
type RawResponse struct {
	ID      string
	Outputs []RawTensor
}

// ScanRequest finds the tensors of a request. Members that the protocol does
// not know, and parameters, are passed over.
func ScanRequest(body []byte) (RawRequest, error) {
	var r RawRequest
	c := &cursor{text: body}
	seen := false
	err := c.members(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			r.ID, err = c.stringOf("id")
		case "inputs":
			seen = true
			r.Inputs, err = c.tensors("input")
		case "outputs":
			r.Outputs, err = c.names()
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
	return r, err
}

// ScanResponse finds the tensors of a reply.
func ScanResponse(body []byte) (RawResponse, error) {
	var r RawResponse
	c := &cursor{text: body}
	err := c.members(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			r.ID, err = c.stringOf("id")
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
	return r, err
}

// stringOf consumes a string value of the named member.
func (c *cursor) stringOf(member string) (string, error) {
	if c.peek() != '"' {
		return "", fmt.Errorf("%q must be a string", member)
	}
	b, err := c.stringBytes()
	return string(b), err
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
	var t RawTensor
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
			t.Data, err = c.skip(0)
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
	case t.Data == nil:
		return t, fmt.Errorf(`"data" is missing (binary tensors are not supported; send JSON)`)
	}
	return t, nil
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

// names consumes the list of outputs that a request asks for.
func (c *cursor) names() ([]string, error) {
	var names []string
	err := c.elements(func() error {
		var name string
		err := c.members(func(member []byte) (err error) {
			if string(member) == "name" {
				name, err = c.stringOf("name")
				return err
			}
			_, err = c.skip(0)
			return err
		})
		if err == nil && name == "" {
			err = fmt.Errorf(`output number %d: "name" is missing`, len(names)+1)
		}
		names = append(names, name)
		return err
	})
	return names, err
}

// AppendFlat appends the tensor's values to dst as one flat JSON list without
// white space.
func (t RawTensor) AppendFlat(dst []byte) ([]byte, error) {
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
