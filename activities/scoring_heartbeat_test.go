package activities_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// beatCounter counts what an activity heartbeats, before the SDK throttles it.
type beatCounter struct {
	interceptor.WorkerInterceptorBase
	beats atomic.Int64
}

func (c *beatCounter) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &countedActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, counter: c}
}

type countedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	counter *beatCounter
}

func (a *countedActivity) Init(out interceptor.ActivityOutboundInterceptor) error {
	return a.Next.Init(&countedBeats{ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: out}, counter: a.counter})
}

type countedBeats struct {
	interceptor.ActivityOutboundInterceptorBase
	counter *beatCounter
}

func (b *countedBeats) RecordHeartbeat(ctx context.Context, details ...any) {
	b.counter.beats.Add(1)
	b.Next.RecordHeartbeat(ctx, details...)
}

// slowStore answers its first question after two heartbeats, or says that there
// were none.
type slowStore struct {
	artifact.Store
	first   *sync.Once
	counter *beatCounter
	silent  *atomic.Bool
}

func (s slowStore) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	s.first.Do(func() {
		for deadline := time.Now().Add(10 * time.Second); s.counter.beats.Load() < 2; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				s.silent.Store(true)
				return
			}
		}
	})
	return s.Store.Get(ctx, key)
}

// Whatever takes long in between (one batch of a slow model, sorting and
// resampling), the server must not take the worker for dead.
func TestScoringHeartbeatsWhateverItDoes(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	fast := &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}
	measure := measureRequest(t, fast, input)
	predict := models.PredictRowsRequest{Who: "candidate", Artifact: input.Candidate, Data: input.Data, Snapshot: input.Snapshot.Manifest}
	replay{t: t, store: store}.watermark("gw-1", models.Watermark{EventTime: march(6), Closed: true})
	arrived, err := (&activities.Retrainings{Store: store}).FindArrivals(t.Context(), models.ArrivalRequest{Data: shipmentSpec()})
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(*testsuite.TestActivityEnvironment, *activities.Scoring) error{
		"predict": func(env *testsuite.TestActivityEnvironment, s *activities.Scoring) error {
			_, err := env.ExecuteActivity(s.PredictRows, predict)
			return err
		},
		"measure": func(env *testsuite.TestActivityEnvironment, s *activities.Scoring) error {
			_, err := env.ExecuteActivity(s.MeasurePredictions, measure)
			return err
		},
		"blocks": func(env *testsuite.TestActivityEnvironment, s *activities.Scoring) error {
			_, err := env.ExecuteActivity((&activities.Blocks{Store: s.Store}).ScoreBlocks, blocksRequest())
			return err
		},
		"arrivals": func(env *testsuite.TestActivityEnvironment, s *activities.Scoring) error {
			_, err := env.ExecuteActivity((&activities.Retrainings{Store: s.Store}).FindArrivals,
				models.ArrivalRequest{Data: shipmentSpec(), State: &models.ArrivalState{Listing: arrived.Listing}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counter, silent := &beatCounter{}, &atomic.Bool{}
			s := &activities.Scoring{Store: slowStore{store, &sync.Once{}, counter, silent}, Models: fast.Models}
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestActivityEnvironment()
			env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{counter}})
			env.SetTestTimeout(time.Minute)
			env.RegisterActivity(s.PredictRows)
			env.RegisterActivity(s.MeasurePredictions)
			env.RegisterActivity((&activities.Blocks{Store: s.Store}).ScoreBlocks)
			env.RegisterActivity((&activities.Retrainings{Store: s.Store}).FindArrivals)
			if err := run(env, s); err != nil {
				t.Error(err)
			}
			if silent.Load() {
				t.Errorf("%d heartbeats in ten seconds", counter.beats.Load())
			}
		})
	}
}
