package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// stickyKey is what keeps a caller on one arm; empty: nothing does, each
// request draws for itself. A request without the route's own key may have the
// header that every endpoint knows. inputs are nil when the body is not read.
func stickyKey(spec models.StickySpec, header http.Header, inputs []oip.RawTensor) string {
	key := ""
	switch {
	case spec.Header != "":
		key = header.Get(spec.Header)
	case spec.Cookie != "":
		key = cookie(header, spec.Cookie)
	case spec.Input != "":
		key = inputKey(inputs, spec.Input)
	}
	if key != "" {
		return key
	}
	return header.Get(HeaderStickyKey)
}

func cookie(header http.Header, name string) string {
	for _, line := range header["Cookie"] {
		cookies, err := http.ParseCookie(line)
		if err != nil {
			continue // a line that is no list of cookies holds no key
		}
		for _, c := range cookies {
			if c.Name == name {
				return c.Value
			}
		}
	}
	return ""
}

func inputKey(inputs []oip.RawTensor, name string) string {
	for _, tensor := range inputs {
		if tensor.Name != name {
			continue
		}
		data := tensor.Data
		if data == nil { // binary: the same person has the same key as in JSON
			flat, err := tensor.AppendFlat(nil)
			if err != nil {
				return ""
			}
			data = flat
		}
		return firstValue(data)
	}
	return ""
}

// firstValue is the first value of nested or flat lists: a string's content, a
// number as it is written. It goes no further than that value.
func firstValue(data []byte) string {
	data = bytes.TrimLeft(data, "[ \t\r\n")
	if len(data) == 0 {
		return ""
	}
	if data[0] != '"' {
		if end := bytes.IndexAny(data, ",] \t\r\n"); end >= 0 {
			data = data[:end]
		}
		if string(data) == "null" {
			return ""
		}
		return string(data)
	}
	for end := 1; end < len(data); end++ {
		switch data[end] {
		case '\\':
			end++
		case '"':
			var text string
			if json.Unmarshal(data[:end+1], &text) != nil {
				return ""
			}
			return text
		}
	}
	return ""
}
