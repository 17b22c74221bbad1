package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/models"
)

// teller gathers the story from the workflows' own status queries: it knows
// nothing that an operator could not ask for.
type teller struct {
	temporal client.Client
	model    string
	endpoint string
	first    string // ID of the lifecycle that the demo started
	began    time.Time

	mu         sync.Mutex
	lifecycles map[string]*LifecycleStory
	order      []string
	steward    models.StewardStatus
	monitor    models.MonitorStatus
	training   *models.RankProgress
	waiting    []string
	events     []Event
	noted      map[string]bool
	clock      func() time.Time // event time of the replay
}

func newTeller(c client.Client, spec models.LifecycleSpec, first string, clock func() time.Time) *teller {
	return &teller{
		temporal: c, model: spec.Model.Name, endpoint: spec.Deploy.Endpoint, first: first, began: time.Now(),
		lifecycles: map[string]*LifecycleStory{}, noted: map[string]bool{}, clock: clock,
	}
}

// gather asks everyone once. A workflow that is not there yet, or a server
// that restarts, leaves the last answer in place.
func (t *teller) gather(ctx context.Context) {
	var steward models.StewardStatus
	var monitor models.MonitorStatus
	haveSteward := t.query(ctx, models.StewardID(t.model), &steward)
	haveMonitor := t.query(ctx, models.MonitorID(t.endpoint), &monitor)
	ids := []string{t.first}
	for _, r := range steward.Retrainings {
		ids = append(ids, r.LifecycleID)
	}
	for _, id := range ids {
		t.gatherLifecycle(ctx, id)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if haveSteward {
		t.steward = steward
	}
	if haveMonitor {
		t.monitor = monitor
	}
	t.noteSteward()
	t.noteMonitor()
}

func (t *teller) gatherLifecycle(ctx context.Context, id string) {
	t.mu.Lock()
	story := t.lifecycles[id]
	t.mu.Unlock()
	if story != nil && (story.Failure != "" || story.Status.Result != nil) && !t.rolloutOpen(story) {
		return
	}
	next := LifecycleStory{ID: id}
	if story != nil {
		next = *story
	}
	if !t.query(ctx, id, &next.Status) {
		return
	}
	next.Failure = t.failureOf(ctx, id)
	var training *models.RankProgress
	if next.Status.Stage == models.StageTrain {
		training = t.progress(ctx, models.StageID(id, models.StageTrain))
		if training != nil && len(training.Curve) > 0 {
			next.Curve = training.Curve
		}
	}
	if next.Status.Training != nil {
		next.Curve = next.Status.Training.Curve
	}
	if version := t.versionOf(id); version != "" {
		var rollout models.RolloutStatus
		if t.query(ctx, models.RolloutID(t.model, version), &rollout) {
			next.Rollout = &rollout
		}
	}
	waiting := t.pendingFailures(ctx, id, next.Status.Stage)

	t.mu.Lock()
	defer t.mu.Unlock()
	if story == nil {
		t.order = append(t.order, id)
	}
	t.lifecycles[id] = &next
	t.training, t.waiting = training, waiting
	t.noteLifecycle(&next)
}

func (t *teller) rolloutOpen(story *LifecycleStory) bool {
	return story.Rollout == nil && story.Status.Result != nil && story.Status.Result.Version != ""
}

func (t *teller) versionOf(lifecycle string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.steward.Versions {
		if v.Candidate.Lifecycle == lifecycle {
			return v.Version
		}
	}
	return ""
}

func (t *teller) query(ctx context.Context, id string, status any) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	answer, err := t.temporal.QueryWorkflow(ctx, id, "", models.StatusQuery)
	return err == nil && answer.Get(status) == nil
}

// failureOf is the message of a lifecycle that ended without a result.
func (t *teller) failureOf(ctx context.Context, id string) string {
	description, err := t.describe(ctx, id)
	if err != nil || description.GetWorkflowExecutionInfo().GetCloseTime() == nil {
		return ""
	}
	if err := t.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
		return rootMessage(err)
	}
	return ""
}

