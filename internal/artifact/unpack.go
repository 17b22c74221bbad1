package artifact

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxUnpacked bounds what an archive may grow to.
const maxUnpacked = 4 << 30

// Unpack writes a .tar.gz of files and directories to dir, which appears
// complete or not at all and replaces what was there. Names that leave the
// directory and entries that are neither file nor directory are refused.
func Unpack(r io.Reader, dir string) error {
	return replaceDir("unpack", dir, func(fresh string) error {
		root, err := os.OpenRoot(fresh) // no name can lead out of it
		if err != nil {
			return localError("unpack", dir, err)
		}
		return errors.Join(unpackInto(root, r, dir), root.Close())
	})
}

func unpackInto(root *os.Root, r io.Reader, dir string) error {
	broken := func(cause error) error {
		return &Error{Op: "unpack", URI: dir, Message: "the archive is damaged", Class: ErrCorrupt, Cause: cause}
	}
	zip, err := gzip.NewReader(r)
	if err != nil {
		return broken(err)
	}
	archive, left := tar.NewReader(zip), int64(maxUnpacked)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		if left -= header.Size; left < 0 {
			return &Error{Op: "unpack", URI: dir, Class: ErrTooLarge, Message: fmt.Sprintf("the archive unpacks to more than %d bytes", int64(maxUnpacked))}
		}
		err = unpackEntry(root, archive, header)
		if IsDiskFull(err) {
			return writeError(filepath.Join(dir, header.Name), err, header.Size)
		}
		if err != nil {
			return &Error{Op: "unpack", URI: dir, Message: fmt.Sprintf("entry %q", header.Name), Class: ErrCorrupt, Cause: err,
				Hint: "archives may hold files and directories with relative names only"}
		}
	}
}

func unpackEntry(root *os.Root, archive *tar.Reader, header *tar.Header) error {
	name := filepath.FromSlash(header.Name)
	if !filepath.IsLocal(name) {
		return errors.New("the name leaves the directory")
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(filepath.Clean(name), 0o755)
	case tar.TypeReg:
	default:
		return fmt.Errorf("type %q", header.Typeflag)
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if header.Mode&0o100 != 0 {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, archive)
	return errors.Join(err, f.Close())
}
