package spec

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/mainspring-ml/mainspring/models"
)

// decoder turns a tree into the JSON value that the spec's own types decode,
// checking every node against the Go type it is for. It goes on after a
// problem, so that one look at the file shows them all; the value it returns
// is meaningful only without problems.
type decoder struct {
	root      reflect.Type // what the file is decoded to
	discreet  bool         // problems repeat no value
	positions map[string]position
	problems  []located
}

func newDecoder(root reflect.Type) *decoder {
	return &decoder{root: root, positions: map[string]position{}}
}

func (d *decoder) decode(root ast.Node) any { return d.value(root, d.root, "") }

func (d *decoder) problem(at *token.Token, path, hint, format string, args ...any) {
	d.problems = append(d.problems, *problemAt(at, path, fmt.Sprintf(format, args...), hint))
}

var (
	durationType = reflect.TypeFor[models.Duration]()
	bytesType    = reflect.TypeFor[models.Bytes]()
	sourceType   = reflect.TypeFor[models.Source]()
	timeType     = reflect.TypeFor[time.Time]()
	anyType      = reflect.TypeFor[any]()
)

// isScalar reports whether a struct is written as one word.
func isScalar(t reflect.Type) bool { return t == timeType || t == sourceType }

func (d *decoder) value(node ast.Node, t reflect.Type, path string) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if d.unsupported(node, path) {
		return nil
	}
	if t == anyType {
		return d.anything(node, path)
	}
	if node.Type() == ast.NullType {
		empty := models.Problem{Path: path, Message: "has no value", Hint: emptyHint(t)}
		d.problems = append(d.problems, located{Problem: empty, position: d.positions[path]})
		return nil
	}
	switch t {
	case durationType, bytesType:
		return d.quantity(node, t, path)
	case timeType:
		return d.moment(node, path)
	case sourceType:
		return d.source(node, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.section(node, t, path)
	case reflect.Map:
		return d.mapping(node, t, path)
	case reflect.Slice:
		return d.list(node, t, path)
	default:
		return d.scalar(node, t, path)
	}
}

func emptyHint(t reflect.Type) string {
	if t.Kind() == reflect.Struct && !isScalar(t) {
		return "remove it, or write {} for all defaults"
	}
	return "remove it or give it one"
}

// unsupported reports the parts of YAML that JSON cannot express.
func (d *decoder) unsupported(node ast.Node, path string) bool {
	switch node.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
		d.problem(startOf(node), path, "write the value out", "anchors, aliases and merges are not supported")
	case ast.TagType:
		d.problem(startOf(node), path, "remove the tag", "YAML tags are not supported")
	default:
		return false
	}
	return true
}

func (d *decoder) section(node ast.Node, t reflect.Type, path string) any {
	entries, ok := d.entries(node, path)
	if !ok {
		return nil
	}
	value := map[string]any{}
	for _, entry := range entries {
		inner, known := fieldType(t, entry.name)
		if !known {
			d.problem(entry.key, path, "", "unknown field `%s`; %s", entry.name, suggest(entry.name, t, d.root))
			continue
		}
		value[entry.name] = d.value(entry.value, inner, joinPath(path, entry.name))
	}
	return value
}

func (d *decoder) mapping(node ast.Node, t reflect.Type, path string) any {
	entries, ok := d.entries(node, path)
	if !ok {
		return nil
	}
	value := map[string]any{}
	for _, entry := range entries {
		value[entry.name] = d.value(entry.value, t.Elem(), joinPath(path, entry.name))
	}
	return value
}

// entry is one key of a map with its value.
type entry struct {
	name  string
	key   *token.Token
	value ast.Node
}

// entries lists a map's keys in the file's order, each once, and notes where
// they are. A node that is no map is a problem.
func (d *decoder) entries(node ast.Node, path string) ([]entry, bool) {
	pairs, ok := node.(ast.MapNode)
	if !ok {
		d.problem(startOf(node), path, "", "expected a map of fields, got %s", d.describe(node))
		return nil, false
	}
	var entries []entry
	first := map[string]position{}
	for pair := pairs.MapRange(); pair.Next(); {
		key, value := pair.Key(), pair.Value()
		scalar, isScalar := key.(ast.ScalarNode)
		if !isScalar || key.Type() == ast.MergeKeyType {
			if !d.unsupported(key, path) {
				d.problem(key.GetToken(), path, "", "expected a plain word as key")
			}
			continue
		}
		name, at := keyText(scalar), positionOf(key.GetToken())
		if before, twice := first[name]; twice {
			d.problem(key.GetToken(), joinPath(path, name), "keep one of them", "is written twice; first in line %d", before.line)
			continue
		}
		first[name] = at
		d.positions[joinPath(path, name)] = at
		entries = append(entries, entry{name: name, key: key.GetToken(), value: value})
	}
	return entries, true
}

func keyText(key ast.ScalarNode) string {
	if text, ok := key.GetValue().(string); ok {
		return text
	}
	return key.GetToken().Value
}

