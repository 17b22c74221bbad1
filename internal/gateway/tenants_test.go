package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func digestHex(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// tenantStage is a stage with a tenants file and one server, which records what
// it was sent.
func tenantStage(t *testing.T, file string, handle http.HandlerFunc) (s *stage, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tenants.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s = newStage(t, Config{TenantsFile: path})
	s.replicas("v1", customServer(t, handle))
	s.route(1, 0)
	return s, path
}

func asV1(w http.ResponseWriter, r *http.Request) { answerAs(w, r, "v1") }

func (s *stage) inferAs(key string) reply {
	s.t.Helper()
	return s.post("/v2/models/flights/infer", inferBody, map[string]string{"Authorization": "Bearer " + key})
}

func TestTenantsNeedAKeyAndTheirEndpoint(t *testing.T) {
	var seen []http.Header
	s, _ := tenantStage(t, fmt.Sprintf("- tenant: web\n  keys: [%s, %s]\n  endpoints: [flights]\n- tenant: batch\n  keys: [%s]\n  endpoints: [other]\n",
		digestHex("web-key"), digestHex("web-key-2"), digestHex("batch-key")),
		func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.Header.Clone())
			asV1(w, r)
		})
	infer := "/v2/models/flights/infer"
	label := `{"id":"r1","label":1}`
	for _, c := range []struct {
		name, path, body string
		header           map[string]string
		want             int
	}{
		{"no key", infer, inferBody, nil, 401},
		{"no key for labels", "/v2/models/flights/labels", label, nil, 401},
		{"no key for a stream", "/v2/models/flights/generate_stream", inferBody, nil, 401},
		{"an unknown key", infer, inferBody, map[string]string{"Authorization": "Bearer web-kex"}, 401},
		{"a digest for a key", infer, inferBody, map[string]string{"X-API-Key": digestHex("web-key")}, 401},
		{"another scheme", infer, inferBody, map[string]string{"Authorization": "Basic web-key"}, 401},
		{"the key", infer, inferBody, map[string]string{"Authorization": "Bearer web-key"}, 200},
		{"the second key", infer, inferBody, map[string]string{"X-API-Key": "web-key-2"}, 200},
		{"the key for labels", "/v2/models/flights/labels", label, map[string]string{"X-API-Key": "web-key"}, 200},
		{"another tenant's endpoint", infer, inferBody, map[string]string{"X-API-Key": "batch-key"}, 403},
		{"another tenant's labels", "/v2/models/flights/labels", label, map[string]string{"X-API-Key": "batch-key"}, 403},
	} {
		got := s.post(c.path, c.body, c.header)
		if got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, got.status, c.want, got.body)
		}
		if challenge := got.header.Get("WWW-Authenticate"); (c.want == 401) != (challenge != "") {
			t.Errorf("%s: WWW-Authenticate %q with status %d", c.name, challenge, got.status)
		}
		if c.want >= 400 && !strings.Contains(got.body, `"error"`) {
			t.Errorf("%s: no error body: %s", c.name, got.body)
		}
	}
	if len(seen) != 2 {
		t.Fatalf("the server got %d requests, want 2", len(seen))
	}
	for _, header := range seen {
		if header.Get("Authorization") != "" || header.Get("X-Api-Key") != "" {
			t.Errorf("the key went on to the server: %v", header)
		}
	}
	s.wantArm("v1@1", 2, 0) // what is refused counts for no arm
	for path, want := range map[string]int{"/v2/health/live": 200, "/v2/health/ready": 200, "/v2/models/flights/ready": 200, "/v2/models/flights": 401, "/v2/models": 401} {
		response, err := s.client.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s without a key: %d, want %d", path, response.StatusCode, want)
		}
	}
	status := s.gateway.Status().Tenants
	if status.Unknown != 8 || status.Tenants[0].Tenant != "batch" || status.Tenants[0].Forbidden != 2 || status.Tenants[1].Admitted != 3 {
		t.Errorf("status: %+v", status)
	}
}

func TestTenantsRate(t *testing.T) {
	account := newTenant()
	account.follow(TenantSpec{Tenant: "web", Endpoints: []string{"*"}, Rate: 2, Burst: 3})
	now := time.Unix(1000, 0)
	enter := func(at time.Time) *refusal {
		no := account.admit("flights", at)
		if no == nil {
			account.leave()
		}
		return no
	}
	for i := range 3 {
		if no := enter(now); no != nil {
			t.Fatalf("request %d of the burst is refused: %+v", i, no)
		}
	}
	no := enter(now)
	if no == nil || no.status != 429 || no.after != 500*time.Millisecond {
		t.Fatalf("beyond the burst: %+v, want 429 and half a second", no)
	}
	if no := enter(now.Add(499 * time.Millisecond)); no == nil {
		t.Error("a refused request must not be let in before its time")
	}
	if no := enter(now.Add(500 * time.Millisecond)); no != nil {
		t.Errorf("a refused request spent the rate: %+v", no)
	}
	if n := account.inFlight.Load(); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
	if fast, many := account.tooFast.Load(), account.tooMany.Load(); fast != 2 || many != 0 {
		t.Errorf("%d too fast, %d too many; want 2, 0", fast, many)
	}
}

