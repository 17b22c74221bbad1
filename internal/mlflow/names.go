package mlflow

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MLflow's limits, in characters. It cuts run tags and parameters that are too
// long without saying so; this client refuses them.
const (
	maxKey            = 250
	maxParam          = 6000
	maxRunTag         = 8000
	maxExperimentName = 500
	maxModelName      = 256
	maxModelTag       = 5000
	maxVersionTag     = 100_000
	maxAlias          = 255
	maxSource         = 500
	maxDatasetName    = 500
	maxDatasetDigest  = 36
)

// MaxDescription is the longest description of a model or version, in
// characters. SQLite does not mind longer ones, PostgreSQL and MySQL do.
const MaxDescription = 5000

// patterns are compiled where they are used: names are checked a few times per
// run, and the package keeps no state.
func matches(expression, s string) bool { return regexp.MustCompile(expression).MatchString(s) }

// checkKey is for the keys of metrics, parameters and tags.
func checkKey(op, subject, key string) error {
	switch {
	case key == "" || utf8.RuneCountInString(key) > maxKey:
		return refuse(op, subject, fmt.Sprintf("key %q has %d characters", key, utf8.RuneCountInString(key)),
			fmt.Sprintf("use 1 to %d", maxKey))
	case !matches(`^[/\w.\- :]*$`, key):
		return refuse(op, subject, fmt.Sprintf("key %q has a character MLflow refuses", key),
			"use letters, digits, and _ - . / : space")
	case path.Clean(key) != key || key == "." || strings.HasPrefix(key, "/") || strings.HasPrefix(key, ".."):
		return refuse(op, subject, fmt.Sprintf("key %q is not a normal path", key),
			"write it without a leading /, without // and without .. ")
	}
	return nil
}

// checkText is for descriptions and the tags that go with them.
func checkText(op, subject, description string, tags []tag, limit int) error {
	if n := utf8.RuneCountInString(description); n > MaxDescription {
		return refuse(op, subject, fmt.Sprintf("the description has %d characters", n),
			fmt.Sprintf("use at most %d; store the rest as an artifact of the run", MaxDescription))
	}
	for _, t := range tags {
		if err := checkValue(op, t, limit); err != nil {
			return err
		}
	}
	return nil
}

// CheckModelName reports what is wrong with a registered model's name.
func CheckModelName(name string) error {
	const op = "check model name"
	switch {
	case strings.TrimSpace(name) == "":
		return refuse(op, "", "the model has no name", "give it one")
	case strings.ContainsAny(name, "/:"):
		return refuse(op, name, "a model's name can't contain / or :", "write - or _ instead")
	case utf8.RuneCountInString(name) > maxModelName:
		return refuse(op, name, "the name is too long", fmt.Sprintf("use at most %d characters", maxModelName))
	case strings.ContainsAny(name, "'\"`%"):
		// MLflow's filters have no escapes: such a name can't be searched for.
		return refuse(op, name, "a model's name can't contain quotes or %", "leave them out")
	}
	return nil
}

// CheckAlias reports what is wrong with an alias.
func CheckAlias(alias string) error {
	const op = "check alias"
	switch {
	case alias == "" || len(alias) > maxAlias || !matches(`^[\w\-]+$`, alias):
		return refuse(op, alias, fmt.Sprintf("%q can't be an alias", alias),
			fmt.Sprintf("use 1 to %d letters, digits, - and _", maxAlias))
	case strings.EqualFold(alias, "latest") || matches(`^(?i)v\d+$`, alias):
		return refuse(op, alias, fmt.Sprintf("the alias %q is reserved by MLflow", alias),
			"choose a name other than latest and v<number>")
	}
	return nil
}

// checkIdempotencyKey allows what a filter can hold without escapes.
func checkIdempotencyKey(op, key string) error {
	if !matches(`^[0-9a-f]{8,128}$`, key) {
		return refuse(op, "key", fmt.Sprintf("%q is not an idempotency key", key),
			"use 8 to 128 lower-case hexadecimal digits, such as a SHA-256")
	}
	return nil
}

// DatasetDigest shortens a SHA-256 to what MLflow stores as a dataset's digest.
func DatasetDigest(sha256 string) string {
	if len(sha256) > maxDatasetDigest {
		return sha256[:maxDatasetDigest]
	}
	return sha256
}
