package artifact

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// dirFile is a regular file of a directory, or a link to one.
type dirFile struct {
	path       string // slash-separated, relative
	size       int64
	executable bool
}

// walkFiles lists the files below dir, sorted by path. skip may leave out
// files and whole directories; nil keeps all.
func walkFiles(dir string, skip func(path string, isDir bool) bool) ([]dirFile, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, localError("read directory", dir, err)
	}
	var files []dirFile
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil || relative == "." {
			return err
		}
		relative = filepath.ToSlash(relative)
		if skip != nil && skip(relative, entry.IsDir()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		f, err := inspect(root, relative, entry)
		files = append(files, f)
		return err
	})
	var refused *Error
	if errors.As(err, &refused) {
		return nil, refused
	}
	if err != nil {
		return nil, localError("read directory", dir, err)
	}
	slices.SortFunc(files, func(a, b dirFile) int { return cmp.Compare(a.path, b.path) })
	return files, nil
}

// inspect follows a link, if it stays inside root and ends at a file.
func inspect(root, relative string, entry fs.DirEntry) (dirFile, error) {
	name := filepath.Join(root, filepath.FromSlash(relative))
	refuse := func(what, hint string) error {
		return &Error{Op: "read file", URI: name, Message: what, Hint: hint, Class: ErrInvalid}
	}
	if entry.Type()&fs.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(name)
		if err != nil {
			return dirFile{}, refuse("the symbolic link leads nowhere", "remove it, or list it in .gitignore")
		}
		if inside, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(inside) {
			return dirFile{}, refuse("the symbolic link leaves the directory", "copy the file into the directory, or list the link in .gitignore")
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		return dirFile{}, err
	}
	if !info.Mode().IsRegular() {
		return dirFile{}, refuse(fmt.Sprintf("not a regular file (%v)", info.Mode().Type()),
			"links to directories, sockets and devices can't be stored; remove it, or list it in .gitignore")
	}
	return dirFile{path: path.Clean(relative), size: info.Size(), executable: info.Mode()&0o100 != 0}, nil
}

// alwaysSkipped are names that never belong to code.
func alwaysSkipped(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return base == ".git" || base == "__pycache__" || base == ".venv"
}
