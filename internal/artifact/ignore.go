package artifact

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// ignores answers which files git would not look at. It reads .gitignore files
// from the repository's root (or the packed directory, if there is no
// repository) down to each directory; those of a machine or user are not read,
// so that an archive does not depend on who packs it.
type ignores struct {
	repository string   // root directory
	below      []string // path of the packed directory within it
	patterns   []gitignore.Pattern
	seen       map[string]bool // directories whose file has been read
}

func newIgnores(dir string) (*ignores, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	in := &ignores{repository: repositoryOf(dir), seen: map[string]bool{}}
	relative, err := filepath.Rel(in.repository, dir)
	if err != nil {
		return nil, err
	}
	if relative != "." {
		in.below = strings.Split(filepath.ToSlash(relative), "/")
	}
	for i := range len(in.below) + 1 {
		if err := in.read(in.below[:i]); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// repositoryOf returns the closest directory that has a .git, else dir.
func repositoryOf(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// read adds the patterns of one directory. Directories are read from the root
// downwards, so that later patterns win, as in git.
func (in *ignores) read(domain []string) error {
	name := filepath.Join(append([]string{in.repository}, domain...)...)
	if in.seen[name] {
		return nil
	}
	in.seen[name] = true
	f, err := os.Open(filepath.Join(name, ".gitignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := lines.Text(); strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			in.patterns = append(in.patterns, gitignore.ParsePattern(line, append([]string{}, domain...)))
		}
	}
	return lines.Err()
}

// ignored answers for a path within the packed directory. Directories must be
// asked for before what is in them.
func (in *ignores) ignored(path string, isDir bool) (bool, error) {
	full := append(append([]string{}, in.below...), strings.Split(path, "/")...)
	if gitignore.NewMatcher(in.patterns).Match(full, isDir) {
		return true, nil
	}
	if isDir {
		return false, in.read(full)
	}
	return false, nil
}
