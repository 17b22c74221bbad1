package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/mainspring-ml/mainspring/models"
)

func testSpec() models.LifecycleSpec {
	return models.LifecycleSpec{
		Model: models.ModelSpec{Name: "delay"},
		Data: models.DataSpec{Source: "s3://b/data/", Time: "t", Key: "k", Label: "y", Features: []string{"x"},
			Window: 60 * models.Day, Holdout: 14 * models.Day},
		Train: models.TrainSpec{Command: []string{"python", "train.py"}},
	}
}

// scripted is a Temporal that knows one lifecycle: it ends when its second
// status has been asked for.
func scripted(t *testing.T, failure error) *mocks.Client {
	t.Helper()
	asked := make(chan struct{})
	temporal, lifecycle := mocks.NewClient(t), mocks.NewWorkflowRun(t)
	options := client.StartWorkflowOptions{ID: "lifecycle/delay/x", TaskQueue: "mainspring"}
	temporal.On("ExecuteWorkflow", mock.Anything, options, "Lifecycle", testSpec()).Return(lifecycle, nil)
	lifecycle.On("GetID").Return("lifecycle/delay/x")
	lifecycle.On("Get", mock.Anything, mock.Anything).Run(func(args mock.Arguments) {
		<-asked
		*args.Get(1).(*models.LifecycleResult) = models.LifecycleResult{Model: "delay", Version: "3", Promoted: true,
			Reason: "better by 0.07", Gate: models.GateVerdict{Verdict: models.VerdictPass}}
	}).Return(failure)

	answer := func(stage models.Stage, waiting string) *mocks.Value {
		value := mocks.NewEncodedValue(t)
		value.On("Get", mock.Anything).Run(func(args mock.Arguments) {
			*args.Get(0).(*models.LifecycleStatus) = models.LifecycleStatus{Stage: stage, WaitingFor: waiting}
		}).Return(nil).Maybe()
		return value
	}
	query := func() *mock.Call {
		return temporal.On("QueryWorkflow", mock.Anything, "lifecycle/delay/x", "", "status")
	}
	query().Return(nil, errors.New("no worker yet")).Once()
	query().Return(answer(models.StagePrepare, "rows"), nil).Twice()
	query().Run(func(mock.Arguments) { close(asked) }).Return(answer(models.StageTrain, "devices"), nil).Once()
	query().Return(answer(models.StageTrain, "devices"), nil).Maybe()
	return temporal
}

func TestStartAndFollow(t *testing.T) {
	var out bytes.Buffer
	err := startAndFollow(t.Context(), scripted(t, nil), "lifecycle/delay/x", testSpec(), time.Millisecond, &out)
	if err != nil {
		t.Fatal(err)
	}
	want := "started lifecycle/delay/x\n" +
		"prepare: waiting for rows\n" +
		"train: waiting for devices\n" +
		"delay version \"3\": gate pass, promoted true: better by 0.07\n"
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestFailureIsReturned(t *testing.T) {
	failure := errors.New("no usable rows")
	err := startAndFollow(t.Context(), scripted(t, failure), "lifecycle/delay/x", testSpec(), time.Millisecond, &bytes.Buffer{})
	if !errors.Is(err, failure) {
		t.Errorf("error = %v", err)
	}
}

func TestReadSpec(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spec.json")
	write := func(spec models.LifecycleSpec) {
		t.Helper()
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(testSpec())
	if spec, err := readSpec(path); err != nil || spec.Data.Window != 60*models.Day {
		t.Errorf("spec %+v, error %v", spec, err)
	}
	local := testSpec()
	local.Train.Code.Path = "src"
	write(local)
	if _, err := readSpec(path); err == nil || !strings.Contains(err.Error(), "train.code: is the local path \"src\"") {
		t.Errorf("error = %v", err)
	}
}

func TestUsage(t *testing.T) {
	if err := run(context.Background(), nil, &bytes.Buffer{}); err == nil || err.Error() != "name one rendered spec" {
		t.Errorf("error = %v", err)
	}
}
