package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// register creates the version and marks it as challenger. A request seen
// before gets its answer again.
func (s *steward) register(ctx workflow.Context, request models.RegisterRequest) {
	for _, v := range s.state.Versions {
		if v.Candidate.Lifecycle == request.Candidate.Lifecycle && v.Candidate.RunID == request.Candidate.RunID {
			s.reply(ctx, request.ReplyTo, models.SignalRegistered,
				models.RegisterReply{RequestID: request.RequestID, Version: v.Version, URL: v.URL})
			return
		}
	}
	s.doing = "registering the candidate of " + request.Candidate.Lifecycle
	s.show(ctx)
	registered, err := call(quick(ctx, "Register the version"), models.Registry.CreateModelVersion, models.CreateModelVersionRequest{
		Key: digest(s.state.Model, request.RequestID, request.Candidate.RunID), Model: s.state.Model, ModelNote: request.Spec.Model.Description,
		Source: request.Candidate.Artifact.Source, RunID: request.Candidate.RunID,
		Description: describe(request.Candidate), Tags: versionTags(request.Candidate),
	})
	if err == nil {
		err = do(quick(ctx, "Alias challenger"), models.Registry.MoveAliases, models.MoveAliasesRequest{
			Model: s.state.Model, Aliases: map[string]string{models.AliasChallenger: registered.Version}})
	}
	if err != nil {
		s.record(ctx, models.ActionRefused, "", request.Candidate.Lifecycle, "registration failed: "+reason(err))
		s.reply(ctx, request.ReplyTo, models.SignalRegistered, models.RegisterReply{RequestID: request.RequestID, Error: reason(err)})
		return
	}
	s.state.Challenger = registered.Version
	s.state.Versions = append(s.state.Versions, models.ModelVersion{
		Version: registered.Version, URL: registered.URL, RegisteredAt: workflow.Now(ctx),
		Candidate: request.Candidate, Spec: request.Spec,
	})
	s.record(ctx, models.ActionRegistered, registered.Version, request.Candidate.Lifecycle, request.Candidate.Gate.Reason)
	s.reply(ctx, request.ReplyTo, models.SignalRegistered,
		models.RegisterReply{RequestID: request.RequestID, Version: registered.Version, URL: registered.URL})
}

// rollOut releases a registered version behind a canary and carries out the
// verdict.
func (s *steward) rollOut(ctx workflow.Context, request models.RollOutRequest) {
	for _, done := range s.state.RolledOut {
		if done.RequestID == request.RequestID {
			s.reply(ctx, request.ReplyTo, models.SignalRolledOut, done)
			return
		}
	}
	answer := models.RollOutReply{RequestID: request.RequestID, Version: request.Version, Verdict: models.VerdictFail}
	candidate := s.version(request.Version)
	switch {
	case candidate == nil:
		answer.Reason = fmt.Sprintf("version %s of %s is not known here; register it first", request.Version, s.state.Model)
	case candidate.Spec.Deploy == nil:
		answer.Reason = "the spec has no deploy section"
	default:
		result := s.runRollout(ctx, *candidate)
		if result.Verdict == models.VerdictPass {
			s.promote(ctx, *candidate, result)
		} else {
			s.rollBack(ctx, *candidate, result)
		}
		answer.Verdict, answer.Reason, answer.Promoted = result.Verdict, result.Reason, result.Verdict == models.VerdictPass
	}
	s.state.RolledOut = append(s.state.RolledOut, answer)
	s.reply(ctx, request.ReplyTo, models.SignalRolledOut, answer)
}

