package artifacttest

import (
	"errors"
	"io"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

func (s suite) read(t *testing.T, name string, offset, length int64, etag string) (string, artifact.Info) {
	t.Helper()
	r, info, err := s.s.GetRange(s.ctx, s.key(name), offset, length, etag)
	ok(t, err)
	b, err := io.ReadAll(r)
	ok(t, errors.Join(err, r.Close()))
	return string(b), info
}

func testRange(t *testing.T, s suite) {
	put := s.put(t, "ten", "0123456789")
	for _, tt := range []struct {
		offset, length int64
		want           string
	}{{0, 1, "0"}, {0, 10, "0123456789"}, {3, 4, "3456"}, {9, 1, "9"}, {9, 100, "9"}, {0, 1000, "0123456789"}} {
		for _, etag := range []string{"", put.ETag} {
			got, info := s.read(t, "ten", tt.offset, tt.length, etag)
			equal(t, "range", got, tt.want)
			equal(t, "key", info.Key, s.key("ten"))
			equal(t, "whole size", info.Size, 10)
			equal(t, "ETag", info.ETag, put.ETag)
			equal(t, "digest", info.SHA256, artifact.Digest([]byte("0123456789")))
		}
	}
	for _, tt := range [][2]int64{{10, 1}, {1000, 1}, {0, 0}, {-1, 5}, {3, -1}} {
		_, _, err := s.s.GetRange(s.ctx, s.key("ten"), tt[0], tt[1], "")
		wantClass(t, err, artifact.ErrInvalid)
	}
	s.put(t, "empty", "")
	_, _, err := s.s.GetRange(s.ctx, s.key("empty"), 0, 1, "")
	wantClass(t, err, artifact.ErrInvalid)
	_, _, err = s.s.GetRange(s.ctx, s.key("none"), 0, 1, "")
	wantClass(t, err, artifact.ErrNotFound)
	_, _, err = s.s.GetRange(s.ctx, "../a", 0, 1, "")
	wantClass(t, err, artifact.ErrInvalid)
}

func testRangeOfReplaced(t *testing.T, s suite) {
	first := s.put(t, "file", "first content")
	second := s.put(t, "file", "other content")
	_, _, err := s.s.GetRange(s.ctx, s.key("file"), 0, 5, first.ETag)
	wantClass(t, err, artifact.ErrPreconditionFailed)
	got, _ := s.read(t, "file", 0, 5, second.ETag)
	equal(t, "range", got, "other")
	ok(t, s.s.Delete(s.ctx, s.key("file")))
	_, _, err = s.s.GetRange(s.ctx, s.key("file"), 0, 5, second.ETag)
	wantClass(t, err, artifact.ErrNotFound)
}