func TestTenantsConcurrency(t *testing.T) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	s, _ := tenantStage(t, "- {tenant: web, keys: ["+digestHex("k")+`], endpoints: ["*"], concurrency: 2}`, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-goOn
		if r.Header.Get("Fail") != "" {
			w.WriteHeader(500)
			return
		}
		asV1(w, r)
	})
	var done sync.WaitGroup
	for _, header := range []map[string]string{{"X-API-Key": "k"}, {"X-API-Key": "k", "Fail": "1"}} {
		done.Go(func() { _, _ = s.tryPost("/v2/models/flights/infer", inferBody, header) })
		<-entered
	}
	got := s.inferAs("k")
	if got.status != 429 || got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, "2 requests in flight") {
		t.Errorf("the third request at once: %d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.body)
	}
	close(goOn)
	done.Wait()
	go func() { <-entered }()
	if got := s.inferAs("k"); got.status != 200 {
		t.Errorf("after an answer and an error the places are free again: got %d: %s", got.status, got.body)
	}
	if status := s.gateway.Status().Tenants.Tenants[0]; status.InFlight != 0 || status.TooMany != 1 || status.Admitted != 3 {
		t.Errorf("status: %+v", status)
	}
}

func TestTenantsFileIsFollowed(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	file := func(key string) string {
		return "- {tenant: web, keys: [" + digestHex(key) + `], endpoints: ["*"], rate: 1}`
	}
	s, path := tenantStage(t, file("old"), asV1)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.gateway.door.look(log)
	}
	if got := s.inferAs("old"); got.status != 200 {
		t.Fatalf("the first key: %d %s", got.status, got.body)
	}
	for range 2 {
		write("- {tenant: web, kyes: []}")
	}
	if got := s.inferAs("old"); got.status != 429 {
		t.Errorf("a file that can't be used must leave the last one in use, and its rate spent: got %d", got.status)
	}
	if status := s.gateway.Status().Tenants; !strings.Contains(status.Error, "kyes") {
		t.Errorf("status does not say what is wrong with the file: %+v", status)
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
		t.Errorf("%d complaints about one file, want 1:\n%s", n, &logged)
	}
	write(file("new"))
	if got := s.inferAs("old"); got.status != 401 {
		t.Errorf("a key that is listed no more: %d", got.status)
	}
	if got := s.inferAs("new"); got.status != 429 {
		t.Errorf("a new key of the same tenant must not come with a new burst: got %d", got.status)
	}
	if status := s.gateway.Status().Tenants; status.Error != "" || status.Tenants[0].Admitted != 1 {
		t.Errorf("status: %+v", status)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.gateway.door.look(log)
	if got := s.inferAs("other"); got.status != 401 {
		t.Errorf("a file that is gone must not open the door: got %d", got.status)
	}
}

func TestTenantsFileIsReadStrictly(t *testing.T) {
	key := digestHex("k")
	for name, c := range map[string]struct{ file, want string }{
		"empty":              {"", "names no tenant"},
		"no list":            {"tenant: web", "list of tenants"},
		"unknown field":      {"- {tenant: web, keys: [" + key + "], endpoints: [a], rate_limit: 3}", "rate_limit"},
		"key itself":         {"- {tenant: web, keys: [msk_secret], endpoints: [a]}", "SHA-256"},
		"not hex":            {"- {tenant: web, keys: [" + strings.Repeat("z", 64) + "], endpoints: [a]}", "SHA-256"},
		"no keys":            {"- {tenant: web, endpoints: [a]}", "no keys"},
		"no endpoints":       {"- {tenant: web, keys: [" + key + "]}", "no endpoint"},
		"bad name":           {"- {tenant: 'a b', keys: [" + key + "], endpoints: [a]}", "letters"},
		"twice":              {"- {tenant: a, keys: [" + key + "], endpoints: [a]}\n- {tenant: a, keys: [" + digestHex("l") + "], endpoints: [a]}", "twice"},
		"one key for two":    {"- {tenant: a, keys: [" + key + "], endpoints: [a]}\n- {tenant: b, keys: [" + key + "], endpoints: [a]}", "same key"},
		"negative rate":      {"- {tenant: a, keys: [" + key + "], endpoints: [a], rate: -1}", "rate"},
		"burst, no rate":     {"- {tenant: a, keys: [" + key + "], endpoints: [a], burst: 1}", "burst"},
		"negative in flight": {"- {tenant: a, keys: [" + key + "], endpoints: [a], concurrency: -1}", "concurrency"},
	} {
		_, _, err := parseTenants([]byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "msk_secret") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "missing.yaml")
	if _, err := New(Config{Name: "gw", TenantsFile: path}, newMemoryStore()); err == nil {
		t.Error("a gateway whose tenants file is missing must not start")
	}
}

func TestNewKeyOpensTheDoor(t *testing.T) {
	key, digest := NewKey()
	other, _ := NewKey()
	if key == other || len(key) < 26 {
		t.Fatalf("keys %q and %q", key, other)
	}
	s, _ := tenantStage(t, `[{"tenant": "web", "keys": ["`+digest+`"], "endpoints": ["*"]}]`, asV1) // JSON is YAML
	if got := s.inferAs(key); got.status != 200 {
		t.Errorf("the key of that digest: %d", got.status)
	}
	if got := s.inferAs(other); got.status != 401 {
		t.Errorf("another key: %d", got.status)
	}
}
