package activities_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// lateStore answers after longer than an activity may be silent.
type lateStore struct{ artifact.Store }

const late = 70 * time.Second

func (s lateStore) InBucket(bucket string) artifact.Store { return lateStore{s.Store.InBucket(bucket)} }

func (s lateStore) List(ctx context.Context, prefix string) ([]artifact.Info, error) {
	time.Sleep(late)
	return s.Store.List(ctx, prefix)
}

func (s lateStore) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	time.Sleep(late)
	return s.Store.Get(ctx, key)
}

// A million files are listed for minutes, and so is what a program has left.
func TestPreparationHeartbeatsWhileItLists(t *testing.T) {
	store := shipments(t)
	data := shipmentSpec()
	list, err := (&activities.Prepare{Store: store}).ListPartitions(t.Context(), models.ListPartitionsRequest{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	p := &activities.Prepare{Store: lateStore{store}}
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: data}
	for name, run := range map[string]func(*testsuite.TestActivityEnvironment) error{
		"list": func(env *testsuite.TestActivityEnvironment) error {
			_, err := env.ExecuteActivity(p.ListPartitions, models.ListPartitionsRequest{Data: data})
			return err
		},
		"find": func(env *testsuite.TestActivityEnvironment) error {
			_, err := env.ExecuteActivity(p.FindSnapshot, models.FindSnapshotRequest{Preparation: work})
			return err
		},
		"find transformed": func(env *testsuite.TestActivityEnvironment) error {
			_, err := env.ExecuteActivity(p.FindTransformed, models.FindTransformedRequest{Raw: work, Tasks: list.Tasks[:1]})
			return err
		},
		"list transformed": func(env *testsuite.TestActivityEnvironment) error {
			if _, err := env.ExecuteActivity(p.ListTransformed, models.ListTransformedRequest{Raw: work, Tasks: []models.PartitionTask{{From: 98, To: 99}}}); err == nil {
				return errors.New("what no program has left was found")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				counter := &beatCounter{}
				var suite testsuite.WorkflowTestSuite
				env := suite.NewTestActivityEnvironment()
				env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{counter}})
				env.SetTestTimeout(time.Hour)
				for _, a := range []any{p.ListPartitions, p.FindSnapshot, p.FindTransformed, p.ListTransformed} {
					env.RegisterActivity(a)
				}
				if err := run(env); err != nil {
					t.Error(err)
				}
				if beats := counter.beats.Load(); beats < 4 {
					t.Errorf("%d heartbeats in %s", beats, late)
				}
			})
		})
	}
}
