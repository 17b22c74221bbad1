package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func shadowArm(share float64) models.Arm {
	return models.Arm{Version: "v2", Role: models.RoleShadow, Shadow: share}
}

// TestAShadowNeverAffectsTheAnswer has every kind of bad shadow behind a
// champion, and compares with what callers get without one.
func TestAShadowNeverAffectsTheAnswer(t *testing.T) {
	const n = 200
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	hang := make(chan struct{})
	for name, test := range map[string]struct {
		shadow *httptest.Server
		// want are the requests and errors of the shadow; -1: at most n.
		requests, errors int64
	}{
		"fine":    {modelServer(t, "v2"), n, 0},
		"failing": {customServer(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }), n, n},
		"slow": {customServer(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Millisecond)
			answerAs(w, r, "v2")
		}), n, 0},
		"hanging": {customServer(t, func(w http.ResponseWriter, r *http.Request) { <-hang; answerAs(w, r, "v2") }), -1, 0},
		"aborting": {customServer(t, func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}), 1, 1}, // a server that breaks connections is lost once
		"unready": {customServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), 0, 0},
		"away":    {closed, 0, 0},
		"huge": {customServer(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 1<<16)))
		}), n, n},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, Config{MaxBodyBytes: 1 << 12, Timeout: 5 * time.Second})
			s.replicas("v1", modelServer(t, "v1"))
			s.replicas("v2", test.shadow)
			s.traffic(7, shadowArm(1), models.TrafficSpec{})
			for i := range n {
				r := s.infer(strconv.Itoa(i), day(1, 1))
				if r.status != 200 || r.header.Get(HeaderVersion) != "v1" || r.header.Get(HeaderArm) != "champion" || !strings.Contains(r.body, `"v1"`) {
					t.Fatalf("%+v", r)
				}
			}
			s.wantArm("v1@7", n, 0)
			if test.requests < 0 {
				if got := s.arms()["v2@7"]; got.Skipped != n-maxCopies {
					t.Errorf("skipped %d of %d, want all but %d", got.Skipped, n, maxCopies)
				}
				close(hang)
			}
			s.gateway.copying.Wait()
			shadow, champion := s.arms()["v2@7"], s.arms()["v1@7"]
			if test.requests >= 0 {
				s.wantArm("v2@7", test.requests, test.errors)
			}
			copiesAnswered, pairs := shadow.Requests, shadow.Requests
			if name == "aborting" {
				copiesAnswered = 0 // its one error is the crash, which has a partner all the same
			}
			if copiesAnswered+shadow.Skipped != n {
				t.Errorf("%d copies were answered and %d skipped of %d", copiesAnswered, shadow.Skipped, n)
			}
			if got := blockTotals(champion); got.Requests != pairs || got.Errors != 0 {
				t.Errorf("the champion's blocks are about %d requests, the shadow's about %d", got.Requests, pairs)
			}
			if got := blockTotals(shadow); got.Requests != shadow.Requests || got.Errors != shadow.Errors {
				t.Errorf("the shadow's blocks %+v, totals %d, %d", got, shadow.Requests, shadow.Errors)
			}
			if got := s.gateway.copyBytes.Load(); got != 0 {
				t.Errorf("%d bytes are still accounted for", got)
			}
		})
	}
}

// TestAShadowAddsNoTime compares the callers' waiting with and without a shadow
// that hangs.
func TestAShadowAddsNoTime(t *testing.T) {
	s := newStage(t, Config{})
	hang := make(chan struct{})
	defer close(hang)
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, func(http.ResponseWriter, *http.Request) { <-hang }))
	s.traffic(7, shadowArm(1), models.TrafficSpec{})
	started := time.Now()
	for i := range 300 {
		if r := s.infer(strconv.Itoa(i), day(1, 1)); r.status != 200 {
			t.Fatalf("%+v", r)
		}
	}
	// One request that waited for the shadow would wait for the time-out.
	if took := time.Since(started); took > s.gateway.config.Timeout/2 {
		t.Errorf("300 requests took %v", took)
	}
}

