package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// Lifecycle carries one candidate from raw data to a verdict: prepare, train,
// evaluate, register, roll out. A candidate that the gate or the canary
// refuses is a result; an error means that no candidate could be judged.
func Lifecycle(ctx workflow.Context, spec models.LifecycleSpec) (models.LifecycleResult, error) {
	l, err := newLifecycle(ctx, spec)
	if err != nil {
		return models.LifecycleResult{}, err
	}
	told := tellLineage(ctx, l.status.Spec.Model.Name, lifecycleJob, models.LineageEvent{
		AsOf: l.status.Spec.Data.AsOf, Inputs: []models.LineageDataset{{URI: l.status.Spec.Data.Source}},
	})
	result, err := l.run(ctx)
	if err != nil && temporal.IsCanceledError(err) {
		l.withdraw(ctx)
	}
	l.close(ctx, result, err)
	told.end(ctx, err, l.writes()...)
	return result, err
}

// writes is what the lifecycle has made, for its lineage.
func (l *lifecycle) writes() (made []models.LineageDataset) {
	if s := l.status.Snapshot; s != nil {
		made = append(made, snapshotTold(*s, ""))
	}
	if t := l.status.Training; t != nil {
		made = append(made, modelTold(t.Artifact))
	}
	return made
}

type lifecycle struct {
	id     string
	status models.LifecycleStatus
	leased float64 // GPU-seconds of the training, however it ended
}

func newLifecycle(ctx workflow.Context, spec models.LifecycleSpec) (*lifecycle, error) {
	spec = spec.WithDefaults()
	if spec.Data.AsOf.IsZero() {
		spec.Data.AsOf = workflow.Now(ctx).UTC()
	}
	l := &lifecycle{
		id: workflow.GetInfo(ctx).WorkflowExecution.ID,
		status: models.LifecycleStatus{
			Spec:    spec,
			Started: map[models.Stage]time.Time{},
			Ended:   map[models.Stage]time.Time{},
		},
	}
	if err := answer(ctx, func() models.LifecycleStatus { return l.status }); err != nil {
		return nil, err
	}
	if err := spec.ValidateResolved(); err != nil {
		return nil, failure(&models.Error{Kind: models.KindInvalidSpec, Message: err.Error(),
			Hint: "correct the spec and start again; `mainspring render` shows what the engine reads"})
	}
	publish(ctx, attributeModel.ValueSet(spec.Model.Name))
	return l, nil
}

func (l *lifecycle) run(ctx workflow.Context) (models.LifecycleResult, error) {
	result := models.LifecycleResult{Model: l.status.Spec.Model.Name}

	snapshot, err := l.prepare(ctx)
	if err != nil {
		return result, err
	}
	result.Snapshot = snapshot.SHA256()

	trained, err := l.train(ctx, snapshot)
	if err != nil {
		return result, err
	}
	result.RunID = trained.RunID

	judged, err := l.evaluate(ctx, snapshot, trained)
	if err != nil {
		return result, err
	}
	result.Gate = judged.Gate
	result.Reason = judged.Gate.Reason
	if judged.Gate.Verdict != models.VerdictPass {
		if gate.Answers(judged.Gate) {
			result.RefusedBy = models.RefusedByGate
		}
		return result, nil // the steward never hears of a refused candidate
	}

	result.Version, err = l.register(ctx, snapshot, trained, judged)
	if err != nil {
		return result, err
	}
	if l.status.Spec.Evaluate.Approval != nil {
		approval, err := l.approve(ctx, result.Version)
		if err != nil {
			return result, err
		}
		if approval.Verdict != models.VerdictPass {
			result.Reason = notApproved(approval)
			if approval.Verdict == models.VerdictFail && approval.By != "" {
				result.RefusedBy = models.RefusedByPerson
			}
			return result, nil
		}
	}

	reply, err := l.rollOut(ctx, result.Version)
	if err != nil {
		return result, err
	}
	result.Promoted, result.Reason, result.RefusedBy = reply.Promoted, reply.Reason, reply.RefusedBy
	return result, nil
}

func (l *lifecycle) prepare(ctx workflow.Context) (models.Snapshot, error) {
	l.enter(ctx, models.StagePrepare, "the data to be prepared")
	defer l.leave(ctx, models.StagePrepare)
	spec := l.status.Spec
	champion, err := l.champion(ctx)
	if err != nil {
		return models.Snapshot{}, err
	}
	input := models.PrepareDataInput{Model: spec.Model.Name, Data: spec.Data,
		Lifecycle: l.id, LifecycleRun: workflow.GetInfo(ctx).WorkflowExecution.RunID}
	if champion != nil && champion.Profile.SHA256 != "" {
		input.Baseline = &models.Baseline{Version: champion.Version, Profile: champion.Profile}
	}
	if champion != nil && champion.Endpoint != "" {
		input.Served = &models.Served{Endpoint: champion.Endpoint, Version: champion.Version}
	}
	snapshot, err := child[models.Snapshot](
		stageOptions(ctx, models.StagePrepare, "Prepare data for "+spec.Model.Name), models.PrepareDataWorkflow, input)
	if err == nil {
		l.status.Snapshot = &snapshot
	}
	return snapshot, err
}

