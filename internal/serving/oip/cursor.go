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

var (
	errTruncated = errors.New("the JSON text ends early")
	errDepth     = fmt.Errorf("more than %d levels of lists", maxDepth)
)

// cursor walks over JSON text.
type cursor struct {
	text []byte
	at   int
	// sizes holds the shapes of one message, which spares an allocation each.
	sizes []int64
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

// Objects and lists are walked without callbacks, which would cost an
// allocation each:
//
//	for more, err := c.open('{'); ; more, err = c.next('}') {
//		if err != nil || !more {
//			return err
//		}
//		…consume one member or element…
//	}

// open consumes an opening bracket, and the closing one of an empty object or
// list; more says that there is a first element.
func (c *cursor) open(bracket byte) (more bool, err error) {
	if err := c.expect(bracket); err != nil {
		return false, err
	}
	if c.peek() == bracket+2 { // '}' and ']' in ASCII
		c.at++
		return false, nil
	}
	return true, nil
}

// next consumes what follows an element: a comma, or the closing bracket.
func (c *cursor) next(bracket byte) (more bool, err error) {
	if c.peek() == ',' {
		c.at++
		return true, nil
	}
	return false, c.expect(bracket)
}

// key consumes a member's name and the colon.
func (c *cursor) key() ([]byte, error) {
	name, err := c.stringBytes()
	if err != nil {
		return nil, err
	}
	return name, c.expect(':')
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
		err = c.skipAll('{', depth)
	case '[':
		err = c.skipAll('[', depth)
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

// skipAll consumes an object or a list.
func (c *cursor) skipAll(bracket byte, depth int) error {
	for more, err := c.open(bracket); ; more, err = c.next(bracket + 2) {
		if err != nil || !more {
			return err
		}
		if bracket == '{' {
			if _, err := c.key(); err != nil {
				return err
			}
		}
		if _, err := c.skip(depth + 1); err != nil {
			return err
		}
	}
}