// TestCopiesKeepTheirBodies sends bodies that differ, reuses their buffers at
// once, and looks that the slower shadow gets each of them unharmed.
func TestCopiesKeepTheirBodies(t *testing.T) {
	s := newStage(t, Config{})
	var wrong, seen atomic.Int64
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get(HeaderRequestID)
		if !strings.Contains(string(body), `"`+id+`"`) || len(body) != len(bodyWith(id)) {
			wrong.Add(1)
		}
		seen.Add(1)
		answerAs(w, r, "v2")
	}))
	s.traffic(7, shadowArm(1), models.TrafficSpec{})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 100 {
				id := fmt.Sprint("w", worker, "-", i)
				if _, err := s.tryPost("/v2/models/flights/infer", bodyWith(id), map[string]string{HeaderRequestID: id}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.gateway.copying.Wait()
	if wrong.Load() != 0 || seen.Load() == 0 {
		t.Errorf("%d of %d copies have another body", wrong.Load(), seen.Load())
	}
}

func bodyWith(id string) string { return strings.Replace(inferBody, "UA", id, 1) }

func TestCopiesAreLoggedAndPaired(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get(HeaderRequestID), "7") { // one in ten fails
			http.Error(w, `{"error":"broke"}`, 500)
			return
		}
		answerAs(w, r, "v1")
	}))
	s.replicas("v2", modelServer(t, "v2"))
	s.traffic(7, shadowArm(0.3), models.TrafficSpec{Breaker: models.BreakerSpec{Failures: 1000}})
	const n = 500
	copies, failed := int64(0), int64(0)
	for i := range n {
		id := strconv.Itoa(i)
		s.infer(id, day(1, 1))
		if copied(id, 7, 0.3) {
			copies++
			if strings.HasSuffix(id, "7") {
				failed++
			}
		}
	}
	s.gateway.copying.Wait()
	s.wantArm("v1@7", n, n/10)
	s.wantArm("v2@7", copies, 0)
	if got := blockTotals(s.arms()["v1@7"]); got.Requests != copies || got.Errors != failed {
		t.Errorf("the champion's blocks %+v, want those of the %d copied requests, %d failed", got, copies, failed)
	}
	s.flush()
	var shadows int64
	for _, row := range rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")) {
		if row.Role != "shadow" {
			continue
		}
		shadows++
		if !copied(row.ID, 7, 0.3) || row.Version != "v2" || row.Drawn != "v2" || row.ArmShare != 0.3 || row.Status != 200 ||
			row.Inputs != `{"carrier":["UA"],"distance":[700]}` || row.Outputs != `{"probability":[0.25]}` || row.EventTime != day(1, 1).UnixMicro() {
			t.Fatalf("row %+v", row)
		}
	}
	if shadows != copies {
		t.Errorf("%d rows of the shadow, want %d", shadows, copies)
	}
}

// TestStoppingWaitsForCopies: the rows of copies on their way reach the log.
func TestStoppingWaitsForCopies(t *testing.T) {
	s := newStage(t, Config{})
	release := make(chan struct{})
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, func(w http.ResponseWriter, r *http.Request) { <-release; answerAs(w, r, "v2") }))
	s.traffic(7, shadowArm(1), models.TrafficSpec{})
	s.infer("a", day(1, 1))
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	s.gateway.awaitCopies(t.Context())
	s.wantArm("v2@7", 1, 0)
}

// TestCrashesComeInPairs loses a server of either version while another one
// answers: the blocks of both have the same requests, and each crash once.
func TestCrashesComeInPairs(t *testing.T) {
	for _, test := range []struct {
		lost             string
		champion, shadow int64 // errors in blocks
	}{{"v1", 1, 0}, {"v2", 0, 1}} {
		t.Run(test.lost, func(t *testing.T) {
			s := newStage(t, Config{Eject: time.Hour})
			broken := customServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			for _, version := range []string{"v1", "v2"} {
				servers := []*httptest.Server{modelServer(t, version)}
				if version == test.lost {
					servers = append(servers, broken)
				}
				s.replicas(version, servers...)
			}
			s.traffic(7, shadowArm(1), models.TrafficSpec{})
			const n = 20
			for i := range n {
				if r := s.infer(strconv.Itoa(i), day(1, 1)); r.status != 200 {
					t.Fatalf("%+v", r)
				}
			}
			s.gateway.copying.Wait()
			champion, shadow := blockTotals(s.arms()["v1@7"]), blockTotals(s.arms()["v2@7"])
			if champion.Requests != n || champion.Errors != test.champion || shadow.Requests != n || shadow.Errors != test.shadow {
				t.Errorf("champion %+v, shadow %+v", champion, shadow)
			}
		})
	}
}
