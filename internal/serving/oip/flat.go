package oip

import "fmt"

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
	c := cursor{text: t.Data}
	dst = append(dst, '[')
	empty := len(dst)
	dst, err := c.flatten(dst, empty, 0)
	return append(dst, ']'), err
}

// flatten appends the innermost values of nested lists; empty is the length of
// dst before the first one.
func (c *cursor) flatten(dst []byte, empty, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	for more, err := c.open('['); ; more, err = c.next(']') {
		if err != nil || !more {
			return dst, err
		}
		if c.peek() == '[' {
			if dst, err = c.flatten(dst, empty, depth+1); err != nil {
				return dst, err
			}
			continue
		}
		if len(dst) > empty {
			dst = append(dst, ',')
		}
		value, err := c.skip(maxDepth)
		if err != nil {
			return dst, err
		}
		dst = append(dst, value...)
	}
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
