package artifact

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Archive is a packed directory.
type Archive struct {
	Bytes  []byte // .tar.gz
	SHA256 string // of Bytes
	Files  int
}

// DefaultPackLimit bounds the files of an archive, before compression.
const DefaultPackLimit = 64 << 20

// PackDir packs the files of a directory, at most limit bytes of them (0:
// DefaultPackLimit), leaving out what .gitignore names, .git, __pycache__,
// .venv, and without, which are paths below it with slashes. Equal files give equal bytes: entries are sorted and carry no times
// and no owners, and of the mode only whether the owner may execute the file,
// since the rest depends on the umask. A symbolic link is packed as the file
// it leads to; one that leaves the directory is an error.
func PackDir(dir string, limit int64, without ...string) (Archive, error) {
	const op = "pack"
	limit = cmp.Or(limit, DefaultPackLimit)
	rules, err := newIgnores(dir)
	if err != nil {
		return Archive{}, localError(op, dir, err)
	}
	var failed error
	files, err := walkFiles(dir, func(path string, isDir bool) bool {
		if failed != nil || alwaysSkipped(path) || slices.Contains(without, path) {
			return true
		}
		var skip bool
		skip, failed = rules.ignored(path, isDir)
		return skip
	})
	if err == nil && failed != nil {
		err = localError(op, dir, failed)
	}
	if err == nil {
		err = checkPackSize(dir, files, limit)
	}
	if err != nil {
		return Archive{}, err
	}
	packed, err := writeArchive(dir, files)
	if err != nil {
		return Archive{}, localError(op, dir, err)
	}
	return Archive{Bytes: packed, SHA256: Digest(packed), Files: len(files)}, nil
}

// checkPackSize names the files worth ignoring.
func checkPackSize(dir string, files []dirFile, limit int64) error {
	var total int64
	for _, f := range files {
		total += f.size
	}
	if total <= limit {
		return nil
	}
	largest := slices.SortedStableFunc(slices.Values(files), func(a, b dirFile) int { return cmp.Compare(b.size, a.size) })
	var names []string
	for _, f := range largest[:min(3, len(largest))] {
		names = append(names, fmt.Sprintf("%s (%s)", f.path, mebibytes(f.size)))
	}
	return &Error{Op: "pack", URI: dir, Class: ErrTooLarge,
		Message: fmt.Sprintf("%d files of %s together; the limit is %s; the largest: %s",
			len(files), mebibytes(total), mebibytes(limit), strings.Join(names, ", ")),
		Hint: "list what is not code in .gitignore, and put data into the bucket"}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func writeArchive(dir string, files []dirFile) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, f := range files {
		if err := writeEntry(archive, dir, f); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeEntry(archive *tar.Writer, dir string, f dirFile) error {
	mode := int64(0o644)
	if f.executable {
		mode = 0o755
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Size: f.size, Mode: mode, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	in, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.path)))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read from
	if _, err := io.Copy(archive, in); err != nil {
		return fmt.Errorf("%s changed while it was packed: %w", f.path, err)
	}
	return nil
}
