package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// moment writes a time as people read it, with its zone.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }

// Question is a version that waits for a person, with what it is decided on.
type Question struct {
	Pending models.PendingApproval `json:"pending"`
	Version models.ModelVersion    `json:"version"`
	// Champion is the version that it would replace; empty: there is none.
	Champion string `json:"champion,omitempty"`
}

// Answer is the decision about this version and no other, whatever else has come
// to wait since the question was read.
func (q Question) Answer(approve bool, by, reason string) models.ApprovalDecision {
	return models.ApprovalDecision{Version: q.Pending.Request.Version, Approve: approve, By: by, Reason: reason}
}

// Question returns the version that waits for approval, or the named one. When
// it does not wait, the error says what became of it.
func (c *Client) Question(ctx context.Context, model, version string) (Question, error) {
	status, err := c.Steward(ctx, model)
	if err != nil {
		return Question{}, err
	}
	var found []models.PendingApproval
	for _, pending := range status.Approvals {
		if version == "" || pending.Request.Version == version {
			found = append(found, pending)
		}
	}
	switch {
	case len(found) > 1 && version == "":
		return Question{}, fmt.Errorf("several versions of %s wait for approval: %s; name one of them", model, strings.Join(versionsOf(found), ", "))
	case len(found) == 0 && version == "":
		return Question{}, fmt.Errorf("no version of %s waits for approval; %s", model, standing(status, ""))
	case len(found) == 0:
		return Question{}, fmt.Errorf("version %s of %s does not wait for approval: it %s; %s", version, model, fate(status, version), standing(status, version))
	}
	question := Question{Pending: found[0], Champion: status.Champion}
	question.Version.Version = found[0].Request.Version
	if known := knownVersion(status, question.Version.Version); known != nil {
		question.Version = *known
	}
	return question, nil
}

func versionsOf(pending []models.PendingApproval) []string {
	var versions []string
	for _, p := range pending {
		versions = append(versions, p.Request.Version)
	}
	return versions
}

func knownVersion(status models.StewardStatus, version string) *models.ModelVersion {
	for i := range status.Versions {
		if status.Versions[i].Version == version {
			return &status.Versions[i]
		}
	}
	return nil
}

// standing is one clause on where a model stands; told is the version that was
// asked about, of which everything has been said. Empty: none was.
func standing(status models.StewardStatus, told string) string {
	text := "its champion is version " + status.Champion
	if status.Champion == "" {
		text = "it has no champion"
	}
	if n := len(status.Versions); n > 0 && told == "" {
		newest := status.Versions[n-1].Version
		if newest != status.Champion {
			text += ", and version " + newest + ", the newest, " + fate(status, newest)
		}
	}
	if status.Doing != "" {
		text += "; the steward is " + status.Doing
	}
	if status.Waiting != "" {
		text += "; " + status.Waiting
	}
	return text
}

// fate says what became of a version: who decided about it, or what the record
// has last of it.
func fate(status models.StewardStatus, version string) string {
	known := knownVersion(status, version)
	if known != nil && known.Approval != nil {
		return "was " + describeApproval(*known.Approval)
	}
	for i := len(status.Records) - 1; i >= 0; i-- {
		if r := status.Records[i]; r.Version == version {
			return fmt.Sprintf("has as its last record %q, %s", r.Action, moment(r.At))
		}
	}
	if known == nil {
		return "is not known to the steward; `mainspring audit` has the whole record"
	}
	return "is registered, and nobody was asked about it"
}

// describeApproval reads after "version 3 was".
func describeApproval(a models.Approval) string {
	if a.Verdict == models.VerdictInconclusive {
		return "not decided: " + a.Reason
	}
	text := "approved"
	if a.Verdict == models.VerdictFail {
		text = "rejected"
	}
	if a.By != "" {
		text += " by " + a.By
	}
	if !a.At.IsZero() {
		text += " on " + moment(a.At)
	}
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}