// runRollout runs the child. A rollout that failed, was cancelled or was
// terminated is a failed canary: its traffic goes back to the champion.
func (s *steward) runRollout(ctx workflow.Context, candidate models.ModelVersion) models.RolloutResult {
	s.doing = "rolling out version " + candidate.Version
	s.record(ctx, models.ActionRolloutStarted, candidate.Version, candidate.Candidate.Lifecycle, candidate.Candidate.Gate.Reason)
	s.show(ctx)
	running, cancel := workflow.WithCancel(ctx)
	defer cancel()
	s.releases[candidate.Candidate.Lifecycle] = cancel
	defer delete(s.releases, candidate.Candidate.Lifecycle)

	route, err := call(quick(ctx, "Read the route"), models.Routing.ReadRoute, candidate.Spec.Deploy.Endpoint)
	if err != nil {
		return models.RolloutResult{Verdict: models.VerdictFail, Reason: "the route can't be read: " + reason(err)}
	}
	result, err := child[models.RolloutResult](rolloutOptions(running, s.state.Model, candidate.Version), models.RolloutWorkflow, models.RolloutInput{
		Model: s.state.Model, Deploy: *candidate.Spec.Deploy, Candidate: candidate, Champion: s.state.Champion, Generation: route.Generation,
	})
	if err != nil {
		return models.RolloutResult{Verdict: models.VerdictFail, Reason: "the rollout ended early: " + reason(err)}
	}
	return result
}

// promote is the saga registry → alias → route → servers → monitor. Each step
// is idempotent and retried until it is done, so a crash anywhere in between
// is carried to completion.
func (s *steward) promote(ctx workflow.Context, candidate models.ModelVersion, result models.RolloutResult) {
	old := s.state.Champion
	s.must(ctx, do(quick(ctx, "Tag the version"), models.Registry.TagModelVersion, models.TagModelVersionRequest{
		Model: s.state.Model, Version: candidate.Version,
		Tags: map[string]string{"mainspring.rollout": string(result.Verdict), "mainspring.rollout_reason": result.Reason},
	}))
	s.must(ctx, do(quick(ctx, "Aliases champion and previous"), models.Registry.MoveAliases, models.MoveAliasesRequest{
		Model: s.state.Model, Aliases: map[string]string{
			models.AliasChampion: candidate.Version, models.AliasPrevious: old, models.AliasChallenger: "",
		}}))
	s.routeTo(ctx, candidate.Spec.Deploy.Endpoint, candidate.Version, "version "+candidate.Version+" promoted: "+result.Reason)
	s.state.Champion, s.state.Previous, s.state.Challenger = candidate.Version, old, ""
	s.record(ctx, models.ActionPromoted, candidate.Version, candidate.Candidate.Lifecycle, result.Reason)
	if old != "" && old != candidate.Version {
		s.stopServing(ctx, candidate.Spec.Deploy.Endpoint, old, "version "+candidate.Version+" took over")
	}
	s.watchChampion(ctx, candidate)
}

// rollBack gives all traffic back to the champion, then ends the candidate.
func (s *steward) rollBack(ctx workflow.Context, candidate models.ModelVersion, result models.RolloutResult) {
	s.routeTo(ctx, candidate.Spec.Deploy.Endpoint, s.state.Champion, "version "+candidate.Version+" rolled back: "+result.Reason)
	s.must(ctx, do(quick(ctx, "Drop alias challenger"), models.Registry.MoveAliases, models.MoveAliasesRequest{
		Model: s.state.Model, Aliases: map[string]string{models.AliasChallenger: ""}}))
	s.must(ctx, do(quick(ctx, "Tag the version"), models.Registry.TagModelVersion, models.TagModelVersionRequest{
		Model: s.state.Model, Version: candidate.Version,
		Tags: map[string]string{"mainspring.rollout": string(result.Verdict), "mainspring.rollout_reason": result.Reason},
	}))
	s.state.Challenger = ""
	s.stopServing(ctx, candidate.Spec.Deploy.Endpoint, candidate.Version, "rolled back: "+result.Reason)
	s.record(ctx, models.ActionRolledBack, candidate.Version, candidate.Candidate.Lifecycle, result.Reason)
}

