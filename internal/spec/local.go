package spec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// localPaths are a spec's local paths, made absolute to the spec's directory.
type localPaths struct {
	dir  string
	spec models.LifecycleSpec
}

// data is the directory of the source, and empty when that is a URI.
func (l localPaths) data() string {
	if !IsLocal(l.spec.Data.Source) {
		return ""
	}
	return Beside(l.dir, l.spec.Data.Source)
}

// IsLocal reports whether a source is a path rather than a URI.
func IsLocal(source string) bool { return !strings.Contains(source, "://") }

// Beside is where a spec's local path leads: relative paths begin at the spec
// file's directory.
func Beside(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// directories and files are the sources of the spec, each at its place in it:
// the former are packed, the latter stored as they are. What a spec leaves out
// takes its default after all this, from what is resolved.
func directories(spec *models.LifecycleSpec) []namedSource {
	sources := []namedSource{{"train.code", &spec.Train.Code}}
	if spec.Data.Prepare != nil {
		sources = append(sources, namedSource{"data.prepare.code", &spec.Data.Prepare.Code})
	}
	if spec.Deploy != nil {
		sources = append(sources, namedSource{"deploy.server.code", &spec.Deploy.Server.Code})
	}
	return sources
}

func files(spec *models.LifecycleSpec) []namedSource {
	sources := []namedSource{{"train.environment.requirements", &spec.Train.Environment.Requirements}}
	if spec.Data.Prepare != nil {
		sources = append(sources, namedSource{"data.prepare.environment.requirements", &spec.Data.Prepare.Environment.Requirements})
	}
	if spec.Deploy != nil {
		sources = append(sources, namedSource{"deploy.server.environment.requirements", &spec.Deploy.Server.Environment.Requirements})
	}
	return sources
}

// namedSource is a source and its field's name.
type namedSource struct {
	field string
	*models.Source
}

// source leaves what is resolved already as it is.
func (l localPaths) source(s models.Source) models.Source {
	if s.URI != "" {
		s.Path = ""
		return s
	}
	if s.Path != "" {
		s.Path = Beside(l.dir, s.Path)
	}
	return s
}

// check looks whether every local path is there and of the right kind.
func (l localPaths) check() error {
	var problems models.Problems
	for _, s := range directories(&l.spec) {
		if path := l.source(*s.Source).Path; path != "" {
			problems = append(problems, checkDirectory(s.field, path)...)
		}
	}
	for _, s := range files(&l.spec) {
		if path := l.source(*s.Source).Path; path != "" {
			problems = append(problems, checkFile(s.field, path)...)
		}
	}
	if path := l.data(); path != "" {
		problems = append(problems, checkData("data.source", path, l.spec.Data.Format)...)
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

const relativeHint = "paths are relative to the spec file"

func checkDirectory(field, path string) models.Problems {
	info, err := os.Stat(path)
	if err != nil {
		return notReadable(field, path, err)
	}
	if !info.IsDir() {
		return models.Problems{{Path: field, Message: path + " is a file; it must be a directory", Hint: "name the directory it is in"}}
	}
	return nil
}

func checkFile(field, path string) models.Problems {
	info, err := os.Stat(path)
	if err != nil {
		return notReadable(field, path, err)
	}
	if !info.Mode().IsRegular() {
		return models.Problems{{Path: field, Message: path + " is not a file"}}
	}
	return nil
}

func checkData(field, path string, format models.DataFormat) models.Problems {
	if problems := checkDirectory(field, path); problems != nil {
		return problems
	}
	names, err := partitions(path, format)
	if err != nil {
		return notReadable(field, path, err)
	}
	if len(names) == 0 {
		return models.Problems{{Path: field, Message: path + " holds no partition", Hint: "partitions end with " + dataset.PartitionEndings + "; " + relativeHint}}
	}
	return nil
}

func notReadable(field, path string, err error) models.Problems {
	if errors.Is(err, fs.ErrNotExist) {
		return models.Problems{{Path: field, Message: "there is no " + path, Hint: relativeHint}}
	}
	return models.Problems{{Path: field, Message: fmt.Sprintf("cannot read %s: %v", path, err)}}
}

// gitCommit names the commit a path is at, with "+dirty" when files beneath it
// differ from it. It is empty where there is no git or no repository: the
// digest identifies the code, the commit only helps a person to find it.
func gitCommit(ctx context.Context, dir string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	head, err := git(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	changes, err := git(ctx, dir, "status", "--porcelain", "--", ".")
	if err != nil || changes != "" {
		return head + "+dirty"
	}
	return head
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	command.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0") // status must not write
	out, err := command.Output()
	return strings.TrimSpace(string(out)), err
}
