package mlflow_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
)

// TestClaimsInAllDisorder lets claimants take each other for dead at once,
// holds their requests up at random, and loses some before and some after the
// server has carried them out. Whatever happens, one of them at most is ever
// told that it holds the model.
func TestClaimsInAllDisorder(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 20
	}
	decided := 0
	for seed := range uint64(seeds) {
		holders := disorderly(t, seed)
		if len(holders) > 1 {
			t.Errorf("seed %d: %v all hold the model", seed, holders)
		}
		decided += len(holders)
	}
	if decided < seeds/2 {
		t.Errorf("of %d races %d had a winner: too few to learn from", seeds, decided)
	}
}

func disorderly(t *testing.T, seed uint64) (holders []string) {
	server := mlflowtest.NewServer("s3://b")
	if seed%4 != 0 { // else the first to come creates the model
		creator := serve(t, server.ServeHTTP, nil)
		if err := creator.EnsureRegisteredModel(t.Context(), "m", "", nil); err != nil {
			t.Fatal(err)
		}
	}
	var lock sync.Mutex
	var running sync.WaitGroup
	for i := range 3 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		claimant := serve(t, unreliable(server, random), func(cfg *mlflow.Config) { cfg.ReadRetries = -1 })
		// The clocks are an hour apart, so a claim of one is long expired for another.
		request := mlflow.ClaimRequest{Model: "m", Owner: fmt.Sprintf("ns-%d/model/m/run", i), Now: time.Unix(int64(i)*3600, 0)}
		running.Go(func() {
			for range 6 {
				_, err := claimant.ClaimModel(t.Context(), request)
				if err == nil {
					lock.Lock()
					holders = append(holders, request.Owner)
					lock.Unlock()
					return
				}
				if errors.Is(err, mlflow.ErrHeld) {
					return
				}
			}
		})
	}
	running.Wait()
	return holders
}

// unreliable is a server whose requests are late, and one in eight of which is
// lost.
func unreliable(server http.Handler, random *rand.Rand) http.HandlerFunc {
	var lock sync.Mutex
	draw := func(n int) int {
		lock.Lock()
		defer lock.Unlock()
		return random.IntN(n)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(draw(600)) * time.Microsecond)
		switch draw(16) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			server.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		server.ServeHTTP(w, r)
	}
}
