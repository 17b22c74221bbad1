package mlflow_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
)

// serve returns a client of a handler, with short retry pauses.
func serve(t *testing.T, h http.HandlerFunc, change func(*mlflow.Config)) *mlflow.Client {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	cfg := mlflow.Config{BaseURL: web.URL, RetryPause: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	c, err := mlflow.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is a handler that counts requests and always answers the same.
func answer(count *atomic.Int64, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		count.Add(1)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the test fails anyway
	}
}

func TestClassesFollowTheErrorCode(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"missing", 404, `{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"m"}`, mlflow.ErrNotFound},
		{"missing alias", 400, `{"error_code":"INVALID_PARAMETER_VALUE","message":"Registered model alias c not found."}`, mlflow.ErrNotFound},
		{"taken", 400, `{"error_code":"RESOURCE_ALREADY_EXISTS","message":"m"}`, mlflow.ErrAlreadyExists},
		{"invalid", 400, `{"error_code":"INVALID_PARAMETER_VALUE","message":"m"}`, mlflow.ErrInvalid},
		{"overtaken", 400, `{"error_code":"BAD_REQUEST","message":"(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.name"}`, mlflow.ErrUnavailable},
		{"bad", 400, `{"error_code":"BAD_REQUEST","message":"m"}`, mlflow.ErrInvalid},
		{"feature off", 500, `{"error_code":"FEATURE_DISABLED","message":"m"}`, mlflow.ErrInvalid},
		{"broken", 500, `{"error_code":"INTERNAL_ERROR","message":"m"}`, mlflow.ErrUnavailable},
		{"busy", 429, `{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"m"}`, mlflow.ErrUnavailable},
		{"proxy", 502, `<html>Bad Gateway</html>`, mlflow.ErrUnavailable},
		{"no such route", 404, `<html>Not Found</html>`, mlflow.ErrInvalid},
		{"credentials", 401, `You are not authenticated.`, mlflow.ErrDenied},
		{"host check", 403, `Invalid Host header`, mlflow.ErrDenied},
		{"not MLflow", 200, `<html>Welcome</html>`, mlflow.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			c := serve(t, answer(&n, tt.status, tt.body), nil)
			_, err := c.GetRun(t.Context(), "r1")
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v; want class %q", err, tt.want)
			}
			var rich *mlflow.Error
			if !errors.As(err, &rich) || rich.Op != "get run" || rich.Subject != "r1" || rich.Status != tt.status {
				t.Errorf("error %#v lacks operation, subject or status", rich)
			}
			if want := map[bool]int64{true: 3, false: 1}[errors.Is(tt.want, mlflow.ErrUnavailable)]; n.Load() != want {
				t.Errorf("%d requests; want %d", n.Load(), want)
			}
		})
	}
}

func TestOnlyReadsAreRetried(t *testing.T) {
	var n atomic.Int64
	c := serve(t, answer(&n, 503, ""), nil)
	writes := map[string]func() error{
		"batch":  func() error { return c.SetRunTags(t.Context(), "r", map[string]string{"a": "b"}) },
		"alias":  func() error { return c.SetAlias(t.Context(), "m", "champion", "1") },
		"create": func() error { return c.EnsureRegisteredModel(t.Context(), "m", "", nil) },
	}
	for name, write := range writes {
		n.Store(0)
		if err := write(); !errors.Is(err, mlflow.ErrUnavailable) || n.Load() != 1 {
			t.Errorf("%s: %d requests, error %v; want one request", name, n.Load(), err)
		}
	}
	n.Store(0)
	if _, err := c.SearchRuns(t.Context(), mlflow.SearchRunsRequest{}); err == nil || n.Load() != 3 {
		t.Errorf("search: %d requests, error %v; want 3", n.Load(), err)
	}
}

func TestReadSurvivesAShortOutage(t *testing.T) {
	real := mlflowtest.NewServer("s3://b")
	var n atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		real.ServeHTTP(w, r)
	}, nil)
	if e, err := c.ExperimentByName(t.Context(), "Default"); err != nil || e.ID != "0" {
		t.Fatalf("experiment %+v, error %v", e, err)
	}
}

// TestLostAnswers drops the answer of every create after carrying it out.
func TestLostAnswers(t *testing.T) {
	real := mlflowtest.NewServer("s3://b")
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "runs/create") || strings.HasSuffix(r.URL.Path, "model-versions/create") {
			real.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		real.ServeHTTP(w, r)
	}, nil)
	ctx := t.Context()
	run, err := c.EnsureRun(ctx, mlflow.EnsureRunRequest{ExperimentID: "0", Key: "0123456789abcdef", Name: "r"})
	if err != nil {
		t.Fatal(err)
	}
	active, err := c.SearchRuns(ctx, mlflow.SearchRunsRequest{ExperimentIDs: []string{"0"}})
	if err != nil || len(active) != 1 || active[0].ID != run.ID {
		t.Fatalf("runs %v, error %v; want only %s", active, err, run.ID)
	}
	if err := c.EnsureRegisteredModel(ctx, "m", "", nil); err != nil {
		t.Fatal(err)
	}
	v, err := c.EnsureModelVersion(ctx, mlflow.EnsureModelVersionRequest{Key: "0123456789abcdef", Model: "m", Source: "s3://b/m"})
	if err != nil || v.Version != "1" {
		t.Fatalf("version %+v, error %v", v, err)
	}
}

