package infer

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// YAML writes the section, with the reasons as comments.
func (g Guess) YAML() []byte {
	w := &writer{why: g.why}
	d := g.Data
	w.line(0, "data:", "")
	w.comment(1, fmt.Sprintf("Guessed from %d rows in %s: edit what is wrong. `mainspring data check` tries it out.",
		g.source.Profile.Rows, plural(g.source.Files, "file", "files")))
	w.field(1, "source", text(d.Source))
	w.optional(1, "format", string(d.Format))
	if d.CSV.Delimiter != "" || len(d.CSV.Nulls) > 0 {
		w.line(1, "csv:", "")
		w.optional(2, "delimiter", d.CSV.Delimiter)
		if len(d.CSV.Nulls) > 0 {
			w.field(2, "nulls", list(d.CSV.Nulls))
		}
	}
	w.field(1, "time", text(d.Time))
	w.field(1, "key", text(d.Key))
	w.field(1, "label", text(d.Label))
	w.field(1, "task", string(d.Task))
	if len(d.Classes) > 0 {
		w.field(1, "classes", list(d.Classes))
	}
	w.optional(1, "label_time", d.LabelTime)
	w.features(d.Features)
	if !d.AsOf.IsZero() {
		w.field(1, "as_of", d.AsOf.Format("2006-01-02"))
	}
	w.field(1, "window", d.Window.String())
	if d.Split.By == models.SplitByHash {
		w.field(1, "split", fmt.Sprintf("{by: hash, fraction: %s}", number(d.Split.Fraction)))
	} else {
		w.field(1, "holdout", d.Holdout.String())
	}
	w.columns(g)
	w.checks(d.Checks)
	return []byte(w.b.String())
}

// writer writes lines with their comments.
type writer struct {
	b   strings.Builder
	why map[string]string
}

func (w *writer) line(depth int, line, reason string) {
	line = strings.Repeat("  ", depth) + line
	if reason != "" {
		line = fmt.Sprintf("%-40s # %s", line, oneLine(reason))
	}
	w.b.WriteString(line + "\n")
}

func (w *writer) comment(depth int, words string) {
	w.b.WriteString(strings.Repeat("  ", depth) + "# " + oneLine(words) + "\n")
}

// oneLine keeps names with line breaks inside of a comment.
func oneLine(words string) string { return strings.Join(strings.Fields(words), " ") }

func (w *writer) field(depth int, name, value string) { w.line(depth, name+": "+value, w.why[name]) }

func (w *writer) optional(depth int, name, value string) {
	if value != "" {
		w.field(depth, name, text(value))
	}
}

// features breaks a long list.
func (w *writer) features(names []string) {
	if flow := list(names); len(flow) <= 100 {
		w.field(1, "features", flow)
		return
	}
	w.line(1, "features:", w.why["features"])
	for _, name := range names {
		w.line(2, "- "+text(name), "")
	}
}

func (w *writer) columns(g Guess) {
	if len(g.Data.Columns) == 0 && w.why["columns"] == "" {
		return
	}
	w.line(1, "columns:", w.why["columns"])
	w.comment(2, "What no role needs is carried along into the snapshot; sensitive: drop or pseudonymise (with a pseudonym_key) keeps it out.")
	for _, c := range g.source.Profile.Columns {
		spec, ok := g.Data.Columns[c.Name]
		if !ok {
			continue
		}
		parts := []string{"type: " + spec.Type}
		if spec.TimeFormat != "" {
			parts = append(parts, "time_format: "+string(spec.TimeFormat))
		}
		if spec.Sensitive != "" {
			parts = append(parts, "sensitive: "+string(spec.Sensitive))
		}
		w.line(2, text(c.Name)+": {"+strings.Join(parts, ", ")+"}", w.why["columns."+c.Name])
	}
}

func (w *writer) checks(c models.DataChecks) {
	w.line(1, "checks:", w.why["checks"])
	w.line(2, "min_rows: "+strconv.FormatInt(c.MinRows, 10), w.why["checks.min_rows"])
	w.line(2, "max_rows: "+strconv.FormatInt(c.MaxRows, 10), w.why["checks.max_rows"])
	if len(c.MaxNullFraction) > 0 {
		w.line(2, "max_null_fraction:", "of all other columns: 0")
		for _, name := range sorted(c.MaxNullFraction) {
			w.line(3, text(name)+": "+number(c.MaxNullFraction[name]), w.why["checks.max_null_fraction."+name])
		}
	}
	if len(c.Range) > 0 {
		w.line(2, "range:", "")
		for _, name := range sorted(c.Range) {
			w.line(3, fmt.Sprintf("%s: {min: %s, max: %s}", text(name), number(*c.Range[name].Min), number(*c.Range[name].Max)), w.why["checks.range."+name])
		}
	}
	if len(c.Allowed) > 0 {
		w.line(2, "allowed:", "")
		for _, name := range sorted(c.Allowed) {
			w.line(3, text(name)+": "+list(c.Allowed[name]), w.why["checks.allowed."+name])
		}
	}
	w.comment(2, "freshness: 2d (how far before the start of a lifecycle the newest row may lie)")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func list(values []string) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = text(v)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

var plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_/-]*$`)

// text writes a string so that YAML reads it as one.
func text(value string) string {
	switch strings.ToLower(value) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainWord.MatchString(value) {
			return value
		}
	}
	quoted, err := json.Marshal(value)
	if err != nil { // a string can always be written
		return strconv.Quote(value)
	}
	return string(quoted)
}

// number writes a number without an exponent where people can read it.
func number(v float64) string {
	if math.Abs(v) < 1e15 && (v == 0 || math.Abs(v) >= 1e-6) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	words := strconv.FormatFloat(v, 'e', -1, 64)
	if mantissa, exponent, _ := strings.Cut(words, "e"); !strings.Contains(mantissa, ".") {
		words = mantissa + ".0e" + exponent // YAML takes 1e-9 for a string
	}
	return words
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
