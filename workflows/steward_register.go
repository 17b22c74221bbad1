package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/gate/exhibit"
	"github.com/mainspring-ml/mainspring/models"
)

// register makes a candidate a version and the challenger. A request seen before
// gets its answer again; whatever MLflow can't do is an answer too.
func (s *steward) register(ctx workflow.Context, request models.RegisterRequest) {
	reply := models.RegisterReply{RequestID: request.RequestID}
	if known := s.registered(request.Candidate); known != nil {
		reply.Version, reply.URL = known.Version, known.URL
		s.reply(ctx, request.ReplyTo, models.SignalRegistered, reply)
		return
	}
	s.doing = "registering the candidate of " + request.Candidate.Lifecycle
	s.show(ctx)
	made, err := s.enroll(ctx, request)
	if err != nil {
		reply.Kind = kindOf(err)
		why := "registration failed: " + reason(err)
		s.record(ctx, models.Record{Action: models.ActionRefused, By: request.Candidate.Lifecycle, Reason: why})
		reply.Error = why
	} else {
		reply.Version, reply.URL = made.Version, made.URL
	}
	s.reply(ctx, request.ReplyTo, models.SignalRegistered, reply)
}

// registered finds the version of a lifecycle's candidate, so that there is one
// per lifecycle, however often it asks.
func (s *steward) registered(c models.Candidate) *models.ModelVersion {
	for i, v := range s.state.Versions {
		if v.Candidate.Lifecycle == c.Lifecycle && v.Candidate.RunID == c.RunID && !v.Deleted {
			return &s.state.Versions[i]
		}
	}
	return nil
}

// enroll claims the model, signs the candidate, creates its version and points
// the alias challenger at it.
func (s *steward) enroll(ctx workflow.Context, request models.RegisterRequest) (made models.ModelVersion, err error) {
	if err := s.claim(ctx); err != nil {
		return made, err
	}
	made = models.ModelVersion{RegisteredAt: workflow.Now(ctx), Candidate: request.Candidate, Spec: request.Spec}
	signed, err := call(heavy(ctx, "Sign the model"), models.Signing.SignModel, models.SignModelRequest{
		Model: s.state.Model, Candidate: request.Candidate, Spec: request.Spec, At: made.RegisteredAt,
	})
	if err != nil {
		return made, err
	}
	made.Signature = signed.Signature
	created, err := s.createVersion(ctx, request, made)
	if err != nil {
		return made, err
	}
	made.Version, made.URL = created.Version, created.URL
	s.keep(made)
	// A challenger moved by another hand stays where it is; the version is one
	// all the same.
	err = s.point(ctx, map[string]string{models.AliasChallenger: made.Version})
	if err != nil {
		return made, fmt.Errorf("version %s has no alias: %w", made.Version, err)
	}
	why := request.Candidate.Gate.Reason + "; " + vouches(signed)
	s.record(ctx, models.Record{Action: models.ActionRegistered, Version: made.Version, By: request.Candidate.Lifecycle,
		Reason: why, Aliases: s.recorded(), Evidence: evidenceOf(made, request.Candidate.Gate.Verdict)})
	return made, nil
}

func (s *steward) createVersion(ctx workflow.Context, request models.RegisterRequest, made models.ModelVersion) (models.RegisteredVersion, error) {
	c := request.Candidate
	create := models.CreateModelVersionRequest{
		Key: digest(s.state.Model, c.Lifecycle, c.RunID), Model: s.state.Model,
		Source: c.Artifact.Source, RunID: c.RunID, Description: exhibit.VersionPage(c, made), Tags: s.versionTags(made),
		Lifecycle: c.Lifecycle, LifecycleRun: c.LifecycleRun,
	}
	created, err := s.asOwner(ctx, func() (models.RegisteredVersion, error) {
		create.Owner = s.state.Owner
		return call(quick(ctx, "Register the version"), models.Registry.CreateModelVersion, create)
	})
	if err == nil && created.Version == "" {
		err = failure(&models.Error{Kind: models.KindInvalidSpec, Subject: "MLflow", Message: "its answer names no version",
			Hint: "check that the tracking URI names an MLflow server"})
	}
	return created, err
}

// asOwner repeats a write once when the claim was lost, which a model that was
// deleted and made anew does as well. It may have been lost since enroll began:
// to sign takes its time.
func (s *steward) asOwner(ctx workflow.Context, write func() (models.RegisteredVersion, error)) (models.RegisteredVersion, error) {
	if err := s.claim(ctx); err != nil {
		return models.RegisteredVersion{}, err
	}
	result, err := write()
	if kindOf(err) != models.KindNotOwner {
		return result, err
	}
	s.state.Owner = ""
	if err := s.claim(ctx); err != nil {
		return result, err
	}
	return write()
}

// keep adds a version, replacing what was known of it. Its page has the summary;
// here it would only take up room.
func (s *steward) keep(v models.ModelVersion) {
	v.Candidate.Summary = models.EvaluationSummary{}
	if known := s.version(v.Version); known != nil {
		*known = v
		return
	}
	s.state.Versions = append(s.state.Versions, v)
	if len(s.state.Versions) > openKept {
		s.state.Versions = s.versionsNeeded()
	}
}

func vouches(signed models.SignModelResult) string {
	if signed.Signature == nil {
		return "not signed: " + signed.Unsigned
	}
	return fmt.Sprintf("signed with key %.12s", signed.Signature.KeyID)
}

func (s *steward) versionTags(v models.ModelVersion) map[string]string {
	c := v.Candidate
	tags := map[string]string{
		"mainspring.lifecycle":       c.Lifecycle,
		"mainspring.lifecycle_run":   c.LifecycleRun,
		"mainspring.snapshot_sha256": c.Snapshot,
		"mainspring.code_sha256":     c.CodeSHA256,
		"mainspring.spec_sha256":     c.SpecSHA256,
		"mainspring.model_sha256":    c.Artifact.Manifest.SHA256,
		"mainspring.devices":         strings.Join(c.Devices, ","),
		"mainspring.gate":            string(c.Gate.Verdict),
		"mainspring.gate_reason":     c.Gate.Reason,
		"mainspring.owner":           s.state.Owner,
	}
	if v.Signature != nil {
		tags["mainspring.signing_key"] = v.Signature.KeyID
	}
	return tags
}