func TestFailedCreateIsReported(t *testing.T) {
	real := mlflowtest.NewServer("s3://b")
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "runs/create") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		real.ServeHTTP(w, r)
	}, nil)
	_, err := c.EnsureRun(t.Context(), mlflow.EnsureRunRequest{ExperimentID: "0", Key: "0123456789abcdef"})
	if !errors.Is(err, mlflow.ErrUnavailable) || !strings.Contains(err.Error(), "create run") {
		t.Fatalf("error %v; want the failed creation", err)
	}
}

func TestConnectionRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := mlflow.New(mlflow.Config{BaseURL: "http://" + address, RetryPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Ping(t.Context())
	if !errors.Is(err, mlflow.ErrUnavailable) || !strings.Contains(err.Error(), "MLFLOW_TRACKING_URI") {
		t.Fatalf("error %v; want unavailable, with a hint", err)
	}
}

func TestTimeoutAndCancellation(t *testing.T) {
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	c := serve(t, slow, func(cfg *mlflow.Config) { cfg.Timeout, cfg.ReadRetries = 20*time.Millisecond, -1 })
	if err := c.Ping(t.Context()); !errors.Is(err, mlflow.ErrUnavailable) {
		t.Errorf("a server that does not answer in time: %v; want unavailable", err)
	}
	c = serve(t, slow, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := c.Ping(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, mlflow.ErrUnavailable) {
		t.Errorf("a caller who gave up: %v; want the context's error only", err)
	}
}

func TestCredentials(t *testing.T) {
	const secret = "s3cr3t-t0ken"
	tests := []struct {
		name   string
		change func(*mlflow.Config)
		want   string
	}{
		{"token", func(c *mlflow.Config) { c.Token = secret }, "Bearer " + secret},
		{"password", func(c *mlflow.Config) { c.User, c.Password = "ann", secret }, "Basic YW5uOnMzY3IzdC10MGtlbg=="},
		{"in the URL", func(c *mlflow.Config) {
			c.BaseURL = strings.Replace(c.BaseURL, "http://", "http://ann:"+secret+"@", 1)
		}, "Basic YW5uOnMzY3IzdC10MGtlbg=="},
		{"basic wins", func(c *mlflow.Config) { c.User, c.Password, c.Token = "ann", secret, "other" }, "Basic YW5uOnMzY3IzdC10MGtlbg=="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != tt.want {
					t.Errorf("Authorization %q; want %q", got, tt.want)
				}
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error_code":"INVALID_PARAMETER_VALUE","message":"bad token ` + secret + `"}`))
			}, tt.change)
			err := c.Ping(t.Context())
			if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(c.BaseURL(), secret) {
				t.Errorf("error %v or address %s holds the secret", err, c.BaseURL())
			}
		})
	}
}

func TestWorkspaceHeader(t *testing.T) {
	c := serve(t, mlflowtest.NewServer("s3://b").ServeHTTP, func(cfg *mlflow.Config) { cfg.Workspace = "team" })
	if err := c.Ping(t.Context()); !errors.Is(err, mlflow.ErrInvalid) || !strings.Contains(err.Error(), "workspace") {
		t.Fatalf("error %v; want the server's refusal of the workspace", err)
	}
}

func TestBadAddress(t *testing.T) {
	for _, bad := range []string{"", "localhost:5000", "ftp://host", "http://", "http://u:s3cr3t@[::1"} {
		_, err := mlflow.New(mlflow.Config{BaseURL: bad})
		if !errors.Is(err, mlflow.ErrInvalid) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestPages(t *testing.T) {
	c, err := mlflow.New(mlflow.Config{BaseURL: "http://host:5000/prefix/"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		c.ExperimentURL("3"):               "http://host:5000/prefix/#/experiments/3",
		c.RunURL("3", "abc"):               "http://host:5000/prefix/#/experiments/3/runs/abc",
		c.ModelURL("flight delay"):         "http://host:5000/prefix/#/models/flight%20delay",
		c.ModelVersionURL("flights", "12"): "http://host:5000/prefix/#/models/flights/versions/12",
	}
	for got, want := range want {
		if got != want {
			t.Errorf("page %s; want %s", got, want)
		}
	}
}

func TestAServerMayAskForAPause(t *testing.T) {
	for _, tt := range []struct {
		header   string
		requests int64
		asked    time.Duration
	}{
		{"0", 3, 0},
		{"3600", 1, time.Hour}, // too long to wait here: the caller's to do
		{"soon", 3, 0},
		{time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 1, time.Hour},
	} {
		var n atomic.Int64
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", tt.header)
			answer(&n, http.StatusTooManyRequests, "")(w, r)
		}, nil)
		err := c.SetAlias(t.Context(), "m", "champion", "1")
		var failed *mlflow.Error
		if !errors.As(err, &failed) || !errors.Is(err, mlflow.ErrUnavailable) || failed.RetryAfter.Round(time.Minute) != tt.asked || n.Load() != tt.requests {
			t.Errorf("Retry-After %s: %d requests, error %v that asks for %v; want %d and %v", tt.header, n.Load(), err, failed.RetryAfter, tt.requests, tt.asked)
		}
	}
}
