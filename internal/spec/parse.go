package spec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/mainspring-ml/mainspring/models"
)

// parse returns the one document's tree.
func parse(text []byte) (ast.Node, *located) {
	if !validText(text) {
		return nil, problemAt(nil, "", "the file is not UTF-8 text", "")
	}
	tree, err := parseTree(text)
	if err != nil {
		return nil, syntaxProblem(err)
	}
	var body ast.Node
	for _, document := range tree.Docs {
		switch {
		case document == nil || document.Body == nil || document.Body.Type() == ast.DirectiveType:
		case body != nil:
			return nil, problemAt(startOf(document.Body), "", "a second document starts here; a spec is one document", "remove the --- above")
		default:
			body = document.Body
		}
	}
	if body == nil {
		return nil, problemAt(nil, "", "the file is empty", "start from an example: mainspring schema describes every field")
	}
	return body, nil
}

// parseTree keeps duplicate keys: the decoder reports them with the others.
// The parser is known to panic on some malformed input, which to a person is a
// syntax error like any other.
func parseTree(text []byte) (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML, the parser gave up: %v", r)
		}
	}()
	return parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
}

const syntaxHint = "check indentation, quotes and brackets"

func syntaxProblem(err error) *located {
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		return problemAt(syntax.GetToken(), "", "not valid YAML or JSON: "+syntax.GetMessage(), syntaxHint)
	}
	return problemAt(nil, "", strings.TrimSpace(err.Error()), syntaxHint)
}

func problemAt(at *token.Token, path, message, hint string) *located {
	return &located{Problem: models.Problem{Path: path, Message: message, Hint: hint}, position: positionOf(at)}
}

func positionOf(at *token.Token) position {
	if at == nil || at.Position == nil {
		return position{}
	}
	return position{line: at.Position.Line, column: at.Position.Column}
}
