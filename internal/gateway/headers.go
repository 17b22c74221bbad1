package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"net/textproto"
)

// HeaderTheirRequestID is what callers may name a request by instead of
// HeaderRequestID. Both are answered and sent on.
const HeaderTheirRequestID = "X-Request-Id"

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// hopByHop reports whether a header is meant for the connection rather than
// for its far end (RFC 9110, section 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	default:
		return false
	}
}

// maxHeader bounds a caller's header to what model servers take: one that
// refuses it by closing the connection would seem lost.
const maxHeader = 32 << 10

// maxRequestID bounds what travels in two headers, the log and the labels.
const maxRequestID = 1 << 10

// checkRequestID refuses a name that a header can't carry: no server would get
// the request, and all of them would seem lost.
func checkRequestID(id string) error {
	if len(id) > maxRequestID {
		return fmt.Errorf("the request ID has %d bytes; at most %d are allowed", len(id), maxRequestID)
	}
	for i := range len(id) {
		if id[i] < ' ' || id[i] == 0x7f {
			return fmt.Errorf("the request ID %q has control characters, which a header can't carry", id)
		}
	}
	return nil
}

// copyEndToEnd copies the headers that are meant for the far end. The values
// are shared.
func copyEndToEnd(into, from http.Header) {
	connection := from["Connection"]
	for name, values := range from {
		if !hopByHop(name) && !listed(connection, name) {
			into[name] = values
		}
	}
}

// listed reports whether the header Connection names another one.
func listed(connection []string, name string) bool {
	for _, line := range connection {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(token), name) {
				return true
			}
		}
	}
	return false
}

// forwardedHeader is what a model server sees of a request's header. It does
// not change afterwards: a transport may read it after the answer.
func forwardedHeader(from http.Header, id string) http.Header {
	header := make(http.Header, len(from)+3)
	copyEndToEnd(header, from)
	delete(header, "Expect") // the whole body is here
	ids := []string{id}
	header[HeaderRequestID], header[HeaderTheirRequestID] = ids, ids
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = nil // or net/http would put in its own
	}
	return header
}

// writeAnswer sends an answer with its server's headers and ours.
func writeAnswer(w http.ResponseWriter, id string, result answer) {
	header := w.Header()
	copyEndToEnd(header, result.header)
	header["Content-Length"] = []string{strconv.Itoa(result.body.Len())}
	markAnswer(header, id, result.arm)
	w.WriteHeader(result.status)
	_, _ = w.Write(result.body.Bytes()) // a client that went away has nobody to tell
}

// markAnswer says which request an answer belongs to and which version gave it.
func markAnswer(header http.Header, id string, by *arm) {
	ids := []string{id}
	header[HeaderRequestID], header[HeaderTheirRequestID] = ids, ids
	header[HeaderVersion], header[HeaderArm] = by.versionHeader, by.roleHeader
}

// errorAnswer is an answer of the gateway itself.
func errorAnswer(of *arm, body *bytes.Buffer, status int, header http.Header, message string) answer {
	body.Reset()
	body.Write(errorJSON(message))
	return answer{arm: of, status: status, header: header, body: body}
}