// champion is read anew by each stage that needs it: stages take hours.
func (l *lifecycle) champion(ctx workflow.Context) (*models.ChampionModel, error) {
	read, err := call(quick(ctx, "Read the champion"), models.Entities.ReadChampion,
		models.ReadChampionRequest{Model: l.status.Spec.Model.Name})
	return read.Champion, err
}

func (l *lifecycle) train(ctx workflow.Context, snapshot models.Snapshot) (models.TrainResult, error) {
	l.enter(ctx, models.StageTrain, "devices and the training")
	defer l.leave(ctx, models.StageTrain)
	spec := l.status.Spec
	trained, err := child[models.TrainResult](
		stageOptions(ctx, models.StageTrain, "Train "+spec.Model.Name),
		models.TrainWorkflow, models.TrainInput{
			Model: spec.Model.Name, Train: spec.Train, Snapshot: snapshot, Data: spec.Data,
			Tags: l.runTags(snapshot), Runtime: spec.Evaluate.Predict.Runtime,
		})
	l.leased = trained.Account.Leased()
	if err == nil {
		l.status.Training = &trained
	} else if account, ok := accountOf(err); ok {
		l.leased = account.Leased()
	}
	return trained, err
}

func (l *lifecycle) runTags(snapshot models.Snapshot) map[string]string {
	spec := l.status.Spec
	tags := map[string]string{
		"mainspring.lifecycle":       l.id,
		"mainspring.snapshot_sha256": snapshot.SHA256(),
		"mainspring.code_sha256":     spec.Train.Code.SHA256,
		"mainspring.code_commit":     spec.Train.Code.Commit,
		"mainspring.spec_sha256":     digest(spec),
		"mainspring.as_of":           spec.Data.AsOf.Format(time.RFC3339),
	}
	if spec.Trigger != nil {
		tags["mainspring.trigger"] = string(spec.Trigger.Kind) + ": " + spec.Trigger.Reason
	}
	return tags
}

func (l *lifecycle) evaluate(ctx workflow.Context, snapshot models.Snapshot, trained models.TrainResult) (models.EvaluateResult, error) {
	l.enter(ctx, models.StageEvaluate, "the comparison with the champion")
	defer l.leave(ctx, models.StageEvaluate)
	spec := l.status.Spec
	champion, err := l.champion(ctx)
	if err != nil {
		return models.EvaluateResult{}, err
	}
	judged, err := child[models.EvaluateResult](
		stageOptions(ctx, models.StageEvaluate, "Evaluate "+spec.Model.Name),
		models.EvaluateWorkflow, models.EvaluateInput{
			Model: spec.Model.Name, Spec: spec.Evaluate, Data: spec.Data, Snapshot: snapshot,
			Candidate: trained.Artifact, RunID: trained.RunID, ArtifactURI: artifactsOf(trained.Artifact), OutOfFold: trained.OutOfFold,
			Champion: champion, Train: spec.Train, Seed: 1,
		})
	if err == nil {
		shown := judged.Evaluation
		shown.Checks = nil // the snapshot has them: an answer of more than 32 KiB is packed, and nothing for the stock tools
		l.status.Evaluation, l.status.Gate = &shown, &judged.Gate
		publish(ctx, attributeVerdict.ValueSet(string(judged.Gate.Verdict)))
	}
	return judged, err
}

