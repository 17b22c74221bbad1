package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gateway/upstream"
	"github.com/mainspring-ml/mainspring/models"
)

// bodies go over a wire, and through the transport.
func bodies() map[string]string {
	return map[string]string{
		"small": inferBody,
		"large": strings.Replace(inferBody, `"UA"`, `"`+strings.Repeat("U", upstream.MaxBody)+`"`, 1),
	}
}

func TestSmallAndLargeRequestsEndAlike(t *testing.T) {
	for name, body := range bodies() {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, Config{Timeout: 50 * time.Millisecond, MaxBodyBytes: 1 << 20})
			var calls atomic.Int64
			s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
				got, err := io.ReadAll(r.Body)
				if err != nil || string(got) != body {
					t.Errorf("the server got %d bytes of %d, %v", len(got), len(body), err)
				}
				switch calls.Add(1) {
				case 1:
					panic(http.ErrAbortHandler)
				case 2:
					answerAs(w, r, "v1")
				case 3:
					<-r.Context().Done()
				case 4:
					_, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1))
				}
			}))
			s.route(7, 0)
			for i, want := range []int{200, 504, 502} {
				if r := s.post("/v2/models/flights/infer", body, nil); r.status != want {
					t.Errorf("request %d: got %d %.100s, want %d", i, r.status, r.body, want)
				}
			}
			s.wantArm("v1@7", 3, 2)
			if calls.Load() != 4 {
				t.Errorf("the server was asked %d times, want 4", calls.Load())
			}
		})
	}
}

// TestACallerWhoGoesAwayIsNoEvidence: the server is told, and nothing is
// counted or logged.
func TestACallerWhoGoesAwayIsNoEvidence(t *testing.T) {
	for name, body := range bodies() {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, Config{})
			asked, told := make(chan struct{}), make(chan struct{})
			s.replicas("v1", customServer(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(asked)
				<-r.Context().Done()
				close(told)
			}))
			s.route(7, 0)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v2/models/flights/infer", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if response, err := s.client.Do(request); err == nil {
				response.Body.Close()
				t.Fatalf("status %d", response.StatusCode)
			}
			select {
			case <-told:
			case <-time.After(5 * time.Second):
				t.Fatal("the server goes on for a caller who is gone")
			}
			s.wantArm("v1@7", 0, 0)
			s.flush()
			if rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")); len(rows) != 0 {
				t.Errorf("rows %+v", rows)
			}
		})
	}
}
