package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/models"
)

// memoryStore is an artifact store in memory. It records the order of writes
// and can be out.
type memoryStore struct {
	mu      sync.Mutex
	objects map[string][]byte
	writes  []string
	out     func(operation, key string) bool // nil: never
}

var errOut = errors.New("the store is out")

func newMemoryStore() *memoryStore { return &memoryStore{objects: map[string][]byte{}} }

func (s *memoryStore) List(_ context.Context, prefix string) ([]Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != nil && s.out("list", prefix) {
		return nil, errOut
	}
	var found []Object
	for key, data := range s.objects {
		if strings.HasPrefix(key, prefix) {
			sum := sha256.Sum256(data)
			found = append(found, Object{key, hex.EncodeToString(sum[:8])})
		}
	}
	slices.SortFunc(found, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return found, nil
}

func (s *memoryStore) Get(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != nil && s.out("get", key) {
		return nil, errOut
	}
	data, ok := s.objects[key]
	if !ok {
		return nil, fmt.Errorf("no object %s", key)
	}
	return data, nil
}

func (s *memoryStore) Put(_ context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != nil && s.out("put", key) {
		return errOut
	}
	s.objects[key] = bytes.Clone(data)
	s.writes = append(s.writes, key)
	return nil
}

func (s *memoryStore) delete(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

func (s *memoryStore) setOut(out func(operation, key string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
}

// kinds are the first parts of the keys written since the last call, in order.
func (s *memoryStore) kinds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []string
	for _, key := range s.writes {
		kind, _, _ := strings.Cut(key, "/")
		kinds = append(kinds, kind)
	}
	s.writes = nil
	return kinds
}

func (s *memoryStore) putJSON(t testing.TB, key string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = data
}

// read decodes the JSON object at key and reports whether it exists.
func (s *memoryStore) read(t testing.TB, key string, into any) bool {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[key]
	if ok {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	return ok
}

// rowsUnder reads all Parquet files under a prefix.
func rowsUnder[Row any](t testing.TB, s *memoryStore, prefix string) []Row {
	t.Helper()
	objects, err := s.List(context.Background(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for _, object := range objects {
		data, err := s.Get(context.Background(), object.Key)
		if err != nil {
			t.Fatal(err)
		}
		more, err := parquet.Read[Row](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, more...)
	}
	return rows
}

// modelServer is a fake server of one version that answers with its name.
func modelServer(t testing.TB, version string) *httptest.Server {
	t.Helper()
	return customServer(t, func(w http.ResponseWriter, r *http.Request) { answerAs(w, r, version) })
}

func customServer(t testing.TB, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server
}

func answerAs(w http.ResponseWriter, r *http.Request, version string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"model_name":"flights","model_version":%q,"outputs":[{"name":"probability","datatype":"FP32","shape":[1,1],"data":[[0.25]]}]}`, version)
}

// stage is a gateway over a memory store, driven by hand.
type stage struct {
	t        testing.TB
	store    *memoryStore
	gateway  *Gateway
	follower *follower
	url      string
	client   *http.Client
}

func newStage(t testing.TB, config Config) *stage {
	t.Helper()
	config.Name, config.Boot = "gw", cmp.Or(config.Boot, "b1")
	if config.Log == nil {
		config.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	store := newMemoryStore()
	g, err := New(config, store)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &stage{t, store, g, &follower{gateway: g, etags: map[string]string{}}, server.URL, &http.Client{Transport: transport}}
}

// route publishes a route with champion v1 and canary v2 and has it followed.
func (s *stage) route(generation int64, canary float64) {
	s.t.Helper()
	s.store.putJSON(s.t, models.RouteKey("flights"), models.Route{
		Endpoint: "flights", Model: "m", Generation: generation, Reason: "test", Arms: []models.Arm{
			{Version: "v1", Role: models.RoleChampion, Weight: 1 - canary},
			{Version: "v2", Role: models.RoleCanary, Weight: canary},
		},
	})
	s.look()
}

func (s *stage) look() {
	s.t.Helper()
	if err := s.follower.poll(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	s.gateway.polled(true, nil)
}

func (s *stage) replicas(version string, servers ...*httptest.Server) {
	s.t.Helper()
	urls := []string{}
	for _, server := range servers {
		urls = append(urls, server.URL)
	}
	s.store.putJSON(s.t, models.ReplicasKey("flights", version), models.Replicas{Endpoint: "flights", Version: version, URLs: urls})
}

const inferBody = `{"inputs":[{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":[["UA"]]},{"name":"distance","datatype":"INT64","shape":[1],"data":[ 700 ]}]}`

type reply struct {
	status int
	body   string
	header http.Header
}

func (s *stage) post(path, body string, header map[string]string) reply {
	s.t.Helper()
	r, err := s.tryPost(path, body, header)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stage) tryPost(path, body string, header map[string]string) (reply, error) {
	request, err := http.NewRequest("POST", s.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, string(text), response.Header}, err
}

// infer asks with an id and an event time.
func (s *stage) infer(id string, at time.Time) reply {
	s.t.Helper()
	return s.post("/v2/models/flights/infer", inferBody, map[string]string{
		HeaderRequestID: id, HeaderEventTime: at.Format(time.RFC3339Nano),
	})
}

func (s *stage) flush() int {
	s.t.Helper()
	rows, err := s.gateway.flush(context.Background(), false)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// arms are the counters by version and generation, as "v1@7".
func (s *stage) arms() map[string]models.ArmStats {
	s.t.Helper()
	arms := map[string]models.ArmStats{}
	for _, a := range (*s.gateway.known.Load())["flights"].stats() {
		arms[fmt.Sprintf("%s@%d", a.Version, a.Generation)] = a
	}
	return arms
}

func (s *stage) wantArm(arm string, requests, errors int64) {
	s.t.Helper()
	if got := s.arms()[arm]; got.Requests != requests || got.Errors != errors {
		s.t.Errorf("%s: %d requests, %d errors; want %d, %d", arm, got.Requests, got.Errors, requests, errors)
	}
}

func day(d int, hours float64) time.Time {
	return time.Date(2013, 1, d, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours * float64(time.Hour)))
}