func (l *lifecycle) register(ctx workflow.Context, snapshot models.Snapshot, trained models.TrainResult, judged models.EvaluateResult) (string, error) {
	l.enter(ctx, models.StageRegister, "the model's steward to register the version")
	defer l.leave(ctx, models.StageRegister)
	spec := l.status.Spec
	request := models.RegisterRequest{
		RequestID: l.id + "/register", ReplyTo: l.id, Spec: spec,
		Candidate: models.Candidate{
			Lifecycle: l.id, LifecycleRun: workflow.GetInfo(ctx).WorkflowExecution.RunID, RunID: trained.RunID,
			Snapshot: snapshot.SHA256(), SnapshotManifest: snapshot.Manifest, Profile: snapshot.Profile, Artifact: trained.Artifact,
			Metrics: judged.Evaluation.Candidate, Gate: gate.Brief(judged.Gate), Summary: judged.Summary, Evidence: judged.Evaluation.Files,
			Reference: judged.Evaluation.Reference, OutOfFold: trained.OutOfFold, HeldOut: judged.Evaluation.Predictions, Devices: trained.Devices, Hosts: trained.Hosts,
			CodeSHA256: spec.Train.Code.SHA256, CodeCommit: spec.Train.Code.Commit, SpecSHA256: digest(spec),
			Trained: models.TimeSpan{Began: l.status.Started[models.StageTrain], Ended: l.status.Ended[models.StageTrain]},
		},
	}
	reply, err := ask[models.RegisterReply](ctx, models.SignalRegistered,
		models.StewardSignal{Model: spec.Model.Name, Register: &request},
		func(r models.RegisterReply) bool { return r.RequestID == request.RequestID })
	if err != nil {
		return "", err
	}
	if reply.Error != "" {
		return "", failure(&models.Error{Kind: cmp.Or(reply.Kind, models.KindModelRejected), Subject: "registry", Message: reply.Error})
	}
	l.status.Version = reply.Version
	publish(ctx, attributeVersion.ValueSet(reply.Version))
	return reply.Version, nil
}

// artifactsOf is the root of the run's artifacts: agents store the model in a
// directory right below it.
func artifactsOf(model models.ModelArtifact) string {
	source := strings.TrimSuffix(model.Source, "/")
	return source[:max(strings.LastIndexByte(source, '/'), 0)]
}

// approve asks a person through the steward, which keeps the question.
func (l *lifecycle) approve(ctx workflow.Context, version string) (models.Approval, error) {
	spec := *l.status.Spec.Evaluate.Approval
	l.enter(ctx, models.StageApprove, fmt.Sprintf("a person's approval, at most %s: `mainspring approve %s %s --reason …`",
		spec.Timeout, l.status.Spec.Model.Name, version))
	defer l.leave(ctx, models.StageApprove)
	request := models.ApprovalRequest{RequestID: l.id + "/approve", ReplyTo: l.id, Version: version, Spec: spec}
	reply, err := ask[models.ApprovalReply](ctx, models.SignalApproved,
		models.StewardSignal{Model: l.status.Spec.Model.Name, RequestApproval: &request},
		func(r models.ApprovalReply) bool { return r.RequestID == request.RequestID })
	if err == nil {
		l.status.Approval = &reply.Approval
		publish(ctx, attributeVerdict.ValueSet(string(reply.Approval.Verdict)))
	}
	return reply.Approval, err
}

func notApproved(a models.Approval) string {
	if a.Verdict == models.VerdictFail && a.By != "" {
		return fmt.Sprintf("rejected by %s: %s", a.By, a.Reason)
	}
	return "not approved: " + a.Reason
}

func (l *lifecycle) rollOut(ctx workflow.Context, version string) (models.RollOutReply, error) {
	what := "the canary's evidence; see " + models.RolloutID(l.status.Spec.Model.Name, version)
	if l.status.Spec.Deploy == nil {
		what = "the model's steward to make it the champion"
	}
	l.enter(ctx, models.StageRollout, what)
	defer l.leave(ctx, models.StageRollout)
	request := models.RollOutRequest{RequestID: l.id + "/roll-out", ReplyTo: l.id, Version: version}
	reply, err := ask[models.RollOutReply](ctx, models.SignalRolledOut,
		models.StewardSignal{Model: l.status.Spec.Model.Name, RollOut: &request},
		func(r models.RollOutReply) bool { return r.RequestID == request.RequestID })
	if err == nil {
		publish(ctx, attributeVerdict.ValueSet(string(reply.Verdict)))
	}
	return reply, err
}

// ask sends a request to the steward and waits for the reply that matches. It
// repeats itself, less and less often: the steward answers a request it has
// carried out already with the same reply.
func ask[Reply any](ctx workflow.Context, signal string, request models.StewardSignal, matches func(Reply) bool) (Reply, error) {
	repeat := 5 * time.Minute
	asking := arriving(quick(ctx, "Ask the steward"))
	channel := workflow.GetSignalChannel(ctx, signal)
	for {
		if err := do(asking, models.Entities.SignalSteward, request); err != nil {
			return *new(Reply), err
		}
		asked := workflow.Now(ctx)
		for {
			var reply Reply
			received, _ := channel.ReceiveWithTimeout(ctx, repeat-workflow.Now(ctx).Sub(asked), &reply)
			if ctx.Err() != nil {
				return reply, ctx.Err()
			}
			if !received {
				// Many may wait behind a canary that takes days, and each repetition is
				// an event in the steward's history.
				repeat = min(2*repeat, time.Hour)
				break
			}
			if matches(reply) {
				return reply, nil
			}
		}
	}
}