func (d *decoder) list(node ast.Node, t reflect.Type, path string) any {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.problem(startOf(node), path, "write [a, b], or one item a line after '- '", "expected a list, got %s", d.describe(node))
		return nil
	}
	value := make([]any, len(sequence.Values))
	for i, item := range sequence.Values {
		at := path + "[" + strconv.Itoa(i) + "]"
		d.positions[at] = positionOf(startOf(item))
		value[i] = d.value(item, t.Elem(), at)
	}
	return value
}

func (d *decoder) scalar(node ast.Node, t reflect.Type, path string) any {
	switch t.Kind() {
	case reflect.String:
		if text, ok := textOf(node); ok {
			return text
		}
		d.problem(startOf(node), path, d.stringHint(node), "expected a string, got %s", d.describe(node))
	case reflect.Bool:
		if node, ok := node.(*ast.BoolNode); ok {
			return node.Value
		}
		d.problem(startOf(node), path, "", "expected true or false, got %s", d.describe(node))
	case reflect.Int, reflect.Int64:
		if node, ok := node.(*ast.IntegerNode); ok {
			if n, fits := node.Value.(uint64); !fits || n <= math.MaxInt64 {
				return node.Value
			}
		}
		d.problem(startOf(node), path, "", "expected a whole number, got %s", d.describe(node))
	default: // float64; models has no other kind
		if number, ok := numberOf(node); ok {
			return number
		}
		d.problem(startOf(node), path, "", "expected a number, got %s", d.describe(node))
	}
	return nil
}

func (d *decoder) stringHint(node ast.Node) string {
	if d.discreet {
		return "put it in quotes"
	}
	switch node.Type() {
	case ast.IntegerType, ast.FloatType, ast.BoolType:
		return "put it in quotes: \"" + node.GetToken().Value + "\""
	default:
		return ""
	}
}

// quantity decodes what has a unit; bare numbers are for bytes only.
func (d *decoder) quantity(node ast.Node, t reflect.Type, path string) any {
	text, ok := textOf(node)
	if number, isNumber := node.(*ast.IntegerNode); isNumber {
		text, ok = number.Token.Value, true
	}
	if !ok {
		d.problem(startOf(node), path, "", "expected a number with a unit, got %s", d.describe(node))
		return nil
	}
	target := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	if err := target.UnmarshalText([]byte(text)); err != nil {
		d.problem(startOf(node), path, "", "%v", err)
		return nil
	}
	return text
}

// moment accepts a day as well, which means its first moment in UTC.
func (d *decoder) moment(node ast.Node, path string) any {
	text, ok := textOf(node)
	if ok {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil {
				return at
			}
		}
	}
	d.problem(startOf(node), path, "such as 2013-03-01 or 2013-03-01T06:00:00Z", "expected a date or a time, got %s", d.describe(node))
	return nil
}

// source is a path, or the object that the client makes of it.
func (d *decoder) source(node ast.Node, path string) any {
	if text, ok := textOf(node); ok {
		return text
	}
	if _, ok := node.(ast.MapNode); ok {
		return d.section(node, sourceType, path)
	}
	d.problem(startOf(node), path, "", "expected a path, got %s", d.describe(node))
	return nil
}

// anything decodes free-form parameters.
func (d *decoder) anything(node ast.Node, path string) any {
	switch scalar := node.(type) {
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return scalar.Value
	case *ast.SequenceNode:
		return d.list(node, reflect.TypeFor[[]any](), path)
	case ast.MapNode:
		return d.mapping(node, reflect.TypeFor[map[string]any](), path)
	}
	if text, ok := textOf(node); ok {
		return text
	}
	if number, ok := numberOf(node); ok {
		return number
	}
	d.problem(startOf(node), path, "", "%s has no JSON form", d.describe(node))
	return nil
}

func textOf(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	default:
		return "", false
	}
}

// numberOf refuses infinities and NaN, which are nodes of their own and which
// JSON does not have.
func numberOf(node ast.Node) (any, bool) {
	switch node := node.(type) {
	case *ast.IntegerNode:
		return node.Value, true
	case *ast.FloatNode:
		return node.Value, true
	default:
		return nil, false
	}
}

// describe names what a person wrote.
func (d *decoder) describe(node ast.Node) string {
	if _, isScalar := node.(ast.ScalarNode); isScalar && d.discreet {
		return "a single value"
	}
	switch node := node.(type) {
	case *ast.StringNode:
		return strconv.Quote(shorten(node.Value))
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.IntegerNode, *ast.FloatNode:
		return "the number " + node.GetToken().Value
	case *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value
	case *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a map of fields"
	default:
		return node.Type().String()
	}
}

// shorten keeps a quoted value within an error's line.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return text
}

// startOf returns a node's first token; that of a map is its first key, and
// not the colon behind it.
func startOf(node ast.Node) *token.Token {
	switch node := node.(type) {
	case *ast.MappingValueNode:
		return node.Key.GetToken()
	case *ast.MappingNode:
		if !node.IsFlowStyle && len(node.Values) > 0 {
			return node.Values[0].Key.GetToken()
		}
	}
	return node.GetToken()
}
