package models

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

func (d DataSpec) check(at section) {
	if at.required("source", d.Source, "s3://bucket/prefix/, file:///dir/ or a path relative to the spec") {
		if scheme, _, ok := strings.Cut(d.Source, "://"); ok {
			at.check(scheme == "s3" || scheme == "file", "source", "",
				"has the scheme %q; it must be s3://, file:// or a path relative to the spec", scheme)
		}
	}
	at.required("time", d.Time, "the column with the event time of a row")
	at.required("key", d.Key, "the column that identifies a row")
	at.required("label", d.Label, "the column with the outcome, see data.task")
	d.checkTask(at)
	d.checkRoles(at)
	d.checkFeatures(at)
	d.checkFormat(at)
	d.checkColumns(at)
	d.checkSplit(at)
	if d.Prepare != nil {
		d.Prepare.check(at.sub("prepare"))
	}
	at.check(d.Retention >= 0, "retention", "", "is %s; it must not be negative", d.Retention)
	d.Checks.check(at.sub("checks"), d.columns())
}

// checkFormat accepts what text files can be told apart by.
func (d DataSpec) checkFormat(at section) {
	if d.Format != "" {
		oneOf(at, "format", d.Format, FormatParquet, FormatCSV, FormatJSONL)
	}
	if mark := d.CSV.Delimiter; mark != "" {
		r, n := utf8.DecodeRuneInString(mark)
		at.check(n == len(mark) && r != utf8.RuneError && !strings.ContainsRune("\"\r\n", r), "csv.delimiter", "such as ';'",
			"is %q; it must be one character, and no quote or line break", mark)
	}
}

// checkColumns judges what is said of single columns.
func (d DataSpec) checkColumns(at section) {
	for _, name := range slices.Sorted(maps.Keys(d.Columns)) {
		c, item := d.Columns[name], at.sub("columns."+name)
		item.check(name != "", "", "", "is an empty name")
		if c.Type != "" {
			oneOf(item, "type", c.Type, "string", "int64", "float64", "bool", "timestamp")
		}
		if c.TimeFormat != "" {
			oneOf(item, "time_format", c.TimeFormat, TimeISO, TimeUnix, TimeUnixMillis, TimeUnixMicros)
		}
		if c.KnownAt != "" {
			item.check(slices.Contains(d.Features, name), "known_at", "", "is given for %q, which is no feature", name)
			item.check(c.KnownAt != name, "known_at", "", "is the column itself")
		}
		if c.Sensitive != "" {
			oneOf(item, "sensitive", c.Sensitive, SensitiveKeep, SensitiveDrop, SensitivePseudonymise)
		}
		role := d.role(name)
		switch c.Sensitive {
		case SensitiveDrop:
			item.check(role == "", "sensitive", "drop only what nothing else needs", "%q is the %s; it can't be dropped", name, role)
		case SensitiveKeep: // stored like any other
		case SensitivePseudonymise:
			item.check(role == "" || role == "key", "sensitive", "leave it out of features, or keep it",
				"%q is the %s; whoever asks the model would send the value itself, not its pseudonym", name, role)
		}
	}
	reference := strings.HasPrefix(d.PseudonymKey, SecretFromEnv) || strings.HasPrefix(d.PseudonymKey, SecretFromFile)
	if d.PseudonymKey != "" {
		at.check(reference, "pseudonym_key", "write env:NAME or file:PATH", "must be a reference: the spec is kept in histories and logs")
	} else {
		at.check(!d.NeedsPseudonymKey(), "pseudonym_key", "write env:NAME or file:PATH", "is missing; a column has sensitive: pseudonymise, or is dropped and among checks.unique, which keeps its hashes")
	}
}

// role is what the spec uses a column as; empty: nothing.
func (d DataSpec) role(column string) string {
	switch column {
	case d.Time:
		return "time"
	case d.Key:
		return "key"
	case d.Label:
		return "label"
	case d.LabelTime:
		return "label_time"
	}
	if slices.Contains(d.Features, column) {
		return "feature"
	}
	return ""
}

// checkSplit wants a holdout, or a share instead.
func (d DataSpec) checkSplit(at section) {
	oneOf(at, "split.by", d.Split.By, SplitByTime, SplitByHash)
	if d.Split.By == SplitByHash {
		at.positive("window", d.Window)
		at.check(d.Holdout == 0, "holdout", "drop it, or split.by", "is given, but rows are split by hash")
		at.fraction("split.fraction", d.Split.Fraction)
		return
	}
	checkWindow(at, d.Window, d.Holdout)
	const hint = "set split.by to hash, or drop it"
	at.check(d.Split.Column == "", "split.column", hint, "is given, but rows are split by time")
	at.check(d.Split.Fraction == 0, "split.fraction", hint, "is given, but rows are split by time")
	at.check(d.Split.Salt == "", "split.salt", hint, "is given, but rows are split by time")
}