// withdraw takes back what the steward was asked for.
func (l *lifecycle) withdraw(ctx workflow.Context) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if l.status.Started[models.StageRegister].IsZero() {
		return
	}
	err := do(quick(ctx, "Withdraw from the steward"), models.Entities.SignalSteward, models.StewardSignal{
		Model:    l.status.Spec.Model.Name,
		Withdraw: &models.Withdrawal{LifecycleID: l.id, Reason: "the lifecycle was cancelled"},
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("steward not told of the withdrawal", "error", err)
	}
}

// close tells the steward how it ended; a retraining may be waiting for that.
func (l *lifecycle) close(ctx workflow.Context, result models.LifecycleResult, failed error) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	closed := models.LifecycleClosed{LifecycleID: l.id, Result: result, GPUSeconds: l.leased}
	l.status.WaitingFor = ""
	if failed != nil {
		closed.Error = reason(failed)
		l.show(ctx, "failed: "+closed.Error)
	} else {
		l.status.Stage = models.StageDone
		l.status.Result = &result
		publish(ctx, attributeStage.ValueSet(string(models.StageDone)))
		l.show(ctx, result.Reason)
	}
	if err := do(quick(ctx, "Report to the steward"), models.Entities.SignalSteward,
		models.StewardSignal{Model: l.status.Spec.Model.Name, LifecycleClosed: &closed}); err != nil {
		workflow.GetLogger(ctx).Error("steward not told of the end", "error", err)
	}
}

func (l *lifecycle) enter(ctx workflow.Context, stage models.Stage, waitingFor string) {
	l.status.Stage, l.status.WaitingFor = stage, waitingFor
	l.status.Started[stage] = workflow.Now(ctx)
	publish(ctx, attributeStage.ValueSet(string(stage)))
	l.show(ctx, "waiting for "+waitingFor)
}

func (l *lifecycle) leave(ctx workflow.Context, stage models.Stage) {
	l.status.Ended[stage] = workflow.Now(ctx)
}

func (l *lifecycle) show(ctx workflow.Context, now string) {
	var p page
	spec := l.status.Spec
	p.linef("**%s** — data as of %s, window %s, %s", spec.Model.Name,
		spec.Data.AsOf.Format(time.DateOnly), spec.Data.Window, heldOut(spec.Data))
	p.linef("")
	p.linef("Now: %s", now)
	p.header("stage", "took", "outcome")
	for _, stage := range []models.Stage{models.StagePrepare, models.StageTrain, models.StageEvaluate, models.StageRegister, models.StageApprove, models.StageRollout} {
		if started, ok := l.status.Started[stage]; ok {
			p.row(string(stage), l.took(stage, started), l.outcome(stage))
		}
	}
	p.show(ctx)
}

func (l *lifecycle) took(stage models.Stage, started time.Time) string {
	if ended, ok := l.status.Ended[stage]; ok {
		return ended.Sub(started).Round(100 * time.Millisecond).String()
	}
	return "running"
}

func (l *lifecycle) outcome(stage models.Stage) string {
	switch s := l.status; {
	case stage == models.StagePrepare && s.Snapshot != nil:
		return prepared(*s.Snapshot)
	case stage == models.StageTrain && s.Training != nil:
		return fmt.Sprintf("run `%s`, %d steps, %d restarts", s.Training.RunID, s.Training.Steps, s.Training.Restarts)
	case stage == models.StageEvaluate && s.Evaluation != nil:
		metric := cmp.Or(s.Spec.Evaluate.Champion.Metric, s.Spec.Data.Task.DefaultMetric())
		return fmt.Sprintf("%s %s; gate: %s", metric, interval(s.Evaluation.Candidate[metric]), s.Gate.Verdict)
	case stage == models.StageApprove && s.Approval != nil:
		return fmt.Sprintf("%s by %s: %s", s.Approval.Verdict, orNone(s.Approval.By), s.Approval.Reason)
	case stage == models.StageRollout && s.Result != nil:
		return s.Result.Reason
	default:
		return ""
	}
}

// heldOut says which rows judge.
func heldOut(data models.DataSpec) string {
	if data.Split.By == models.SplitByHash {
		return fmt.Sprintf("%g %% of the values of %s held out", 100*data.Split.Fraction, data.Split.Column)
	}
	return fmt.Sprintf("last %s held out", data.Holdout)
}

// prepared is snapshotText with the checks that warned.
func prepared(s models.Snapshot) string {
	text := snapshotText(s)
	for _, c := range s.Warnings() {
		text += "; warning: " + c.Message
	}
	return text
}
