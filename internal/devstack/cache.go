package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// cacheVariable overrides where the cache lies.
const cacheVariable = "MAINSPRING_CACHE"

// cache is the user's directory of installed items.
type cache struct {
	root string
}

// openCache finds the cache: MAINSPRING_CACHE, else the user's cache directory.
func openCache() (cache, error) {
	root := os.Getenv(cacheVariable)
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return cache{}, &Error{Op: "find the cache", Err: err, Hint: "set " + cacheVariable + " to a directory"}
		}
		root = filepath.Join(user, "mainspring")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return cache{}, describe("find the cache", root, err)
	}
	return cache{root: root}, nil
}

// entryName names what was made of the ingredients on this kind of machine.
func entryName(name, version string, ingredients ...string) string {
	digest := sha256.New()
	for _, part := range append([]string{runtime.GOOS, runtime.GOARCH}, ingredients...) {
		_, _ = fmt.Fprintf(digest, "%d:%s", len(part), part)
	}
	return fmt.Sprintf("%s-%s-%s", name, version, hex.EncodeToString(digest.Sum(nil))[:12])
}

// path returns where the entry is or will be.
func (c cache) path(entry string) string { return filepath.Join(c.root, entry) }

// has is true when file exists in the entry: an environment whose interpreter
// was removed since is not there.
func (c cache) has(entry, file string) bool {
	_, err := os.Stat(filepath.Join(c.path(entry), file))
	return err == nil
}

// installation is one attempt to put an entry into the cache.
type installation struct {
	entry   string
	file    string // must exist in the entry afterwards
	waiting func() // called when another process installs the same
	build   func(ctx context.Context, dir string) error
}

// install builds the entry beside its place and renames it into place, unless
// it is there. Two processes never build the same entry at once; what a killed
// one left behind is removed by the next.
func (c cache) install(ctx context.Context, in installation) error {
	if c.has(in.entry, in.file) {
		return nil
	}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return err
	}
	lock, err := waitLock(ctx, c.path(in.entry)+".lock", in.waiting)
	if err != nil {
		return err
	}
	defer lock.release()
	if c.has(in.entry, in.file) {
		return nil
	}
	if err := c.sweep(in.entry); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.root, in.entry+".tmp-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := in.build(ctx, dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, in.file)); err != nil {
		return fmt.Errorf("the installation has no %s: %w", in.file, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return os.Rename(dir, c.path(in.entry))
}

// sweep removes half installations and a broken entry. The caller has the lock.
func (c cache) sweep(entry string) error {
	items, err := os.ReadDir(c.root)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.Name() == entry || strings.HasPrefix(item.Name(), entry+".tmp-") {
			if err := os.RemoveAll(c.path(item.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
