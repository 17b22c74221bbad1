package mlflowtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

// Connect returns a client of the server under test whose requests go through
// the transport; nil: an ordinary one.
type Connect func(testing.TB, http.RoundTripper) *mlflow.Client

// Run holds the server behind the clients that connect returns against what
// package mlflow promises. Every test works on names of its own, so the server
// may be shared and need not be empty.
func Run(t *testing.T, connect Connect) {
	tests := []struct {
		name string
		test func(*testing.T, suite)
	}{
		{"Ping", testPing},
		{"Experiments", testExperiments},
		{"ExperimentRace", testExperimentRace},
		{"EnsureRun", testEnsureRun},
		{"EnsureRunRace", testEnsureRunRace},
		{"EnsureRunSettles", testEnsureRunSettles},
		{"EnsureRunRestores", testEnsureRunRestores},
		{"UpdateRun", testUpdateRun},
		{"SearchRuns", testSearchRuns},
		{"LogBatch", testLogBatch},
		{"LogLargeBatch", testLogLargeBatch},
		{"LogHeavyBatch", testLogHeavyBatch},
		{"SpecialValues", testSpecialValues},
		{"Datasets", testDatasets},
		{"Artifacts", testArtifacts},
		{"RegisteredModel", testRegisteredModel},
		{"EnsureModelVersion", testEnsureModelVersion},
		{"EnsureModelVersionRace", testEnsureModelVersionRace},
		{"EnsureModelVersionSettles", testEnsureModelVersionSettles},
		{"ModelVersionFacts", testModelVersionFacts},
		{"Aliases", testAliases},
		{"RegistryTags", testRegistryTags},
		{"DeletedVersions", testDeletedVersions},
		{"Claim", testClaim},
		{"ClaimByASuccessor", testClaimByASuccessor},
		{"ClaimRace", testClaimRace},
		{"ClaimLeftByTheDead", testClaimLeftByTheDead},
		{"ClaimTakenOver", testClaimTakenOver},
		{"TurnedAway", testTurnedAway},
		{"LostAnswers", testLostAnswers},
		{"Missing", testMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			t.Cleanup(cancel)
			tt.test(t, suite{ctx: ctx, c: connect(t, nil), connect: connect})
		})
	}
}

type suite struct {
	ctx     context.Context
	c       *mlflow.Client
	connect Connect
}

// startTime is a round time in the past: MLflow keeps milliseconds.
func startTime() time.Time { return time.Date(2013, 7, 1, 12, 0, 0, 0, time.UTC) }

// newKey is random, so that a shared server has not seen it.
func newKey() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func unique(name string) string { return name + "-" + newKey()[:12] }

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v; want one of class %q", err, class)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v; want %v", what, got, want)
	}
}

func (s suite) experiment(t *testing.T) string {
	t.Helper()
	e, err := s.c.EnsureExperiment(s.ctx, unique("suite"), nil)
	return must(t, e, err).ID
}

func (s suite) ensureRun(t *testing.T) mlflow.Run {
	t.Helper()
	run, err := s.c.EnsureRun(s.ctx, mlflow.EnsureRunRequest{
		ExperimentID: s.experiment(t), Key: newKey(), Name: "a run", Start: startTime()})
	return must(t, run, err)
}

// racers is the number of concurrent callers in the races.
const racers = 8

// race calls f concurrently and returns all answers.
func race[T any](t *testing.T, f func() (T, error)) []T {
	t.Helper()
	answers, failures := make([]T, racers), make([]error, racers)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range racers {
		done.Go(func() {
			start.Wait()
			answers[i], failures[i] = f()
		})
	}
	start.Done()
	done.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	return answers
}