// routeTo publishes the route after whichever is in place: a rollout that
// ended early may have published more than it could report.
func (s *steward) routeTo(ctx workflow.Context, endpoint, version, why string) {
	for {
		current, err := call(quick(ctx, "Read the route"), models.Routing.ReadRoute, endpoint)
		if err == nil {
			route := models.Route{Endpoint: endpoint, Model: s.state.Model, Generation: current.Generation + 1, Arms: []models.Arm{}, Reason: why}
			if version != "" {
				route.Arms = append(route.Arms, models.Arm{Version: version, Role: models.RoleChampion, Weight: 1})
			}
			err = do(quick(ctx, "Route: "+why), models.Routing.PublishRoute, route)
		}
		if err == nil || kindOf(err) != models.KindStaleRoute {
			s.must(ctx, err)
			return
		}
	}
}

func (s *steward) stopServing(ctx workflow.Context, endpoint, version, why string) {
	s.reply(ctx, models.ServeID(endpoint, version), models.SignalStop, models.StopServe{Reason: why})
}

func (s *steward) watchChampion(ctx workflow.Context, champion models.ModelVersion) {
	if champion.Spec.Monitor == nil {
		return
	}
	s.must(ctx, do(quick(ctx, "Watch the champion"), models.Entities.SignalMonitor, models.MonitorSignal{
		Endpoint: champion.Spec.Deploy.Endpoint,
		Watch: &models.WatchRequest{
			RequestID: champion.Candidate.Lifecycle + "/watch", Model: s.state.Model, Version: champion.Version,
			Reference: champion.Candidate.Reference, Data: champion.Spec.Data, Spec: *champion.Spec.Monitor,
			Prediction: champion.Spec.Evaluate.Prediction,
		},
	}))
}

// must notes a step that is retried for ever and failed all the same: only a
// final kind of error or the steward's own end gets here.
func (s *steward) must(ctx workflow.Context, err error) {
	if err != nil {
		workflow.GetLogger(ctx).Error("a step of the saga failed for good", "model", s.state.Model, "error", err)
		s.record(ctx, models.ActionRefused, "", "steward", "a step failed for good: "+reason(err))
	}
}

// withdraw drops what the lifecycle asked for and cancels its rollout.
func (s *steward) withdraw(w models.Withdrawal) {
	kept := s.queue[:0]
	for _, task := range s.queue {
		mine := task.register != nil && task.register.Candidate.Lifecycle == w.LifecycleID ||
			task.rollOut != nil && strings.HasPrefix(task.rollOut.RequestID, w.LifecycleID+"/")
		if !mine {
			kept = append(kept, task)
		}
	}
	s.queue = kept
	if cancel, ok := s.releases[w.LifecycleID]; ok {
		cancel()
	}
}

// describe is the version's Markdown page in MLflow.
func describe(c models.Candidate) string {
	var p page
	p.linef("Gate: **%s** — %s", c.Gate.Verdict, c.Gate.Reason)
	p.header("metric", "value", "interval")
	for _, m := range []models.Metric{models.LogLoss, models.Brier, models.AUC} {
		if e, ok := c.Metrics[m]; ok {
			p.row(string(m), number(e.Value), fmt.Sprintf("[%s, %s]", number(e.Low), number(e.High)))
		}
	}
	p.linef("")
	p.linef("Lifecycle `%s`, snapshot `%.12s`, devices %s", c.Lifecycle, c.Snapshot, strings.Join(c.Devices, ", "))
	return strings.Join(p.lines, "\n")
}

func versionTags(c models.Candidate) map[string]string {
	return map[string]string{
		"mainspring.lifecycle":       c.Lifecycle,
		"mainspring.snapshot_sha256": c.Snapshot,
		"mainspring.code_sha256":     c.CodeSHA256,
		"mainspring.spec_sha256":     c.SpecSHA256,
		"mainspring.model_sha256":    c.Artifact.Manifest.SHA256,
		"mainspring.devices":         strings.Join(c.Devices, ","),
		"mainspring.gate":            string(c.Gate.Verdict),
		"mainspring.gate_reason":     c.Gate.Reason,
	}
}
