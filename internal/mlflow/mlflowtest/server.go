package mlflowtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Server is an MLflow server in memory: an http.Handler, safe for concurrent
// use. Make one with NewServer.
type Server struct {
	mu           sync.Mutex
	mux          *http.ServeMux
	artifactRoot string
	experiments  []*experiment // index is the ID
	runs         map[string]*run
	models       map[string]*model
	serial       int64 // makes run IDs and creation times
}

// NewServer returns an empty server whose runs' artifacts live below
// artifactRoot, such as s3://mainspring/mlflow.
func NewServer(artifactRoot string) *Server {
	s := &Server{mux: http.NewServeMux(), artifactRoot: artifactRoot,
		runs: map[string]*run{}, models: map[string]*model{}}
	s.experiments = []*experiment{{id: "0", name: "Default", tags: map[string]string{}}}
	s.routes()
	return s
}

// Start serves s on a loopback port until the test ends and returns its URL.
func (s *Server) Start(t testing.TB) string {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return web.URL
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) routes() {
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<!doctype html><title>404 Not Found</title>")) // the client is gone if this fails
	})
	s.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("OK")) // as above
	})
	s.experimentRoutes()
	s.runRoutes()
	s.modelRoutes()
	s.versionRoutes()
}

// failure is an MLflow error.
type failure struct {
	status int
	code   string
	text   string
}

func invalid(format string, args ...any) *failure {
	return &failure{http.StatusBadRequest, "INVALID_PARAMETER_VALUE", fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) *failure {
	return &failure{http.StatusNotFound, "RESOURCE_DOES_NOT_EXIST", fmt.Sprintf(format, args...)}
}

func taken(format string, args ...any) *failure {
	return &failure{http.StatusBadRequest, "RESOURCE_ALREADY_EXISTS", fmt.Sprintf(format, args...)}
}

// object is a JSON object of an answer.
type object = map[string]any

// handle registers an operation. In is filled from the body, or from the query
// of a GET, whose values are strings.
func handle[In any](s *Server, route string, operation func(in In) (object, *failure)) {
	method, path, _ := cut(route)
	s.mux.HandleFunc(method+" /api/2.0/mlflow/"+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		out, failed := object(nil), s.decode(r, &in)
		if failed == nil {
			s.mu.Lock()
			out, failed = operation(in)
			s.mu.Unlock()
		}
		w.Header().Set("Content-Type", "application/json")
		if failed != nil {
			w.WriteHeader(failed.status)
			out = object{"error_code": failed.code, "message": failed.text, "sqlstate": "KAM00"}
		}
		if out == nil {
			out = object{}
		}
		_ = json.NewEncoder(w).Encode(out) // the client is gone if this fails
	})
}

func cut(route string) (method, path string, ok bool) {
	for i := range route {
		if route[i] == ' ' {
			return route[:i], route[i+1:], true
		}
	}
	return "", "", false
}

func (s *Server) decode(r *http.Request, in any) *failure {
	if r.Header.Get("X-MLFLOW-WORKSPACE") != "" {
		return &failure{http.StatusInternalServerError, "FEATURE_DISABLED",
			"Workspace APIs are not available: workspaces are not enabled on this server"}
	}
	if r.Method == http.MethodGet {
		flat := object{}
		for k, v := range r.URL.Query() {
			flat[k] = v[0]
		}
		encoded, err := json.Marshal(flat)
		if err == nil {
			err = json.Unmarshal(encoded, in)
		}
		if err != nil {
			return invalid("Invalid query: %v", err)
		}
		return nil
	}
	if r.Header.Get("Content-Type") != "application/json" {
		return &failure{http.StatusBadRequest, "BAD_REQUEST", "Bad Request. Content-Type must be application/json"}
	}
	if err := json.NewDecoder(r.Body).Decode(in); err != nil {
		return invalid("Invalid request: %v", err)
	}
	return nil
}

// number is an int64 in a body and a string in a query.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	text := string(b)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	v, err := strconv.ParseInt(text, 10, 64)
	*n = number(v)
	return err
}

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func toMap(list []pair) map[string]string {
	m := map[string]string{}
	for _, p := range list {
		m[p.Key] = p.Value
	}
	return m
}

func toPairs(m map[string]string) []pair {
	list := []pair{}
	for _, k := range sorted(m) {
		list = append(list, pair{k, m[k]})
	}
	return list
}

// now is strictly increasing, so that "newest first" never depends on the
// resolution of a clock.
func (s *Server) now() int64 {
	s.serial = max(s.serial+1, time.Now().UnixMilli())
	return s.serial
}

// page cuts one page out of list; tokens are offsets, as in MLflow.
func page[T any](list []T, limit number, token string) (part []T, next string, failed *failure) {
	start := 0
	if token != "" {
		n, err := strconv.Atoi(token)
		if err != nil || n < 0 || n > len(list) {
			return nil, "", invalid("Invalid page token, could not base64-decode")
		}
		start = n
	}
	end := min(start+int(limit), len(list))
	if end < len(list) {
		next = strconv.Itoa(end)
	}
	return list[start:end], next, nil
}
