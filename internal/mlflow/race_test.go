package mlflow_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
)

// TestNoTwoWinners holds caller A back between its search, which saw A's own
// run only, and its decision. Meanwhile an earlier run appears and caller B
// decides for that one; A goes on just before B cleans up. Both must answer
// with the same run.
func TestNoTwoWinners(t *testing.T) {
	const key = "00112233445566778899aabbccddeeff"
	req := mlflow.EnsureRunRequest{ExperimentID: "0", Key: key, Name: "A's", Start: time.UnixMilli(2000)}
	real := mlflowtest.NewServer("s3://b")
	held, release := make(chan struct{}), make(chan struct{})
	var hold, resume sync.Once
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "runs/log-parameter") {
			hold.Do(func() { close(held); <-release })
		}
		real.ServeHTTP(w, r)
	}, nil)
	var answerA mlflow.Run
	var failedA error
	doneA := make(chan struct{})
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "runs/delete") {
			resume.Do(func() { close(release); <-doneA })
		}
		real.ServeHTTP(w, r)
	}, nil)

	go func() {
		defer close(doneA)
		answerA, failedA = a.EnsureRun(t.Context(), req)
	}()
	<-held
	body := `{"experiment_id":"0","start_time":1000,"run_name":"earlier","tags":[{"key":"mainspring.key","value":"` + key + `"}]}`
	create := httptest.NewRequest(http.MethodPost, "/api/2.0/mlflow/runs/create", strings.NewReader(body))
	create.Header.Set("Content-Type", "application/json")
	real.ServeHTTP(httptest.NewRecorder(), create)
	answerB, err := b.EnsureRun(t.Context(), req)
	resume.Do(func() { close(release) }) // in case B deleted nothing
	<-doneA

	if err != nil || failedA != nil {
		t.Fatalf("errors %v and %v", failedA, err)
	}
	if answerB.Name != "earlier" || answerA.ID != answerB.ID {
		t.Errorf("A got %s (%s), B got %s (%s)", answerA.ID, answerA.Name, answerB.ID, answerB.Name)
	}
	active, err := b.SearchRuns(t.Context(), mlflow.SearchRunsRequest{ExperimentIDs: []string{"0"}})
	if err != nil || len(active) != 1 || active[0].ID != answerB.ID {
		t.Errorf("active runs %v, error %v; want only %s", active, err, answerB.ID)
	}
}
