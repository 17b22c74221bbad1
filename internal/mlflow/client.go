package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where the server is. Only BaseURL is required.
type Config struct {
	// BaseURL is http(s)://host[:port][/prefix]. User and password in it are
	// taken out and used as User and Password.
	BaseURL string
	// User and Password are sent as Basic authentication and win over Token,
	// which is sent as Bearer.
	User, Password, Token string
	// Workspace selects a workspace on servers that have them. A server without
	// workspaces refuses any value but the empty one.
	Workspace  string
	HTTPClient *http.Client  // nil: a client of its own
	Timeout    time.Duration // of one request; 0: 30 s
	// ReadRetries is how often a read is tried again when the server is
	// unavailable, and any call that the server turned away as one too many;
	// 0: 2, below 0: never.
	ReadRetries int
	// RetryPause is the pause before the first of them, doubled for each
	// further one; 0: 200 ms. A server that asks for a longer one gets it.
	RetryPause time.Duration
}

// ConfigFromEnv reads the variables that MLflow's Python client reads:
// MLFLOW_TRACKING_URI, _USERNAME, _PASSWORD, _TOKEN, and MLFLOW_WORKSPACE.
func ConfigFromEnv(getenv func(string) string) Config {
	return Config{
		BaseURL:   getenv("MLFLOW_TRACKING_URI"),
		User:      getenv("MLFLOW_TRACKING_USERNAME"),
		Password:  getenv("MLFLOW_TRACKING_PASSWORD"),
		Token:     getenv("MLFLOW_TRACKING_TOKEN"),
		Workspace: getenv("MLFLOW_WORKSPACE"),
	}
}

// Client talks to one MLflow server. It is safe for concurrent use.
type Client struct {
	base *url.URL
	cfg  Config
}

// New returns a client without contacting the server; see [Client.Ping].
func New(cfg Config) (*Client, error) {
	const hint = "set MLFLOW_TRACKING_URI to the server's address, such as http://127.0.0.1:5000"
	base, err := url.Parse(strings.TrimRight(cfg.BaseURL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		// The value may hold a password: it is not repeated.
		return nil, refuse("configure", "tracking URI", "not an http or https URL", hint)
	}
	if base.User != nil {
		if cfg.User == "" {
			cfg.User = base.User.Username()
			cfg.Password, _ = base.User.Password()
		}
		base.User = nil
	}
	base.RawQuery, base.Fragment = "", ""
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.ReadRetries == 0 {
		cfg.ReadRetries = 2
	}
	if cfg.RetryPause == 0 {
		cfg.RetryPause = 200 * time.Millisecond
	}
	return &Client{base: base, cfg: cfg}, nil
}

// BaseURL returns the server's address without credentials.
func (c *Client) BaseURL() string { return c.base.String() }

// call is one request. read marks calls that change nothing, whatever their
// method: only those are retried.
type call struct {
	op, subject  string
	method, path string // path below /api/2.0/mlflow/
	query        url.Values
	body         any // JSON; nil: none
	read         bool
}

func get(op, subject, path string, query url.Values) call {
	return call{op: op, subject: subject, method: http.MethodGet, path: path, query: query, read: true}
}

func post(op, subject, path string, body any) call {
	return call{op: op, subject: subject, method: http.MethodPost, path: path, body: body}
}

// maxAnswer bounds an answer; the largest page asked for stays far below.
const maxAnswer = 64 << 20

func (c *Client) once(ctx context.Context, req call, out any) error {
	bounded, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	r, err := c.request(bounded, req)
	if err != nil {
		return &Error{Op: req.op, Subject: req.subject, Message: "the request can't be written", Class: ErrInvalid, Cause: err}
	}
	resp, err := c.cfg.HTTPClient.Do(r)
	if err != nil {
		return c.unanswered(ctx, req, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing is lost: the body is read to its end below
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unanswered(ctx, req, err)
	}
	if resp.StatusCode/100 != 2 {
		failed := c.redact(answerError(req, resp.StatusCode, body))
		failed.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
		return failed
	}
	if len(body) > maxAnswer {
		return refuse(req.op, req.subject, fmt.Sprintf("the answer is larger than %d MiB", maxAnswer>>20), "ask for less")
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &Error{Op: req.op, Subject: req.subject, Status: resp.StatusCode, Class: ErrInvalid, Cause: err,
			Message: "the answer is not MLflow's", Hint: wrongServerHint}
	}
	return nil
}

func (c *Client) request(ctx context.Context, req call) (*http.Request, error) {
	var body io.Reader
	if req.body != nil {
		encoded, err := json.Marshal(req.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	target := c.base.JoinPath("api/2.0/mlflow", req.path)
	target.RawQuery = req.query.Encode()
	r, err := http.NewRequestWithContext(ctx, req.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "mainspring")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.Workspace != "" {
		r.Header.Set("X-MLFLOW-WORKSPACE", c.cfg.Workspace)
	}
	switch {
	case c.cfg.User != "":
		r.SetBasicAuth(c.cfg.User, c.cfg.Password)
	case c.cfg.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	return r, nil
}

// unanswered describes a request without an answer. A caller who gave up gets
// the context's error and no class: nothing is wrong with the server.
func (c *Client) unanswered(ctx context.Context, req call, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the URL would repeat the query
	}
	e := &Error{Op: req.op, Subject: req.subject, Cause: err}
	if ctx.Err() != nil {
		e.Message, e.Cause = "given up", ctx.Err()
		return e
	}
	e.Class = ErrUnavailable
	e.Message = "no answer from " + c.base.Host
	e.Hint = "check that the MLflow server runs and MLFLOW_TRACKING_URI is right"
	return e
}

// redact takes credentials out of a message that a proxy may have echoed.
func (c *Client) redact(e *Error) *Error {
	for _, secret := range []string{c.cfg.Token, c.cfg.Password} {
		if secret != "" {
			e.Message = strings.ReplaceAll(e.Message, secret, "[redacted]")
		}
	}
	return e
}

// Ping succeeds when the server answers.
func (c *Client) Ping(ctx context.Context) error {
	query := url.Values{"max_results": {"1"}}
	return c.do(ctx, get("reach", c.base.Host, "experiments/search", query), nil)
}
