package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/exhibit"
	"github.com/mainspring-ml/mainspring/models"
)

// Evaluate judges a candidate on rows it has not seen: it and the champion
// answer them with what would serve them, the answers become evidence, the
// gate decides, and the figures go into the run.
func Evaluate(ctx workflow.Context, input models.EvaluateInput) (models.EvaluateResult, error) {
	input.Spec = input.Spec.WithDefaultsFor(input.Data.Task)
	e := &evaluating{input: input}
	e.desk = &hostDesk{leaseDesk: newLeaseDesk(ctx), waitFor: e.waitFor}
	e.desk.changed = e.show
	if err := answer(ctx, func() models.EvaluateStatus { return e.status() }); err != nil {
		return e.result, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StageEvaluate)))
	told := tellLineage(ctx, input.Model, "evaluate", e.reads())
	err := e.judge(ctx)
	told.end(ctx, err)
	return e.result, err
}

// judge decides, and says so in MLflow.
func (e *evaluating) judge(ctx workflow.Context) error {
	if err := e.run(ctx); err != nil {
		e.closeRun(ctx, err)
		return err
	}
	publish(ctx, attributeVerdict.ValueSet(string(e.result.Gate.Verdict)))
	e.waitFor(ctx, "", "MLflow to record the verdict")
	err := recordEvaluation(ctx, e.input, e.result)
	e.waitFor(ctx, "", "")
	return err
}

// reads is what the evaluation is made of.
func (e *evaluating) reads() models.LineageEvent {
	inputs := []models.LineageDataset{snapshotTold(e.input.Snapshot, testSide), modelTold(e.input.Candidate)}
	if c := e.input.Champion; c != nil {
		inputs = append(inputs, modelTold(c.Artifact))
	}
	return models.LineageEvent{Inputs: inputs}
}

type evaluating struct {
	input   models.EvaluateInput
	desk    *hostDesk
	result  models.EvaluateResult
	waiting string
	asking  string // the pool request that waits; empty: none
	judged  bool
}

// run lets one model answer after the other: side by side they would slow each
// other down, and the latency that is measured would not be theirs.
func (e *evaluating) run(ctx workflow.Context) error {
	request := models.MeasureRequest{Input: e.input}
	if c := e.input.Champion; c != nil {
		if err := gate.Comparable(e.input.Data, *c); err != nil {
			return failure(err)
		}
	}
	var err error
	if request.Candidate, err = e.predict(ctx, e.candidate()); err != nil {
		return err
	}
	if e.input.Champion != nil {
		champion, err := e.predict(ctx, e.champion())
		if err != nil {
			return err
		}
		request.Champion = &champion
	}
	e.waitFor(ctx, "", "the answers to be measured")
	evidence, err := call(heavy(ctx, "Measure the answers"), models.Scoring.MeasurePredictions, request)
	if err != nil {
		return err
	}
	e.result = models.EvaluateResult{
		Evaluation: evidence, Gate: gate.Decide(e.input.Spec, e.input.Data.Task, evidence),
		Summary: exhibit.Summarize(e.input, evidence),
	}
	e.judged = true
	return nil
}

func (e *evaluating) candidate() models.PredictRowsRequest {
	return models.PredictRowsRequest{
		Who: "candidate", Artifact: e.input.Candidate, Predict: e.input.Spec.Predict, Prediction: e.input.Spec.Prediction,
		Data: e.input.Data, Snapshot: e.input.Snapshot.Manifest, Train: e.input.Train, RunID: e.input.RunID,
	}
}

// champion answers the same rows the way its own spec says.
func (e *evaluating) champion() models.PredictRowsRequest {
	c := e.input.Champion
	return models.PredictRowsRequest{
		Who: "champion (version " + c.Version + ")", Artifact: c.Artifact, Predict: c.Predict, Prediction: c.Prediction,
		Data: e.input.Data, Snapshot: e.input.Snapshot.Manifest, Train: c.Train, RunID: e.input.RunID,
	}
}

func (e *evaluating) status() models.EvaluateStatus {
	waiting := e.waiting
	if e.asking != "" {
		if why := e.desk.waitingReason(e.asking); why != "" {
			waiting += ": " + why
		}
	}
	return models.EvaluateStatus{EvaluateResult: e.result, Waiting: waiting}
}

// waitFor says what is waited for; request is the pool's, if one is asked.
func (e *evaluating) waitFor(ctx workflow.Context, request, what string) {
	e.asking, e.waiting = request, what
	e.show(ctx)
}

