package testenv_test

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

const minutesModel = "flight-minutes"

// minutes is the example of a regression that only Python can load, cut down
// to three weeks.
func minutes(t *testing.T) models.LifecycleSpec {
	t.Helper()
	root, err := filepath.Abs("../examples/pyfunc")
	require.NoError(t, err)
	document, err := spec.Read(filepath.Join(root, "lifecycle.yaml"))
	require.NoError(t, err)
	s, small := document.Spec, flights(t)
	s.Data.Source, s.Data.AsOf, s.Data.Window, s.Data.Holdout = small.Data.Source, small.Data.AsOf, small.Data.Window, small.Data.Holdout
	s.Train.Code.Path = root
	s.Train.Environment.Requirements.Path = filepath.Join(root, "requirements.txt")
	return s
}

// gates lets each runtime answer for the gate, on a device and without, and a
// person decide about the release.
func gates(ctx context.Context, t *testing.T, l *laptop) {
	first := l.start(ctx, t, minutes(t))
	l.awaitsApproval(ctx, t, first)
	out := string(l.output(ctx, t, "mainspring", "approve", minutesModel, "--reason", "small errors on long flights too", "--by", "ada", "--state-dir", l.StateDir()))
	require.Contains(t, out, "approved")
	result := l.ended(ctx, t, first)
	require.True(t, result.Promoted, result.Reason)
	require.Equal(t, "1", result.Version)
	aliased(ctx, t, l, "champion", "1")
	l.judgedBy(ctx, t, first, models.RuntimePyfunc)

	t.Run("CommandOnALease", func(t *testing.T) { refusedOnALease(ctx, t, l) })
	t.Run("Rejected", func(t *testing.T) { rejected(ctx, t, l) })
	t.Run("BadPredictions", func(t *testing.T) { badPredictions(ctx, t, l) })
	t.Run("RollBackAndAudit", func(t *testing.T) { rollBackAndAudit(ctx, t, l) })
}

// refusedOnALease spoils the model; the spec's own program, on a leased device,
// shows it to the gate.
func refusedOnALease(ctx context.Context, t *testing.T, l *laptop) {
	s := minutes(t)
	s.Train.Params = map[string]any{"minutes_off": 60}
	s.Evaluate.Predict = models.PredictSpec{Runtime: models.RuntimeCommand, Command: []string{"python", "predict.py"},
		Resources: &models.Resources{Nodes: 1, GPUsPerNode: 1}}
	id := l.start(ctx, t, s)
	result := l.ended(ctx, t, id)
	require.Equal(t, models.VerdictFail, result.Gate.Verdict, result.Gate.Reason)
	require.Contains(t, result.Reason, "rmse")
	require.Empty(t, result.Version)
	evaluation := l.judgedBy(ctx, t, id, models.RuntimeCommand)
	require.Less(t, evaluation.Gain.High, 0.0, "worse than the champion on the same rows")
	holders, err := l.leases(ctx)
	require.NoError(t, err)
	require.NotContains(t, holders, models.StageID(id, models.StageEvaluate), "the device is given back")
}

func rejected(ctx context.Context, t *testing.T, l *laptop) {
	id := l.start(ctx, t, minutes(t))
	l.awaitsApproval(ctx, t, id)
	l.output(ctx, t, "mainspring", "reject", minutesModel, "--reason", "not before the holidays", "--by", "ada", "--state-dir", l.StateDir())
	result := l.ended(ctx, t, id)
	require.False(t, result.Promoted)
	require.Equal(t, "rejected by ada: not before the holidays", result.Reason)
	require.Equal(t, "2", result.Version, "it stays registered")
	aliased(ctx, t, l, "champion", "1")
}

// badPredictions looks at each mistake as the user does.
func badPredictions(ctx context.Context, t *testing.T, l *laptop) {
	for name, mistake := range map[string]struct {
		command []string
		says    []string
	}{
		"no such command": {[]string{"no-such-program"}, []string{"command not found", "no-such-program"}},
		"exits 1":         {[]string{"sh", "-c", "echo the oven is cold >&2; exit 1"}, []string{"exit status 1", "the oven is cold"}},
		"writes nothing":  {[]string{"true"}, []string{"MAINSPRING_PREDICTIONS"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := minutes(t)
			s.Evaluate.Predict = models.PredictSpec{Runtime: models.RuntimeCommand, Command: mistake.command}
			id := models.LifecycleID(s.Model.Name, strings.ReplaceAll(name, " ", "-"))
			output, err := l.command(ctx, "mainspring", "run", "-f", write(t, s), "--state-dir", l.StateDir(), "--id", id).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "%s", output)
			require.Equal(t, 1, exit.ExitCode(), "%s", output)
			require.Contains(t, string(output), "failed in "+models.EvaluateWorkflow)
			for _, words := range mistake.says {
				require.Contains(t, string(output), words)
			}
		})
	}
}

