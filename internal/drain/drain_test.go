package drain

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a listener whose connections are pipes, so that time can be a test's.
type pipes struct {
	taken  chan net.Conn
	closed chan struct{}
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.taken:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

// dial returns the caller's end of a new connection.
func (p pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.taken <- theirs
	return ours
}

// A pool opens connections that it needs only later.
func TestAConnectionWaitsForItsFirstRequestAsLongAsForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := pipes{taken: make(chan net.Conn), closed: make(chan struct{})}
		server := Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		go func() { _ = server.Serve(listener) }()
		caller := listener.dial()
		answers := bufio.NewReader(caller)
		for range 2 {
			time.Sleep(idle - time.Second)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/", http.NoBody)
			require.NoError(t, err)
			require.NoError(t, request.Write(caller))
			answer, err := http.ReadResponse(answers, request)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusTeapot, answer.StatusCode)
		}
		time.Sleep(idle + time.Second)
		_, err := answers.ReadByte()
		require.Error(t, err, "it was closed in the end")
		require.NoError(t, server.Close())
	})
}
