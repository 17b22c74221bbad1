package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// approvalStands is how long a question without a limit of its own stands.
const approvalStands = 3 * 24 * time.Hour

// askApproval asks a person about a version. A question that was answered gets
// its answer again, one that stands is asked once.
func (s *steward) askApproval(ctx workflow.Context, request models.ApprovalRequest) {
	version := s.version(request.Version)
	pending := s.standing(request.Version)
	switch {
	case version == nil:
		why := fmt.Sprintf("version %s of %s is not known here; register it first", request.Version, s.state.Model)
		s.tellApproval(ctx, request, models.Approval{Version: request.Version, Verdict: models.VerdictFail, Reason: why, At: workflow.Now(ctx)})
	case version.Approval != nil:
		s.tellApproval(ctx, request, *version.Approval)
	case pending >= 0:
		s.state.Approvals[pending].Request = request // whoever asks again is told
	default:
		asked := workflow.Now(ctx)
		until := asked.Add(cmp.Or(request.Spec.Timeout.Std(), approvalStands))
		s.state.Approvals = append(s.state.Approvals, models.PendingApproval{Request: request, Asked: asked, Until: until})
		s.record(ctx, models.Record{Action: models.ActionApprovalAsked, Version: request.Version, By: request.ReplyTo,
			Reason:   fmt.Sprintf("%s may answer until %s", approvers(request.Spec), moment(until)),
			Evidence: evidenceOf(*version, version.Candidate.Gate.Verdict)})
	}
}

func (s *steward) standing(version string) int {
	return slices.IndexFunc(s.state.Approvals, func(p models.PendingApproval) bool { return p.Request.Version == version })
}

func approvers(spec models.ApprovalSpec) string {
	if len(spec.Approvers) == 0 {
		return "anyone"
	}
	return strings.Join(spec.Approvers, ", ")
}

// mayDecide refuses an answer to no question, and one that nobody may give.
func (s *steward) mayDecide(decision models.ApprovalDecision) error {
	if err := accountable(decision.By, decision.Reason); err != nil {
		return err
	}
	i, err := s.asked(decision)
	if err != nil {
		return err
	}
	allowed := s.state.Approvals[i].Request.Spec.Approvers
	if len(allowed) > 0 && !slices.Contains(allowed, decision.By) {
		return failure(&models.Error{Kind: models.KindInvalidSpec, Subject: decision.By,
			Message: "is not among the approvers of version " + s.state.Approvals[i].Request.Version, Hint: "they are " + strings.Join(allowed, ", ")})
	}
	return nil
}

// asked finds the question that a decision answers.
func (s *steward) asked(decision models.ApprovalDecision) (int, error) {
	refuse := func(message, hint string) (int, error) {
		return -1, failure(&models.Error{Kind: models.KindNotFound, Subject: "model " + s.state.Model, Message: message, Hint: hint})
	}
	var versions []string
	for _, p := range s.state.Approvals {
		versions = append(versions, p.Request.Version)
	}
	if decision.Version == "" {
		switch len(versions) {
		case 0:
			return refuse("no version waits for an approval", "`mainspring status` says what it waits for")
		case 1:
			return 0, nil
		default:
			return refuse("versions "+strings.Join(versions, ", ")+" wait for an approval", "name one")
		}
	}
	if i := slices.Index(versions, decision.Version); i >= 0 {
		return i, nil
	}
	if v := s.version(decision.Version); v != nil && v.Approval != nil {
		return refuse(fmt.Sprintf("version %s was decided: %s", v.Version, decided(*v.Approval)), "")
	}
	return refuse("version "+decision.Version+" waits for no approval", "")
}

func decided(a models.Approval) string {
	switch a.Verdict {
	case models.VerdictPass:
		return "approved by " + a.By + ": " + a.Reason
	case models.VerdictFail:
		return "rejected by " + a.By + ": " + a.Reason
	case models.VerdictInconclusive:
		return a.Reason
	}
	return string(a.Verdict)
}