// rollBackAndAudit promotes a second version, goes back to the first, moves an
// alias behind the steward's back, and reads what the record says of all that.
func rollBackAndAudit(ctx context.Context, t *testing.T, l *laptop) {
	s := minutes(t)
	s.Evaluate.Approval = nil
	id := l.start(ctx, t, s)
	result := l.ended(ctx, t, id)
	require.True(t, result.Promoted, result.Reason)
	aliased(ctx, t, l, "champion", result.Version)
	aliased(ctx, t, l, "previous", "1")

	l.output(ctx, t, "mainspring", "rollback", minutesModel, "--reason", "complaints", "--by", "ada", "--state-dir", l.StateDir())
	aliased(ctx, t, l, "champion", "1")
	aliased(ctx, t, l, "previous", result.Version)

	require.NoError(t, l.mlflow.SetAlias(ctx, minutesModel, "champion", "2"))
	report := string(l.output(ctx, t, "mainspring", "aliases", minutesModel, "--state-dir", l.StateDir()))
	require.Regexp(t, `champion\s+1\s+2`, report)
	aliased(ctx, t, l, "champion", "2") // reported, not overwritten
	l.output(ctx, t, "mainspring", "aliases", minutesModel, "--restore", "--reason", "by mistake", "--by", "ada", "--state-dir", l.StateDir())
	aliased(ctx, t, l, "champion", "1")

	require.Contains(t, string(l.output(ctx, t, "mainspring", "audit", "verify", minutesModel, "--state-dir", l.StateDir())), "unbroken")
	var did []models.Action
	for _, line := range strings.Split(strings.TrimSpace(string(l.output(ctx, t, "mainspring", "audit", minutesModel, "--json", "--state-dir", l.StateDir()))), "\n") {
		var r models.Record
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		did = append(did, r.Action)
	}
	for _, action := range []models.Action{models.ActionClaimed, models.ActionRegistered, models.ActionApproved, models.ActionRejected,
		models.ActionPromoted, models.ActionRolledBack, models.ActionAliasMoved, models.ActionAliasesRestored} {
		require.Contains(t, did, action)
	}
}

func (l *laptop) awaitsApproval(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	eventually(t, 2*patience, func() (bool, any) { // a first run builds a Python environment
		var status models.LifecycleStatus
		err := l.query(ctx, id, &status)
		return err == nil && status.Stage == models.StageApprove, []any{status.Stage, status.WaitingFor, err}
	})
}

func (l *laptop) ended(ctx context.Context, t *testing.T, id string) (result models.LifecycleResult) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, errors.New("the lifecycle has not ended"))
	defer cancel()
	require.NoError(t, l.temporal.GetWorkflow(ctx, id, "").Get(ctx, &result))
	return result
}

// judgedBy wants the evidence complete: figures, slices, cost, and files that
// MLflow shows.
func (l *laptop) judgedBy(ctx context.Context, t *testing.T, id string, runtime models.Runtime) models.Evaluation {
	t.Helper()
	var status models.LifecycleStatus
	require.NoError(t, l.query(ctx, id, &status))
	e := status.Evaluation
	require.NotNil(t, e)
	require.Contains(t, e.Candidate, models.RMSE)
	require.NotEmpty(t, e.Slices)
	require.Equal(t, runtime, e.Serving.Runtime)
	require.NotNil(t, e.Serving.Latency, "the latency of single rows")
	listed, err := l.mlflow.ListArtifacts(ctx, status.Training.RunID, "evaluation")
	require.NoError(t, err)
	var names []string
	for _, f := range listed.Files {
		names = append(names, f.Path)
	}
	require.Contains(t, names, "evaluation/gate.md")
	require.Contains(t, names, "evaluation/evaluation.json")
	return *e
}

func aliased(ctx context.Context, t *testing.T, l *laptop, alias, version string) {
	t.Helper()
	found, err := l.mlflow.VersionByAlias(ctx, minutesModel, alias)
	require.NoError(t, err)
	require.Equal(t, version, found.Version, alias)
}
