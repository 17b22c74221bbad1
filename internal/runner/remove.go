package runner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Remove deletes a tree, whether or not its directories are writable: code is
// unpacked read-only. A tree that does not exist is success.
func Remove(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return os.RemoveAll(dir)
}