// decide takes a person's answer. It is in force once it is in the record; tag
// and reply follow.
func (s *steward) decide(ctx workflow.Context, decision models.ApprovalDecision) (models.Approval, error) {
	i, err := s.asked(decision)
	if err != nil {
		return models.Approval{}, err
	}
	question := s.state.Approvals[i]
	approval := models.Approval{Version: question.Request.Version, Verdict: models.VerdictFail, By: decision.By, Reason: decision.Reason, At: workflow.Now(ctx)}
	action := models.ActionRejected
	if decision.Approve {
		approval.Verdict, action = models.VerdictPass, models.ActionApproved
	}
	s.conclude(ctx, question, approval, action)
	return approval, nil
}

// conclude closes a question.
func (s *steward) conclude(ctx workflow.Context, question models.PendingApproval, approval models.Approval, action models.Action) {
	s.state.Approvals = slices.DeleteFunc(slices.Clone(s.state.Approvals), func(p models.PendingApproval) bool {
		return p.Request.Version == approval.Version
	})
	record := models.Record{Action: action, Version: approval.Version, By: cmp.Or(approval.By, s.workflowID(ctx)), Reason: approval.Reason}
	if v := s.version(approval.Version); v != nil {
		v.Approval = &approval
		record.Evidence = evidenceOf(*v, approval.Verdict)
	}
	s.record(ctx, record)
	if approval.Verdict != models.VerdictPass {
		s.enqueue(models.StewardTask{Retire: approval.Version})
	}
	s.behind(ctx, func(ctx workflow.Context) {
		s.tellApproval(ctx, question.Request, approval)
		s.tagApproval(ctx, approval)
	})
	s.show(ctx)
}

func (s *steward) tellApproval(ctx workflow.Context, request models.ApprovalRequest, approval models.Approval) {
	s.reply(ctx, request.ReplyTo, models.SignalApproved, models.ApprovalReply{RequestID: request.RequestID, Approval: approval})
}

func (s *steward) tagApproval(ctx workflow.Context, a models.Approval) {
	err := do(quick(ctx, "Tag the version"), models.Registry.TagModelVersion, models.TagModelVersionRequest{
		Model: s.state.Model, Version: a.Version,
		Tags: map[string]string{
			"mainspring.approval": string(a.Verdict), "mainspring.approval_by": a.By,
			"mainspring.approval_reason": a.Reason, "mainspring.approval_at": a.At.UTC().Format(time.RFC3339),
		},
	})
	if err := s.noteDeleted(a.Version, err); kindOf(err) != models.KindNotFound {
		s.must(ctx, err)
	}
}

// keepDeadlines closes questions that nobody answered in time. Deadlines are
// moments, so a new run of the steward keeps them.
func (s *steward) keepDeadlines(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return len(s.state.Approvals) > 0 }) == nil {
		first := s.firstDeadline()
		left := first.Sub(workflow.Now(ctx))
		changed := func() bool { return len(s.state.Approvals) == 0 || !s.firstDeadline().Equal(first) }
		if left > 0 {
			if _, err := workflow.AwaitWithTimeout(ctx, left, changed); err != nil {
				return
			}
		}
		for _, p := range slices.Clone(s.state.Approvals) {
			if !p.Until.After(workflow.Now(ctx)) {
				s.conclude(ctx, p, models.Approval{Version: p.Request.Version, Verdict: models.VerdictInconclusive, At: workflow.Now(ctx),
					Reason: fmt.Sprintf("nobody answered within %s", p.Until.Sub(p.Asked))}, models.ActionApprovalExpired)
			}
		}
	}
}

func (s *steward) firstDeadline() time.Time {
	return slices.MinFunc(s.state.Approvals, func(a, b models.PendingApproval) int { return a.Until.Compare(b.Until) }).Until
}

// forget drops the questions of a lifecycle that was taken back.
func (s *steward) forget(ctx workflow.Context, lifecycle, why string) {
	for _, p := range slices.Clone(s.state.Approvals) {
		if p.Request.ReplyTo != lifecycle && !strings.HasPrefix(p.Request.RequestID, lifecycle+"/") {
			continue
		}
		s.state.Approvals = slices.DeleteFunc(slices.Clone(s.state.Approvals), func(other models.PendingApproval) bool {
			return other.Request.Version == p.Request.Version
		})
		s.record(ctx, models.Record{Action: models.ActionRefused, Version: p.Request.Version, By: lifecycle, Reason: "the question for an approval was taken back: " + why})
		s.enqueue(models.StewardTask{Retire: p.Request.Version})
	}
}
