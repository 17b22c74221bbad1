package artifact

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ParseURI splits s3://bucket/key. The key may be empty: the whole bucket.
func ParseURI(uri string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || !validBucket(bucket) {
		return "", "", &Error{Op: "read URI", URI: uri, Message: "not an s3:// URI of a bucket", Class: ErrInvalid,
			Hint: "write it like s3://bucket/key"}
	}
	return bucket, key, nil
}

// locate returns the store and key of an s3:// URI.
func locate(s Store, uri string) (Store, string, error) {
	bucket, key, err := ParseURI(uri)
	if err != nil {
		return nil, "", err
	}
	if bucket != s.Bucket() {
		s = s.InBucket(bucket)
	}
	return s, key, nil
}

// Source is a file that a URI names: s3:// in any bucket that s's credentials
// reach, or file:// on this host.
type Source struct {
	URI  string
	Size int64
	// ETag changes with the content. Local files have none, so size and time of
	// change stand in for it.
	ETag string
}

// LocalPath returns the path of a file:// URI.
func LocalPath(uri string) (string, bool) {
	if !strings.HasPrefix(uri, "file://") {
		return "", false
	}
	u, err := url.Parse(uri)
	if err != nil || (u.Host != "" && u.Host != "localhost") || !filepath.IsAbs(u.Path) {
		return "", false
	}
	return filepath.Clean(u.Path), true
}

// FileURI is the file:// URI of an absolute path.
func FileURI(path string) string {
	u := url.URL{Scheme: "file", Path: path}
	return u.String()
}

func badSource(op, uri string) error {
	return &Error{Op: op, URI: uri, Message: "the URI is neither s3:// nor a local file://", Class: ErrInvalid,
		Hint: "write it like s3://bucket/key or file:///absolute/path"}
}

// fileError classes a failure of reading a source.
func fileError(op, uri string, cause error) error {
	e := &Error{Op: op, URI: uri, Cause: cause}
	switch {
	case os.IsNotExist(cause):
		e.Class, e.Hint = ErrNotFound, "a file:// URI must be there on the host that reads it"
	case os.IsPermission(cause):
		e.Class = ErrDenied
	}
	return e
}

// OpenURI opens a source; the caller closes it.
func OpenURI(ctx context.Context, s Store, uri string) (io.ReadCloser, Source, error) {
	const op = "open"
	if strings.HasPrefix(uri, "s3://") {
		of, key, err := locate(s, uri)
		if err != nil {
			return nil, Source{}, err
		}
		r, info, err := of.Get(ctx, key)
		return r, Source{URI: uri, Size: info.Size, ETag: info.ETag}, err
	}
	path, ok := LocalPath(uri)
	if !ok {
		return nil, Source{}, badSource(op, uri)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, Source{}, fileError(op, uri, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err != nil {
		_ = f.Close() // only read from
		return nil, Source{}, fileError(op, uri, err)
	}
	return f, localSource(path, info), nil
}

func localSource(path string, info fs.FileInfo) Source {
	return Source{URI: FileURI(path), Size: info.Size(),
		ETag: fmt.Sprintf("%d-%s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))}
}

// ListURI lists what a URI covers, sorted by URI: all objects below
// s3://bucket/prefix/, all files below a file:// directory, or the one object
// or file it names. Covering nothing is ErrNotFound: an input that is missing
// must not look like an empty one.
func ListURI(ctx context.Context, s Store, uri string) ([]Source, error) {
	const op = "list"
	var found []Source
	var err error
	if strings.HasPrefix(uri, "s3://") {
		found, err = listS3(ctx, s, uri)
	} else if path, ok := LocalPath(uri); ok {
		found, err = listFiles(ctx, path)
	} else {
		err = badSource(op, uri)
	}
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &Error{Op: op, URI: uri, Message: "there is nothing", Class: ErrNotFound,
			Hint: "check the path, or upload the data first"}
	}
	slices.SortFunc(found, func(a, b Source) int { return strings.Compare(a.URI, b.URI) })
	return found, nil
}

func listS3(ctx context.Context, s Store, uri string) ([]Source, error) {
	of, prefix, err := locate(s, uri)
	if err != nil {
		return nil, err
	}
	if stores, ok := of.(*Stores); ok && stores.Profile(uri+"/") != stores.Profile(uri) {
		prefix += "/" // what lies below it is in another store, whose bucket this one need not have
	}
	infos, err := of.List(ctx, prefix)
	var found []Source
	for _, i := range infos {
		// "data/flights" covers data/flights/x and itself, not data/flights2.
		rest := strings.TrimPrefix(i.Key, prefix)
		if prefix == "" || rest == "" || strings.HasSuffix(prefix, "/") || strings.HasPrefix(rest, "/") {
			found = append(found, Source{URI: URI(of, i.Key), Size: i.Size, ETag: i.ETag})
		}
	}
	return found, err
}

func listFiles(ctx context.Context, root string) ([]Source, error) {
	var found []Source
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err = cmp.Or(err, ctx.Err()); err != nil && (path == root || !os.IsNotExist(err)) {
			return err
		}
		info, err := entry.Info()
		if path != root && os.IsNotExist(err) {
			return nil // gone since its directory was read: renamed or removed by its writer
		}
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() && (path == root || !strings.HasPrefix(entry.Name(), ".")) {
			found = append(found, localSource(path, info))
		}
		return nil
	})
	if err != nil {
		return nil, fileError("list", FileURI(root), err)
	}
	return found, nil
}
