package clouds

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
)

// proxy counts the bytes that are sent to a server.
type proxy struct {
	endpoint string
	sent     atomic.Int64
}

func (w *world) newProxy(to string) *proxy {
	w.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = listener.Close() }) // the test is over
	p := &proxy{endpoint: "http://" + listener.Addr().String()}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go p.carry(in, strings.TrimPrefix(to, "http://"))
		}
	}()
	return p
}

func (p *proxy) carry(in net.Conn, to string) {
	defer func() { _ = in.Close() }() // either side has ended
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go func() {
		_, _ = io.Copy(in, out) // until either side ends
		_ = in.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(out, p), in)
}

// Write counts.
func (p *proxy) Write(b []byte) (int, error) {
	p.sent.Add(int64(len(b)))
	return len(b), nil
}
