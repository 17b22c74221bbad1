package oip

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting of any value, so that hostile input can't
// exhaust the stack.
const maxDepth = 64

var errTruncated = errors.New("the JSON text ends early")

// cursor walks over JSON text.
type cursor struct {
	text []byte
	at   int
}

// peek skips white space and returns the next byte, 0 at the end.
func (c *cursor) peek() byte {
	for c.at < len(c.text) {
		switch b := c.text[c.at]; b {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return b
		}
	}
	return 0
}

func (c *cursor) expect(b byte) error {
	switch found := c.peek(); {
	case c.at >= len(c.text):
		return errTruncated
	case found != b:
		return fmt.Errorf("invalid JSON at byte %d: found %q, expected %q", c.at, found, b)
	}
	c.at++
	return nil
}

// end fails when anything but white space is left.
func (c *cursor) end() error {
	if c.peek(); c.at < len(c.text) {
		return fmt.Errorf("invalid JSON at byte %d: found %q after the end of the object", c.at, c.text[c.at])
	}
	return nil
}

// members calls visit for each member of the object at the cursor; visit must
// consume the value.
func (c *cursor) members(visit func(name []byte) error) error {
	if err := c.expect('{'); err != nil {
		return err
	}
	if c.peek() == '}' {
		c.at++
		return nil
	}
	for {
		name, err := c.stringBytes()
		if err != nil {
			return err
		}
		if err := c.expect(':'); err != nil {
			return err
		}
		if err := visit(name); err != nil {
			return err
		}
		if c.peek() == ',' {
			c.at++
			continue
		}
		return c.expect('}')
	}
}

// elements calls visit for each element of the list at the cursor; visit must
// consume the value.
func (c *cursor) elements(visit func() error) error {
	if err := c.expect('['); err != nil {
		return err
	}
	if c.peek() == ']' {
		c.at++
		return nil
	}
	for {
		if err := visit(); err != nil {
			return err
		}
		if c.peek() == ',' {
			c.at++
			continue
		}
		return c.expect(']')
	}
}

// quoted consumes a string and returns it with its quotes. plain says that
// nothing in it is escaped.
func (c *cursor) quoted() (token []byte, plain bool, err error) {
	if err := c.expect('"'); err != nil {
		return nil, false, err
	}
	start := c.at - 1
	plain = true
	for c.at < len(c.text) {
		switch b := c.text[c.at]; {
		case b == '"':
			c.at++
			return c.text[start:c.at], plain, nil
		case b == '\\':
			plain = false
			c.at += 2
		case b < 0x20:
			return nil, false, fmt.Errorf("invalid JSON at byte %d: control character in a string", c.at)
		default:
			c.at++
		}
	}
	return nil, false, errTruncated
}

// stringBytes consumes a string and returns its content, which may share the
// text's memory.
func (c *cursor) stringBytes() ([]byte, error) {
	token, plain, err := c.quoted()
	if err != nil {
		return nil, err
	}
	if plain && utf8.Valid(token) {
		return token[1 : len(token)-1], nil
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return nil, fmt.Errorf("invalid string at byte %d: %w", c.at, err)
	}
	return []byte(s), nil
}

// scalar consumes a number, true, false or null without looking closer.
func (c *cursor) scalar() ([]byte, error) {
	c.peek()
	start := c.at
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ',', ']', '}', ' ', '\t', '\n', '\r', ':', '"', '[', '{':
		default:
			c.at++
			continue
		}
		break
	}
	switch {
	case c.at > start:
		return c.text[start:c.at], nil
	case c.at >= len(c.text):
		return nil, errTruncated
	default:
		return nil, fmt.Errorf("invalid JSON at byte %d: found %q, expected a value", c.at, c.text[c.at])
	}
}

// skip consumes any value and returns its text.
func (c *cursor) skip(depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("invalid JSON at byte %d: more than %d levels", c.at, maxDepth)
	}
	next := c.peek()
	start := c.at
	var err error
	switch next {
	case '{':
		err = c.members(func([]byte) error { _, err := c.skip(depth + 1); return err })
	case '[':
		err = c.elements(func() error { _, err := c.skip(depth + 1); return err })
	case '"':
		_, _, err = c.quoted()
	default:
		_, err = c.scalar()
	}
	if err != nil {
		return nil, err
	}
	return c.text[start:c.at], nil
}