// closeRun says in MLflow that the candidate was not judged: the training has left
// its run open.
func (e *evaluating) closeRun(ctx workflow.Context, cause error) {
	status := "FAILED"
	if temporal.IsCanceledError(cause) {
		status = "KILLED"
	}
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	err := do(quick(ctx, "Close the MLflow run"), models.Tracking.FinishRun, models.FinishRunRequest{
		RunID: e.input.RunID, Status: status, EndTime: workflow.Now(ctx),
		Tags: map[string]string{"mainspring.failure": clip(reason(cause), tagLimit)},
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("run not closed", "run", e.input.RunID, "error", err)
	}
}

func recordEvaluation(ctx workflow.Context, input models.EvaluateInput, result models.EvaluateResult) error {
	metrics := map[string]float64{}
	for _, m := range input.Data.Task.Metrics() {
		if e, ok := result.Evaluation.Candidate[m]; ok {
			metrics["test_"+string(m)] = e.Value
		}
		if e, ok := result.Evaluation.Champion[m]; ok {
			metrics["champion_"+string(m)] = e.Value
		}
		if e, ok := result.Evaluation.Gains[m]; ok {
			metrics["gain_"+string(m)] = e.Value
		}
	}
	if gain := result.Evaluation.Gain; gain != nil {
		metrics["gain"] = gain.Value
	}
	if s := result.Evaluation.Serving; s != nil {
		metrics["serving_size_bytes"] = float64(s.SizeBytes)
		if s.Latency != nil {
			metrics["serving_p50_ms"], metrics["serving_p99_ms"] = s.Latency.P50Millis, s.Latency.P99Millis
		}
	}
	return do(quick(ctx, "Record the verdict in MLflow"), models.Tracking.FinishRun, models.FinishRunRequest{
		RunID: input.RunID, Status: "FINISHED", EndTime: workflow.Now(ctx), Metrics: metrics,
		Tags: map[string]string{
			"mainspring.gate":        string(result.Gate.Verdict),
			"mainspring.gate_reason": result.Gate.Reason,
		},
	})
}

// checksShown bounds the gate's table in the UI: with many slices it is long.
const checksShown = 30

func (e *evaluating) show(ctx workflow.Context) {
	var p page
	if !e.judged {
		p.linef("**Evaluation of %s**", e.input.Model)
		p.linef("")
		p.linef("Waits for %s", e.status().Waiting)
		p.show(ctx)
		return
	}
	verdict, evidence := e.result.Gate, e.result.Evaluation
	p.linef("**Gate for %s: %s** — %s", e.input.Model, verdict.Verdict, verdict.Reason)
	p.linef("")
	p.linef("%d held-out rows in %d blocks", evidence.Rows, evidence.Blocks)
	if s := evidence.Serving; s != nil && s.Latency != nil {
		p.linef("")
		p.linef("Served by %s: one row takes %s ms (p50), %s ms (p99)", s.Runtime, number(s.Latency.P50Millis), number(s.Latency.P99Millis))
	}
	p.header("check", "verdict", "figure", "champion", "limit")
	checks := worstFirst(verdict.Checks)
	for _, c := range checks[:min(len(checks), checksShown)] {
		p.row(checkName(c), string(c.Verdict), interval(c.Figure), intervalOrNone(c.Champion), c.Limit)
	}
	if more := len(checks) - checksShown; more > 0 {
		p.linef("")
		p.linef("%d more passed; all are in the run's evaluation/gate.md", more)
	}
	p.show(ctx)
}

// worstFirst keeps the order of checks with the same verdict; those without one
// inform only and come last.
func worstFirst(checks []models.GateCheck) []models.GateCheck {
	sorted := slices.Clone(checks)
	slices.SortStableFunc(sorted, func(a, b models.GateCheck) int { return a.Verdict.Rank() - b.Verdict.Rank() })
	return sorted
}

func checkName(c models.GateCheck) string {
	if c.Slice == "" {
		return c.Name
	}
	return c.Name + ", " + c.Slice
}

func interval(e models.Estimate) string {
	if e.Low == e.Value && e.High == e.Value {
		return number(e.Value)
	}
	return fmt.Sprintf("%s [%s, %s]", number(e.Value), number(e.Low), number(e.High))
}

func intervalOrNone(e *models.Estimate) string {
	if e == nil {
		return ""
	}
	return interval(*e)
}