func rootMessage(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func (t *teller) describe(ctx context.Context, id string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return t.temporal.DescribeWorkflowExecution(ctx, id, "")
}

// progress is the heartbeat of rank 0's host.
func (t *teller) progress(ctx context.Context, id string) *models.RankProgress {
	description, err := t.describe(ctx, id)
	if err != nil {
		return nil
	}
	var best *models.RankProgress
	for _, pending := range description.GetPendingActivities() {
		var p models.RankProgress
		if pending.GetHeartbeatDetails() == nil ||
			converter.GetDefaultDataConverter().FromPayloads(pending.GetHeartbeatDetails(), &p) != nil {
			continue
		}
		if best == nil || p.Step > best.Step {
			best = &p
		}
	}
	return best
}

// pendingFailures says what a stage waits for because something does not
// answer: S3, MLflow, a host.
func (t *teller) pendingFailures(ctx context.Context, id string, stage models.Stage) []string {
	var waiting []string
	for _, workflow := range []string{id, models.StageID(id, stage)} {
		description, err := t.describe(ctx, workflow)
		var absent *serviceerror.NotFound
		if errors.As(err, &absent) || err != nil {
			continue
		}
		for _, pending := range description.GetPendingActivities() {
			if failure := pending.GetLastFailure(); failure != nil && pending.GetAttempt() > 1 {
				waiting = append(waiting, fmt.Sprintf("%s, attempt %d: %s", pending.GetActivityType().GetName(), pending.GetAttempt(), failure.GetMessage()))
			}
		}
	}
	return waiting
}

func (t *teller) note(key string, kind EventKind, format string, args ...any) {
	if t.noted[key] {
		return
	}
	t.noted[key] = true
	t.events = append(t.events, Event{
		Wall: time.Since(t.began).Seconds(), EventTime: t.clock(), Kind: kind, Text: fmt.Sprintf(format, args...),
	})
}

func (t *teller) noteLifecycle(l *LifecycleStory) {
	s := l.Status
	name := "lifecycle " + models.DayKey(s.Spec.Data.AsOf)
	if s.Snapshot != nil {
		t.note(l.ID+"/snapshot", EventStage, "%s: %d rows to train, %d to test (snapshot %.8s)", name, s.Snapshot.Train.Rows, s.Snapshot.Test.Rows, s.Snapshot.SHA256())
	}
	if s.Training != nil {
		t.note(l.ID+"/trained", EventStage, "%s: trained on %d devices, %d steps, %d restarts", name, len(s.Training.Devices), s.Training.Steps, s.Training.Restarts)
	}
	if s.Evaluation != nil {
		t.note(l.ID+"/evaluated", EventStage, "%s: log-loss %.4f, AUC %.3f on %d held-out rows", name,
			s.Evaluation.Candidate[models.LogLoss].Value, s.Evaluation.Candidate[models.AUC].Value, s.Evaluation.Rows)
	}
	if s.Result != nil && s.Result.Version == "" {
		t.note(l.ID+"/refused", EventRefused, "%s: refused by the gate: %s", name, s.Result.Reason)
	}
	if l.Failure != "" {
		t.note(l.ID+"/failed", EventFailure, "%s failed: %s", name, l.Failure)
	}
}

func (t *teller) noteSteward() {
	for _, r := range t.steward.Records {
		kind := EventStage
		switch r.Action {
		case models.ActionPromoted:
			kind = EventPromoted
		case models.ActionRolledBack, models.ActionRefused, models.ActionRetrainRefused, models.ActionRejected,
			models.ActionApprovalExpired, models.ActionAliasMoved:
			kind = EventRefused
		case models.ActionRegistered, models.ActionRolloutStarted, models.ActionRolloutOrdered, models.ActionRetrainStarted, models.ActionRetrainEnded,
			models.ActionClaimed, models.ActionApprovalAsked, models.ActionApproved, models.ActionAliasesRestored, models.ActionAliasesAdopted:
		}
		about := ""
		if r.Version != "" {
			about = " version " + r.Version
		}
		t.note(fmt.Sprintf("record/%d", r.Sequence), kind, "steward: %s%s: %s", r.Action, about, r.Reason)
	}
}

func (t *teller) noteMonitor() {
	for _, a := range t.monitor.Alarms {
		t.note(a.RequestID, EventAlarm, "alarm on %s: %s", models.DayKey(a.Block), monitorview.AlarmFigures(a))
		if a.Explanation != nil {
			t.note(a.RequestID+"/explained", EventAlarm, "why: %s", a.Explanation.Words)
		}
	}
}

// holdReason says why the replay's clock must stand still; empty: it may run.
// Event time runs while a canary needs traffic, and while an alarm waits for a
// cooldown or a person; it stands while a retraining that takes minutes at real
// speed is being prepared.
func (t *teller) holdReason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.steward.Retrainings {
		if r.Ended {
			continue
		}
		l := t.lifecycles[r.LifecycleID]
		if l == nil {
			return "a retraining starts"
		}
		if l.Status.Stage == models.StageRollout {
			return ""
		}
		return "a retraining is in stage " + string(l.Status.Stage)
	}
	for _, a := range t.monitor.Alarms {
		if a.RequestID == t.monitor.Pending && a.State == models.AlarmAsked {
			return "an alarm is being answered"
		}
	}
	return ""
}