func (p PrepareSpec) check(at section) {
	at.checkCommand(p.Command, "[python, prepare.py]")
	at.sub("code").checkSource(p.Code)
	at.sub("environment.requirements").checkSource(p.Environment.Requirements)
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		at.sub("env").checkVariable(name, p.Env[name])
	}
	oneOf(at, "per", p.Per, PreparePerPartition, PreparePerSource)
	if p.Resources != nil {
		p.Resources.check(at.sub("resources"))
	}
	at.positive("timeout", p.Timeout)
}

// checkRoles wants a column of its own for each role; only the label's time
// may be the event time.
func (d DataSpec) checkRoles(at section) {
	if d.Time != "" && d.Key == d.Time {
		at.add("key", "", "is %q, the column of data.time; they must differ", d.Key)
	}
	if d.Label != "" && (d.Label == d.Time || d.Label == d.Key) {
		at.add("label", "", "is %q, which is data.time or data.key already", d.Label)
	}
	if d.LabelTime != "" && (d.LabelTime == d.Label || d.LabelTime == d.Key) {
		at.add("label_time", "", "is %q, which is data.label or data.key already", d.LabelTime)
	}
}

func (d DataSpec) checkFeatures(at section) {
	at.check(len(d.Features) > 0, "features", "name the columns the model sees", "is empty")
	seen := map[string]bool{}
	for i, feature := range d.Features {
		field := index("features", i)
		switch {
		case feature == "":
			at.add(field, "", "is an empty name")
		case seen[feature]:
			at.add(field, "", "%q is listed twice", feature)
		case feature == d.Label:
			at.add(field, "remove it", "%q is the label: the model would see the answer", feature)
		case feature == d.LabelTime && d.LabelTime != d.Time:
			at.add(field, "remove it", "%q is known only together with the label: the model would see the answer", feature)
		case feature == d.Key:
			at.add(field, "remove it", "%q is the key: it identifies a row and says nothing about it", feature)
		}
		seen[feature] = true
	}
}

// columns are the declared ones, in the order of the spec.
func (d DataSpec) columns() []string {
	var names []string
	named := append([]string{d.Time, d.Key, d.Label, d.LabelTime}, d.Features...)
	for _, name := range append(named, slices.Sorted(maps.Keys(d.Columns))...) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func checkWindow(at section, window, holdout Duration) {
	at.positive("window", window)
	at.positive("holdout", holdout)
	if window > 0 && holdout > 0 {
		at.check(window > holdout, "window", "the rest of the window is what trains",
			"is %s and must be longer than the holdout (%s)", window, holdout)
	}
}

func (c DataChecks) check(at section, columns []string) {
	at.atLeast("min_rows", c.MinRows, 1)
	at.check(c.MaxRows == 0 || c.MaxRows >= c.MinRows, "max_rows", "", "is %d, below min_rows (%d)", c.MaxRows, c.MinRows)
	for _, column := range slices.Sorted(maps.Keys(c.MaxNullFraction)) {
		field := "max_null_fraction." + column
		at.checkColumn(field, column, columns)
		at.share(field, c.MaxNullFraction[column])
	}
	for _, column := range slices.Sorted(maps.Keys(c.Range)) {
		limits, field := c.Range[column], "range."+column
		at.checkColumn(field, column, columns)
		checkBounds(at, field, limits.Min, limits.Max)
	}
	for _, column := range slices.Sorted(maps.Keys(c.Allowed)) {
		field := "allowed." + column
		at.checkColumn(field, column, columns)
		at.check(len(c.Allowed[column]) > 0, field, "list the values", "allows nothing")
	}
	for i, column := range c.Unique {
		at.checkColumn(index("unique", i), column, columns)
	}
	for _, limit := range []struct {
		field string
		value *float64
	}{
		{"max_null_rise", c.MaxNullRise},
		{"max_unseen", c.MaxUnseen},
		{"max_duplicates", c.MaxDuplicates},
		{"max_skew", c.MaxSkew},
		{"max_shift", c.MaxShift},
		{"max_leak", c.MaxLeak},
	} {
		if limit.value != nil {
			at.share(limit.field, *limit.value)
		}
	}
	at.check(c.Freshness >= 0, "freshness", "", "is %s; it must not be negative", c.Freshness)
	c.checkSeverity(at.sub("severity"), columns)
}

func (s section) share(field string, v float64) {
	s.check(v >= 0 && v <= 1, field, "", "is %v; it must be between 0 and 1", v)
}

func (c DataChecks) checkSeverity(at section, columns []string) {
	for _, key := range slices.Sorted(maps.Keys(c.Severity)) {
		oneOf(at, key, c.Severity[key], SeverityError, SeverityWarn)
		check, column, of := strings.Cut(key, ".")
		at.check(slices.Contains(DataCheckNames(), check), key, didYouMean(check, DataCheckNames()),
			"%q is no data check; there are %s", check, strings.Join(DataCheckNames(), ", "))
		if of && check != "new_column" {
			at.checkColumn(key, column, columns)
		}
	}
}
