package gateway

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
)

// plain is a body as it reads without its content encoding, of at most limit
// bytes. What is sent on keeps the encoding; only the gateway's own reading, for
// the draw and the log, goes without it.
func plain(header http.Header, body []byte, limit int64) ([]byte, error) {
	var reader io.ReadCloser
	var err error
	switch encoding := header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		reader, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		reader, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil, fmt.Errorf("content encoding %q is not supported; use gzip, deflate or none", encoding)
	}
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	text, err := io.ReadAll(io.LimitReader(reader, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("it has more than %d bytes without its encoding; send smaller batches", limit)
	}
	return text, nil
}
