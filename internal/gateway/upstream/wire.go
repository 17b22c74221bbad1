package upstream

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxHeader bounds an answer's header.
const maxHeader = 1 << 20

var errHeader = fmt.Errorf("the answer's header has more than %d bytes", maxHeader)

// wire is a connection. One goroutine uses it at a time.
type wire struct {
	address   string
	conn      net.Conn
	raw       syscall.RawConn
	reader    *bufio.Reader // of the wire itself
	out       []byte        // the request
	headroom  int64         // bytes that may still be read
	body      io.LimitedReader
	used      bool // it carried a request before this one
	idleSince time.Time

	peek   func(fd uintptr)
	peeked error // of the last peek; nil: something was there
}

func newWire(address string, conn net.Conn) (*wire, error) {
	w := &wire{address: address, conn: conn}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("it is no socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	w.raw, w.reader = raw, bufio.NewReaderSize(w, 4<<10)
	w.peek = func(fd uintptr) {
		var one [1]byte
		_, _, w.peeked = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	}
	return w, nil
}

// quiet reports whether the server has neither closed the wire nor said
// anything without being asked, as one may before it closes an idle connection.
func (w *wire) quiet() bool {
	// Control and not Read, which heeds the deadline of the last request.
	if err := w.raw.Control(w.peek); err != nil {
		return false
	}
	return errors.Is(w.peeked, unix.EAGAIN)
}

// close ends the wire. What is wrong with it then does not matter any more.
func (w *wire) close() { _ = w.conn.Close() }

// Read implements io.Reader for the buffered reader.
func (w *wire) Read(into []byte) (int, error) {
	if w.headroom <= 0 {
		return 0, errHeader
	}
	n, err := w.conn.Read(into)
	w.headroom -= int64(n)
	return n, err
}

// exchanged is what came back. reusable: the wire can carry another request.
type exchanged struct {
	status   int
	header   http.Header
	reusable bool
}

// asked tells http.ReadResponse what was asked; it changes nothing in it.
var asked = &http.Request{Method: http.MethodPost}

// exchange sends the request and reads its answer.
func (w *wire) exchange(r *Request, into *bytes.Buffer) (exchanged, error) {
	if w.out = appendRequest(w.out[:0], r); cap(w.out) > 2*MaxBody {
		defer func() { w.out = nil }() // headers as long as that are rare
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return exchanged{}, err
	}
	response, err := w.response()
	if err != nil {
		return exchanged{}, err
	}
	w.headroom = math.MaxInt64
	got := exchanged{status: response.StatusCode, header: response.Header}
	if got.status == http.StatusRequestTimeout && response.Close && w.used {
		return got, io.ErrUnexpectedEOF // it was closing the idle wire, and did not read the request
	}
	w.body = io.LimitedReader{R: response.Body, N: r.Limit + 1}
	n, err := into.ReadFrom(&w.body)
	w.body.R = nil
	switch {
	case err != nil:
		return got, err
	case n > r.Limit:
		return got, ErrTooLong
	}
	got.reusable = !response.Close && w.reader.Buffered() == 0
	return got, nil
}

// response reads up to the body of the answer, past the interim ones.
func (w *wire) response() (*http.Response, error) {
	w.headroom = maxHeader
	for {
		response, err := http.ReadResponse(w.reader, asked)
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case response.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the server wants to switch protocols")
		case response.StatusCode >= 200:
			return response, nil
		}
	}
}

func appendRequest(dst []byte, r *Request) []byte {
	dst = append(dst, "POST "...)
	dst = appendTarget(dst, r.Base, r.Path)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.Base.Host...)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.Body)), 10)
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
			continue // of this connection; said above
		}
		for _, value := range values {
			dst = append(append(append(dst, "\r\n"...), name...), ": "...)
			dst = appendValue(dst, value)
		}
	}
	return append(append(dst, "\r\n\r\n"...), r.Body...)
}

// appendTarget appends what RequestURI returns for the base with the path.
func appendTarget(dst []byte, base *url.URL, path string) []byte {
	if base.RawPath == "" && base.RawQuery == "" && base.Opaque == "" && plain(base.Path) && plain(path) &&
		strings.HasPrefix(cmp.Or(base.Path, path), "/") {
		return append(append(dst, base.Path...), path...)
	}
	target := *base
	target.Path += path
	return append(dst, target.RequestURI()...)
}

// plain reports whether a path needs no escape. Those of models hardly do.
func plain(path string) bool {
	for i := range len(path) {
		switch b := path[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '/', b == '-', b == '_', b == '.':
		default:
			return false
		}
	}
	return true
}

// appendValue keeps a value on its line: what a caller writes into one must not
// become another header.
func appendValue(dst []byte, value string) []byte {
	start := len(dst)
	dst = append(dst, value...)
	for i := start; i < len(dst); i++ {
		if dst[i] == '\r' || dst[i] == '\n' || dst[i] == 0 {
			dst[i] = ' '
		}
	}
	return dst
}
