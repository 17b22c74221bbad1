package artifact

import (
	"io/fs"
	"os"
	"path/filepath"
)

// MakeReadOnly takes the write permission from a tree's files and directories,
// the innermost first. A privileged process writes all the same.
func MakeReadOnly(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			dirs = append(dirs, path)
			return nil
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&^0o222)
	})
	if err != nil {
		return localError("make read-only", dir, err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Chmod(dirs[i], 0o555); err != nil {
			return localError("make read-only", dir, err)
		}
	}
	return nil
}
