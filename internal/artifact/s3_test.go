package artifact_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

func newS3(t *testing.T, endpoint string) *artifact.S3 {
	t.Helper()
	s, err := artifact.NewS3(artifact.Config{Endpoint: endpoint, Bucket: "bucket", AccessKey: "key", SecretKey: "s3cr3t"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3Errors(t *testing.T) {
	tests := []struct {
		name, code string
		status     int
		want       error
	}{
		{"missing bucket", "NoSuchBucket", 404, artifact.ErrNotFound},
		{"wrong key", "InvalidAccessKeyId", 403, artifact.ErrDenied},
		{"unknown key", "XAdminUserNotFound", 404, artifact.ErrDenied}, // versitygw
		{"clock", "RequestTimeTooSkewed", 403, artifact.ErrDenied},
		{"nested", "ObjectParentIsFile", 409, artifact.ErrConflict},
		{"racing condition", "ConditionalRequestConflict", 409, artifact.ErrPreconditionFailed},
		{"broken", "InternalError", 500, artifact.ErrUnavailable},
		{"busy", "SlowDown", 503, artifact.ErrUnavailable},
		{"nonsense", "MalformedXML", 400, artifact.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int64
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>m</Message></Error>", tt.code) // the test fails anyway
			}))
			t.Cleanup(web.Close)
			s := newS3(t, web.URL)
			_, err := artifact.PutBytes(t.Context(), s, "a/b", []byte("x"), artifact.PutOptions{IfAbsent: true})
			var rich *artifact.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &rich) || rich.URI != "s3://bucket/a/b" {
				t.Errorf("error %v; want class %q and the URI", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "s3cr3t") {
				t.Errorf("error %v holds the secret", err)
			}
			if requests.Load() != 1 {
				t.Errorf("a conditional put was sent %d times", requests.Load())
			}
		})
	}
}

func TestEnsureBucketRaced(t *testing.T) {
	for code, wantErr := range map[string]bool{"BucketAlreadyOwnedByYou": false, "BucketAlreadyExists": true} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusConflict)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code) // the test fails anyway
		}))
		if err := newS3(t, web.URL).EnsureBucket(t.Context()); (err != nil) != wantErr {
			t.Errorf("%s: error %v", code, err)
		}
		web.Close()
	}
}

func TestS3Unreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = newS3(t, "http://"+address).Stat(t.Context(), "a")
	if !errors.Is(err, artifact.ErrUnavailable) || !strings.Contains(err.Error(), "MAINSPRING_S3_ENDPOINT") {
		t.Errorf("error %v; want unavailable, with a hint", err)
	}
}

func TestConfig(t *testing.T) {
	env := map[string]string{"MAINSPRING_S3_ENDPOINT": "http://127.0.0.1:7070", "AWS_ACCESS_KEY_ID": "key",
		"AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_REGION": "eu-central-1"}
	cfg := artifact.ConfigFromEnv(func(name string) string { return env[name] })
	want := artifact.Config{Endpoint: "http://127.0.0.1:7070", Bucket: "mainspring", Region: "eu-central-1",
		AccessKey: "key", SecretKey: "s3cr3t"}
	if cfg != want {
		t.Errorf("config %v; want %v", cfg, want)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("starting", "s3", cfg)
	if all := logged.String() + fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg); strings.Contains(all, "s3cr3t") {
		t.Errorf("the secret shows: %s", all)
	}
	for name, change := range map[string]func(*artifact.Config){
		"path":       func(c *artifact.Config) { c.Endpoint = "http://h/path" },
		"no scheme":  func(c *artifact.Config) { c.Endpoint = "127.0.0.1:7070" },
		"password":   func(c *artifact.Config) { c.Endpoint = "http://u:s3cr3t@h" },
		"no bucket":  func(c *artifact.Config) { c.Bucket = "" },
		"one key":    func(c *artifact.Config) { c.SecretKey = "" },
		"bad bucket": func(c *artifact.Config) { c.Bucket = "a/b" },
	} {
		bad := want
		change(&bad)
		if _, err := artifact.NewS3(bad); !errors.Is(err, artifact.ErrInvalid) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