// nextBlock is the start of the block that the monitor judges next.
func (t *teller) nextBlock() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.monitor.Next
}

// tell is everything known, as the report has it.
func (t *teller) tell(story *Story) {
	t.mu.Lock()
	defer t.mu.Unlock()
	story.Model, story.Endpoint = t.model, t.endpoint
	story.Alarms, story.Blocks, story.Records, story.Events = t.monitor.Alarms, t.monitor.Blocks, t.steward.Records, t.events
	story.Ahead = t.monitor.Ahead
	story.Detectors = nil
	for _, d := range t.monitor.Detector.Detectors {
		// The losses that it knows are in the blocks.
		story.Detectors = append(story.Detectors, models.Detector{Spec: d.Spec, Alpha: d.Alpha, Threshold: d.Threshold, Observed: d.Observed, Value: d.Value})
	}
	story.ModelVersions = []Version{}
	for _, v := range t.steward.Versions {
		story.ModelVersions = append(story.ModelVersions, t.versionStory(v))
	}
	story.Retrains = []Retrain{}
	for _, r := range t.steward.Retrainings {
		story.Retrains = append(story.Retrains, Retrain{
			Trigger: string(r.Trigger.Kind) + ": " + r.Trigger.Reason, AsOf: r.AsOf, Promoted: r.Promoted,
			Reason: r.Reason, Lifecycle: r.LifecycleID, Version: r.Version,
		})
	}
	story.Lifecycles = nil
	story.WorkflowIDs = []string{models.StewardID(t.model), models.MonitorID(t.endpoint), models.PoolID(models.DefaultPool)}
	for _, id := range t.order {
		story.Lifecycles = append(story.Lifecycles, *t.lifecycles[id])
		story.WorkflowIDs = append(story.WorkflowIDs, id)
	}
	slices.Sort(story.WorkflowIDs)
}

func (t *teller) versionStory(v models.ModelVersion) Version {
	told := Version{
		Version: v.Version, RunID: v.Candidate.RunID, SnapshotSHA256: v.Candidate.Snapshot,
		Metrics: map[string]float64{}, URL: v.URL, Lifecycle: v.Candidate.Lifecycle,
	}
	if v.Signature != nil {
		told.SigningKey = v.Signature.KeyID
	}
	for name, e := range v.Candidate.Metrics {
		told.Metrics[string(name)] = e.Value
	}
	switch v.Version {
	case t.steward.Champion:
		told.Alias = models.AliasChampion
	case t.steward.Challenger:
		told.Alias = models.AliasChallenger
	case t.steward.Previous:
		told.Alias = models.AliasPrevious
	}
	for _, b := range t.monitor.Blocks {
		if b.Version == v.Version && b.Conclusive {
			told.Since = b.Start
			break
		}
	}
	return told
}

// scene fills in what the teller knows of the moment.
func (t *teller) scene(s *Scene) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Steward, s.Monitor, s.Training, s.Waiting = t.steward, t.monitor, t.training, t.waiting
	s.Events = slices.Clone(t.events)
	if n := len(t.order); n > 0 {
		current := *t.lifecycles[t.order[n-1]]
		s.Current = &current
	}
}

// artifact is the champion's model.
func (t *teller) artifact() *models.ModelArtifact {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.steward.Versions {
		if v.Version == t.steward.Champion {
			return &v.Candidate.Artifact
		}
	}
	return nil
}
