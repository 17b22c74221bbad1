package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// Evaluate judges a candidate on rows it has not seen: score it and the
// champion with the serving runtime, decide, and write the figures into the run.
func Evaluate(ctx workflow.Context, input models.EvaluateInput) (models.EvaluateResult, error) {
	var result models.EvaluateResult
	if err := answer(ctx, func() models.EvaluateResult { return result }); err != nil {
		return result, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StageEvaluate)))

	evidence, err := call(heavy(ctx, "Score candidate and champion"), models.Scoring.ScoreModel, input)
	if err != nil {
		return result, err
	}
	result = models.EvaluateResult{Evaluation: evidence, Gate: gate.Decide(input.Spec, input.Data.Task, evidence)}
	publish(ctx, attributeVerdict.ValueSet(string(result.Gate.Verdict)))
	showGate(ctx, input, result)
	return result, recordEvaluation(ctx, input, result)
}

func recordEvaluation(ctx workflow.Context, input models.EvaluateInput, result models.EvaluateResult) error {
	metrics := map[string]float64{}
	for _, m := range []models.Metric{models.LogLoss, models.Brier, models.AUC} {
		if e, ok := result.Evaluation.Candidate[m]; ok {
			metrics["test_"+string(m)] = e.Value
		}
		if e, ok := result.Evaluation.Champion[m]; ok {
			metrics["champion_"+string(m)] = e.Value
		}
	}
	if gain := result.Evaluation.Gain; gain != nil {
		metrics["gain"] = gain.Value
	}
	return do(quick(ctx, "Record the verdict in MLflow"), models.Tracking.FinishRun, models.FinishRunRequest{
		RunID: input.RunID, Status: "FINISHED", EndTime: workflow.Now(ctx), Metrics: metrics,
		Tags: map[string]string{
			"mainspring.gate":        string(result.Gate.Verdict),
			"mainspring.gate_reason": result.Gate.Reason,
		},
	})
}

func showGate(ctx workflow.Context, input models.EvaluateInput, result models.EvaluateResult) {
	var p page
	p.linef("**Gate for %s: %s** — %s", input.Model, result.Gate.Verdict, result.Gate.Reason)
	p.linef("")
	p.linef("%d held-out rows in %d blocks", result.Evaluation.Rows, result.Evaluation.Blocks)
	p.header("check", "verdict", "figure", "limit")
	for _, c := range result.Gate.Checks {
		p.row(c.Name, string(c.Verdict), fmt.Sprintf("%s [%s, %s]", number(c.Figure.Value), number(c.Figure.Low), number(c.Figure.High)), c.Limit)
	}
	p.show(ctx)
}
