package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// MaxBody is the largest body that Post sends.
const MaxBody = 64 << 10

var (
	// ErrSlow means: the server did not answer in time.
	ErrSlow = errors.New("the server took too long")
	// ErrTooLong means: the answer's body is longer than the request allows.
	ErrTooLong = errors.New("the answer is too long")
)

// Config describes a client.
type Config struct {
	DialTimeout time.Duration // longest wait for a connection
	IdleTimeout time.Duration // wires that wait for longer are closed
	MaxIdle     int           // idle wires to one server
}

// Client keeps wires to servers. It is safe for concurrent use.
type Client struct {
	config Config
	dialer net.Dialer

	mu      sync.Mutex
	idle    map[string][]*wire // by address; the one used last is the last
	sweeper *time.Timer        // runs while there are idle wires
}

// New makes a client without any wire.
func New(config Config) *Client {
	return &Client{
		config: config, idle: map[string][]*wire{},
		dialer: net.Dialer{Timeout: config.DialTimeout, KeepAlive: 15 * time.Second},
	}
}

// Request is a POST. Header and Body are not used after Post has returned.
type Request struct {
	Base    *url.URL // of the scheme http
	Path    string   // is appended to the base's
	Header  http.Header
	Body    []byte
	Timeout time.Duration // of the whole exchange
	Limit   int64         // of the answer's body
	Fresh   bool          // don't use an idle wire
}

// Takes reports whether Post can send such a request.
func Takes(u *url.URL, body []byte) bool { return u.Scheme == "http" && len(body) <= MaxBody }

// Post sends a request, appends the answer's body to into and returns the
// status and the header. The error is ErrSlow, ErrTooLong, a *net.OpError with
// the operation "dial" when there is no connection, and any other when the
// connection broke or ctx ended before the answer was complete.
func (c *Client) Post(ctx context.Context, r Request, into *bytes.Buffer) (status int, header http.Header, err error) {
	end := time.Now().Add(r.Timeout)
	w, err := c.wire(ctx, &r, end)
	if err != nil {
		return 0, nil, err
	}
	if err := w.conn.SetDeadline(end); err != nil {
		w.close()
		return 0, nil, err
	}
	// Who waits for the answer may go away.
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = w.conn.SetDeadline(time.Unix(1, 0)) })
	}
	a, err := w.exchange(&r, into)
	if !stop() || err != nil || !a.reusable {
		w.close()
	} else {
		c.keep(w)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		err = ErrSlow
	}
	return a.status, a.header, err
}

// wire is an idle one, or else a fresh one.
func (c *Client) wire(ctx context.Context, r *Request, end time.Time) (*wire, error) {
	address := r.Base.Host
	if r.Base.Port() == "" {
		address = net.JoinHostPort(r.Base.Hostname(), "80")
	}
	for !r.Fresh {
		w := c.take(address)
		if w == nil {
			break
		}
		if w.quiet() {
			w.used = true
			return w, nil
		}
		w.close()
	}
	ctx, cancel := context.WithDeadlineCause(ctx, end, ErrSlow)
	defer cancel()
	connection, err := c.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrSlow) {
			err = ErrSlow
		}
		return nil, err
	}
	w, err := newWire(address, connection)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use a connection to %s: %w", address, err), connection.Close())
	}
	return w, nil
}

func (c *Client) take(address string) *wire {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.idle[address]
	if len(idle) == 0 {
		return nil
	}
	w := idle[len(idle)-1]
	idle[len(idle)-1] = nil
	c.idle[address] = idle[:len(idle)-1]
	return w
}

func (c *Client) keep(w *wire) {
	w.idleSince = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle[w.address]) >= c.config.MaxIdle {
		w.close()
		return
	}
	c.idle[w.address] = append(c.idle[w.address], w)
	if c.sweeper == nil {
		c.sweeper = time.AfterFunc(c.config.IdleTimeout, c.sweep)
	}
}

// sweep closes the wires that have been idle for too long, and comes again for
// as long as there are others.
func (c *Client) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeIdle(time.Now().Add(-c.config.IdleTimeout))
	c.sweeper = nil
	if len(c.idle) > 0 {
		c.sweeper = time.AfterFunc(c.config.IdleTimeout, c.sweep)
	}
}

// closeIdle closes the wires that are idle since before a moment.
func (c *Client) closeIdle(before time.Time) {
	for address, idle := range c.idle {
		kept := idle[:0]
		for _, w := range idle {
			if w.idleSince.Before(before) {
				w.close()
			} else {
				kept = append(kept, w)
			}
		}
		clear(idle[len(kept):])
		if c.idle[address] = kept; len(kept) == 0 {
			delete(c.idle, address)
		}
	}
}

// Close closes the idle wires.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeIdle(time.Now().Add(time.Hour))
	if c.sweeper != nil {
		c.sweeper.Stop()
		c.sweeper = nil
	}
}
