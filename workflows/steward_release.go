package workflows

import (
	"cmp"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// rollOut releases a registered version behind a canary and carries out the
// verdict. One without an endpoint becomes champion in the registry at once.
func (s *steward) rollOut(ctx workflow.Context, request models.RollOutRequest) {
	for _, done := range s.state.RolledOut {
		if done.RequestID == request.RequestID && done.Version == request.Version {
			s.reply(ctx, request.ReplyTo, models.SignalRolledOut, done)
			return
		}
	}
	if why := s.notReleasable(request.Version); why != "" {
		s.record(ctx, models.Record{Action: models.ActionRefused, Version: request.Version, By: request.ReplyTo, Reason: "not rolled out: " + why})
		s.settleRollOut(ctx, request, models.RollOutReply{Verdict: models.VerdictFail, Reason: why})
		return
	}
	candidate := *s.version(request.Version)
	result := s.runRollout(ctx, candidate)
	s.recordOrders(ctx, candidate.Version, result)
	s.complete(ctx, models.Promotion{
		Request: request, Verdict: result.Verdict, Reason: told(result), Since: workflow.Now(ctx), By: result.By, Judged: judged(result, candidate),
		RefusedBy: result.RefusedBy,
	})
}

// notReleasable says why a version gets no traffic; empty: it may.
func (s *steward) notReleasable(version string) string {
	v := s.version(version)
	switch {
	case v == nil:
		return fmt.Sprintf("version %s of %s is not known here; register it first", version, s.state.Model)
	case v.Deleted:
		return fmt.Sprintf("version %s was deleted in MLflow", version)
	case s.withoutEndpoint(*v) != "":
		return s.withoutEndpoint(*v)
	case unapproved(*v):
		return "the spec asks for a person's approval, and there is none"
	default:
		return ""
	}
}

// unapproved: its spec asks for a person's approval, and nobody has given one.
func unapproved(v models.ModelVersion) bool {
	return v.Spec.Evaluate.Approval != nil && (v.Approval == nil || v.Approval.Verdict != models.VerdictPass)
}

// runRollout runs the child. A rollout that failed, was cancelled or was
// terminated is a failed canary: its traffic goes back to the champion.
func (s *steward) runRollout(ctx workflow.Context, candidate models.ModelVersion) models.RolloutResult {
	if candidate.Spec.Deploy == nil {
		return models.RolloutResult{Verdict: models.VerdictPass, Reason: "it passed the gate, and the spec has no deploy section: there is no traffic to try it on"}
	}
	lifecycle := candidate.Candidate.Lifecycle
	s.doing = "rolling out version " + candidate.Version
	s.record(ctx, models.Record{Action: models.ActionRolloutStarted, Version: candidate.Version, By: lifecycle, Reason: candidate.Candidate.Gate.Reason})
	s.show(ctx)
	running, cancel := workflow.WithCancel(ctx)
	defer cancel()
	ended := ""
	s.releases[lifecycle] = func(why string) {
		ended = why
		cancel()
	}
	defer delete(s.releases, lifecycle)

	route, err := call(quick(running, "Read the route"), models.Routing.ReadRoute, candidate.Spec.Deploy.Endpoint)
	if err != nil {
		return models.RolloutResult{Verdict: models.VerdictFail, Reason: "the route can't be read: " + reason(err)}
	}
	result, err := child[models.RolloutResult](rolloutOptions(running, s.state.Model, candidate.Version), models.RolloutWorkflow, models.RolloutInput{
		Model: s.state.Model, Deploy: *candidate.Spec.Deploy, Candidate: candidate, Champion: s.state.Champion,
		Traffic: s.trafficOf(s.state.Champion), Generation: route.Generation,
	})
	switch {
	case err != nil && ended != "":
		return models.RolloutResult{Verdict: models.VerdictFail, Reason: "the rollout was ended: " + ended}
	case err != nil:
		return models.RolloutResult{Verdict: models.VerdictFail, Reason: "the rollout ended early: " + reason(err)}
	}
	return result
}

// complete carries out a rollout's verdict and answers whoever asked. A
// promotion that would overwrite an alias moved by another hand is put back, at
// the head of the queue, while somebody waits for it. A cancelled steward finishes what it began.
func (s *steward) complete(ctx workflow.Context, p models.Promotion) {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	candidate := *s.version(p.Request.Version)
	if p.Verdict == models.VerdictPass {
		err := s.promote(ctx, candidate, p)
		switch {
		case err == nil:
			s.settleRollOut(ctx, p.Request, models.RollOutReply{Verdict: p.Verdict, Promoted: true, Reason: p.Reason})
			return
		case kindOf(err) == models.KindAliasMoved && s.championMoved() != nil && s.left == nil:
			s.state.Queue = append([]models.StewardTask{{Promote: &p}}, s.state.Queue...)
			return
		case kindOf(err) == models.KindNotFound:
			p.Reason = fmt.Sprintf("version %s was deleted in MLflow before it was promoted: %s", candidate.Version, reason(err))
		default:
			p.Reason = "it can't be promoted: " + reason(err)
		}
		p.Verdict = models.VerdictFail
	}
	s.rollBack(ctx, candidate, p)
	s.settleRollOut(ctx, p.Request, models.RollOutReply{Verdict: p.Verdict, Reason: p.Reason, RefusedBy: p.RefusedBy})
}

func (s *steward) settleRollOut(ctx workflow.Context, request models.RollOutRequest, reply models.RollOutReply) {
	reply.Reason = clip(reply.Reason, longestReason)
	reply.RequestID, reply.Version = request.RequestID, request.Version
	s.state.RolledOut = append(s.state.RolledOut, reply)
	s.reply(ctx, request.ReplyTo, models.SignalRolledOut, reply)
}

// promote is the saga registry → alias → route → old servers → monitor →
// record. Each step is idempotent and retried until it is done, so a crash
// anywhere in between is carried to completion; a step that fails for good
// undoes those before it.
func (s *steward) promote(ctx workflow.Context, candidate models.ModelVersion, p models.Promotion) error {
	why := p.Reason
	if s.state.Champion == candidate.Version {
		return nil // an operator adopted it while it waited
	}
	s.doing = "promoting version " + candidate.Version
	s.show(ctx)
	if err := s.tagRollout(ctx, candidate.Version, models.VerdictPass, why); err != nil {
		return err
	}
	old, before := s.state.Champion, s.recordedAll()
	wanted := map[string]string{models.AliasChampion: candidate.Version, models.AliasPrevious: s.successorOf(old)}
	if s.state.Challenger == candidate.Version {
		wanted[models.AliasChallenger] = ""
	}
	if err := s.point(ctx, wanted); err != nil {
		return err
	}
	if err := s.routeTo(ctx, endpointOf(candidate.Spec), candidate.Version, "version "+candidate.Version+" promoted: "+why); err != nil {
		s.must(ctx, s.point(ctx, before))
		return err
	}
	s.succeed(ctx, candidate, old)
	s.record(ctx, models.Record{Action: models.ActionPromoted, Version: candidate.Version, By: cmp.Or(p.By, candidate.Candidate.Lifecycle), Reason: why,
		Aliases: s.recorded(), Evidence: evidenceOf(candidate, cmp.Or(p.Judged, models.VerdictPass))})
	return nil
}

// rollBack gives all traffic back to the champion, then ends the candidate.
func (s *steward) rollBack(ctx workflow.Context, candidate models.ModelVersion, p models.Promotion) {
	s.doing = "rolling back version " + candidate.Version
	endpoint := endpointOf(candidate.Spec)
	s.must(ctx, s.routeTo(ctx, endpoint, s.state.Champion, "version "+candidate.Version+" rolled back: "+p.Reason))
	s.dropChallenger(ctx, candidate.Version)
	if err := s.tagRollout(ctx, candidate.Version, p.Verdict, p.Reason); kindOf(err) != models.KindNotFound {
		s.must(ctx, err)
	}
	if candidate.Version != s.state.Champion {
		s.stopServing(ctx, endpoint, candidate.Version, "rolled back: "+p.Reason)
	}
	evidence := p.Verdict
	if p.By != "" {
		evidence = p.Judged
	}
	s.record(ctx, models.Record{Action: models.ActionRolledBack, Version: candidate.Version, By: cmp.Or(p.By, candidate.Candidate.Lifecycle), Reason: p.Reason,
		Aliases: s.recorded(), Evidence: evidenceOf(candidate, evidence)})
}

// retire takes the alias from a version that will not be released.
func (s *steward) retire(ctx workflow.Context, version string) {
	if s.state.Challenger != version {
		return
	}
	s.doing = "taking back version " + version
	s.dropChallenger(ctx, version)
	s.record(ctx, models.Record{Action: models.ActionRefused, Version: version, By: s.workflowID(ctx),
		Reason: "it will not be released, and is no challenger any more", Aliases: s.recorded()})
}

func (s *steward) dropChallenger(ctx workflow.Context, version string) {
	if s.state.Challenger == version {
		s.must(ctx, s.point(ctx, map[string]string{models.AliasChallenger: ""}))
	}
}

func (s *steward) tagRollout(ctx workflow.Context, version string, verdict models.Verdict, why string) error {
	err := do(quick(ctx, "Tag the version"), models.Registry.TagModelVersion, models.TagModelVersionRequest{
		Model: s.state.Model, Version: version,
		Tags: map[string]string{"mainspring.rollout": string(verdict), "mainspring.rollout_reason": why},
	})
	return s.noteDeleted(version, err)
}

// noteDeleted remembers a version that MLflow does not have any more.
func (s *steward) noteDeleted(version string, err error) error {
	if v := s.version(version); v != nil && kindOf(err) == models.KindNotFound {
		v.Deleted = true
	}
	return err
}
