package openlineage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says where events go. Its variables are those of OpenLineage's own
// clients.
type Config struct {
	URL       string // OPENLINEAGE_URL: http(s)://host or file:///path; empty: nowhere
	Endpoint  string // OPENLINEAGE_ENDPOINT, of an HTTP URL; default: api/v1/lineage
	APIKey    string // OPENLINEAGE_API_KEY, sent as a bearer token
	Namespace string // OPENLINEAGE_NAMESPACE, of jobs; default: DefaultNamespace

}

// ConfigFromEnv reads the standard variables.
func ConfigFromEnv(getenv func(string) string) Config {
	return Config{
		URL: getenv("OPENLINEAGE_URL"), Endpoint: getenv("OPENLINEAGE_ENDPOINT"), APIKey: getenv("OPENLINEAGE_API_KEY"),
		Namespace: getenv("OPENLINEAGE_NAMESPACE"),
	}
}

// Transport carries events; it is safe for concurrent use.
type Transport interface {
	Send(context.Context, RunEvent) error
}

var (
	_ Transport = FileTransport{}
	_ Transport = (*HTTPTransport)(nil)
)

// Open makes the transport of a configuration; nil: events go nowhere.
func Open(c Config) (Transport, error) {
	if c.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, errors.New("OPENLINEAGE_URL is no URL: write it like http://host:5000 or file:///var/log/lineage.jsonl") // the URL may hold a password
	case u.Scheme == "file" && filepath.IsAbs(u.Path) && (u.Host == "" || u.Host == "localhost"):
		return FileTransport{Path: u.Path}, nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		endpoint := strings.TrimPrefix(cmp.Or(c.Endpoint, "api/v1/lineage"), "/")
		return &HTTPTransport{URL: u.JoinPath(endpoint), APIKey: c.APIKey, Client: &http.Client{Timeout: 5 * time.Second}}, nil
	default:
		return nil, fmt.Errorf("OPENLINEAGE_URL has the scheme %q: write it like http://host:5000 or file:///var/log/lineage.jsonl", u.Scheme)
	}
}

// FileTransport appends events to a file, one line each. What Send has returned
// for is on the disk.
type FileTransport struct{ Path string }

// Send implements Transport. A line is written in one piece, so that several
// workers may share the file.
func (t FileTransport) Send(_ context.Context, event RunEvent) (err error) {
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode a lineage event: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(t.Path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(t.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// HTTPTransport posts events.
type HTTPTransport struct {
	URL    *url.URL
	APIKey string
	Client *http.Client
}

// ErrRefused is a server's word that an event is wrong: it is of no use to send
// it again.
var ErrRefused = errors.New("the lineage server refuses the event")

// Send implements Transport.
func (t *HTTPTransport) Send(ctx context.Context, event RunEvent) (err error) {
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode a lineage event: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if t.APIKey != "" {
		request.Header.Set("Authorization", "Bearer "+t.APIKey)
	}
	response, err := t.Client.Do(request)
	if err != nil {
		return fmt.Errorf("send a lineage event to %s: %w", t.URL.Redacted(), errors.Unwrap(err)) // its text has the URL
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	const enough = 300 // bytes of an explanation
	said, readErr := io.ReadAll(io.LimitReader(response.Body, enough))
	switch {
	case response.StatusCode < http.StatusMultipleChoices:
		return nil
	case readErr != nil:
		said = nil
	}
	failed := fmt.Errorf("%s answers %s: %s", t.URL.Redacted(), response.Status, strings.TrimSpace(string(said)))
	switch response.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
		return errors.Join(ErrRefused, failed)
	default:
		return failed
	}
}
