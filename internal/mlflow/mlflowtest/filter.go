package mlflowtest

import (
	"regexp"
	"strings"
)

// term is one comparison: kind.key = 'value', or !=.
type term struct {
	kind, key, value string
	negated          bool
}

type terms []term

// parseFilter understands the part of MLflow's grammar that Mainspring uses:
// (in)equality of strings, joined by AND. It has no escapes, like MLflow's.
func parseFilter(filter string) (terms, *failure) {
	if strings.TrimSpace(filter) == "" {
		return nil, nil
	}
	shape := regexp.MustCompile("^\\s*(?:(\\w+)\\.)?(?:`([^`]+)`|\"([^\"]+)\"|([\\w.]+))\\s*(!?=)\\s*(?:'([^']*)'|\"([^\"]*)\")\\s*$")
	var all terms
	for _, clause := range regexp.MustCompile(`(?i)\s+and\s+`).Split(filter, -1) {
		m := shape.FindStringSubmatch(clause)
		if m == nil {
			return nil, invalid("Invalid clause(s) in filter string: '%s'", clause)
		}
		all = append(all, term{kind: m[1], key: m[2] + m[3] + m[4], value: m[6] + m[7], negated: m[5] == "!="})
	}
	return all, nil
}

func (all terms) match(field func(kind, key string) (string, bool)) bool {
	for _, t := range all {
		v, ok := field(t.kind, t.key)
		if !ok || (v == t.value) == t.negated {
			return false
		}
	}
	return true
}
