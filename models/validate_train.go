package models

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The prefixes of a secret reference in TrainSpec.Env.
const (
	SecretFromEnv  = "env:"
	SecretFromFile = "file:"
)

func (t TrainSpec) check(at section) {
	at.checkCommand(t.Command, "[python, train.py]")
	at.sub("code").checkSource(t.Code)
	at.sub("environment.requirements").checkSource(t.Environment.Requirements)
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		at.sub("env").checkVariable(name, t.Env[name])
	}
	t.Resources.check(at.sub("resources"))
	at.positive("timeout", t.Timeout)
	at.positive("grace", t.Grace)
	at.positive("hang_timeout", t.HangTimeout)
	at.atLeast("budget.gpu_seconds", t.Budget.GPUSeconds, 0)
	at.atLeast("checkpoints.keep_last", int64(t.Checkpoints.Last), 1)
	at.atLeast("checkpoints.keep_every", t.Checkpoints.Every, 0)
	if t.MaxRestarts != nil {
		at.atLeast("max_restarts", int64(*t.MaxRestarts), 0)
	}
}

// checkCommand wants an argument list, which no shell reads.
func (s section) checkCommand(command []string, example string) {
	hint := "write program and arguments as a list, such as " + example
	switch {
	case len(command) == 0:
		s.add("command", hint, "is missing")
	case command[0] == "":
		s.add("command[0]", hint, "is an empty program name")
	case len(command) == 1 && strings.ContainsAny(strings.TrimSpace(command[0]), " \t\n"):
		s.add("command[0]", hint, "is %q, a whole command line in one string; no shell reads it", command[0])
	}
	for i, arg := range command {
		s.check(!strings.ContainsRune(arg, 0), index("command", i), "", "contains a NUL byte")
	}
}

// checkSource wants a path before and URI, digest and size after resolution.
func (s section) checkSource(source Source) {
	if source.URI == "" {
		return
	}
	s.check(strings.HasPrefix(source.URI, "s3://"), "uri", "", "is %q; packed bytes lie under s3://", source.URI)
	s.check(sha256Pattern.MatchString(source.SHA256), "sha256", "render the spec again",
		"is %q; it must be 64 hexadecimal digits", source.SHA256)
	s.check(source.Size >= 0, "size", "", "is %d", source.Size)
}

func (s section) checkVariable(name, value string) {
	if !variablePattern.MatchString(name) {
		s.add(name, "", "%q is no name of an environment variable", name)
		return
	}
	if strings.HasPrefix(name, "MAINSPRING_") {
		s.add(name, "hand parameters over in train.params", "names with MAINSPRING_ are set by the engine")
		return
	}
	switch {
	case strings.HasPrefix(value, SecretFromEnv):
		reference := strings.TrimPrefix(value, SecretFromEnv)
		s.check(variablePattern.MatchString(reference), name, "such as env:HF_TOKEN",
			"refers to %q, which is no name of an environment variable", reference)
	case strings.HasPrefix(value, SecretFromFile):
		reference := strings.TrimPrefix(value, SecretFromFile)
		s.check(path.IsAbs(reference), name, "such as file:/run/secrets/token",
			"refers to %q; the path on the host must be absolute", reference)
	default:
		s.check(!namesSecret(name) || value == "", name, "write env:NAME or file:PATH",
			"looks like a secret, and the spec is kept in histories and logs")
	}
	s.check(!strings.ContainsRune(value, 0), name, "", "contains a NUL byte")
}

// namesSecret reports whether a variable of that name usually holds a secret.
func namesSecret(name string) bool {
	upper := strings.ToUpper(name)
	for _, ending := range []string{"PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIALS", "API_KEY", "ACCESS_KEY", "SECRET_KEY", "PRIVATE_KEY"} {
		if upper == ending || strings.HasSuffix(upper, "_"+ending) {
			return true
		}
	}
	return false
}

// checkResolved finds local paths, which mean nothing on another host.
func (d DataSpec) checkResolved(at section) {
	if d.Source != "" && !strings.Contains(d.Source, "://") {
		at.unresolved("source", d.Source)
	}
	if d.Prepare != nil {
		at.sub("prepare.code").checkSourceResolved(d.Prepare.Code)
		at.sub("prepare.environment.requirements").checkSourceResolved(d.Prepare.Environment.Requirements)
	}
}

func (t TrainSpec) checkResolved(at section) {
	at.sub("code").checkSourceResolved(t.Code)
	at.sub("environment.requirements").checkSourceResolved(t.Environment.Requirements)
}

func (s section) checkSourceResolved(source Source) {
	if !source.IsZero() && source.URI == "" {
		s.unresolved("", source.Path)
	}
}

func (s section) unresolved(field, path string) {
	s.add(field, "start from `mainspring render -f lifecycle.yaml`, which uploads local paths",
		"is the local path %q, which other hosts cannot read", path)
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
