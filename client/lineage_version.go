package client

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// versionSeen is a version as its steward, MLflow or both know it.
type versionSeen struct {
	model, number string
	own           *models.ModelVersion // nil: the steward does not have it
	listed        *mlflow.ModelVersion // nil: MLflow does not have it, or does not answer
}

func (v versionSeen) name() string { return versionName(v.model, v.number) }

func (v versionSeen) tag(name string) string {
	if v.listed == nil {
		return ""
	}
	return v.listed.Tags[name]
}

func (v versionSeen) snapshot() string {
	if v.own != nil {
		return v.own.Candidate.Snapshot
	}
	return v.tag(snapshotTag)
}

func (v versionSeen) lifecycle() string {
	if v.own != nil {
		return v.own.Candidate.Lifecycle
	}
	return v.tag(lifecycleTag)
}

func (v versionSeen) runID() string {
	switch {
	case v.own != nil:
		return v.own.Candidate.RunID
	case v.listed != nil:
		return v.listed.RunID
	}
	return ""
}

// ofVersion is the lineage of one version.
func (l *lineage) ofVersion(ctx context.Context, target string) error {
	v, err := l.find(ctx, target)
	if err != nil {
		return err
	}
	l.graph.Root = l.version(ctx, v)
	snapshot := v.snapshot()
	if snapshot == "" {
		snapshot = l.snapshotOfRun(ctx, v.runID())
	}
	if snapshot == "" {
		l.miss("nothing says which snapshot %s was trained on", v.name())
		return nil
	}
	return l.snapshot(ctx, snapshot, v.lifecycle())
}

// version adds a version, where it serves, the run and lifecycle it came from,
// and the retrainings that it led to.
func (l *lineage) version(ctx context.Context, v versionSeen) string {
	more := models.LineageNode{}
	if l.tracking != nil {
		more.URL = l.tracking.ModelVersionURL(v.model, v.number)
	}
	steward := l.steward(ctx, v.model)
	if v.own != nil {
		more.At = v.own.RegisteredAt
		more.Facts = versionFacts(*v.own)
	} else if v.listed != nil {
		more.At = v.listed.Created
		more.Facts = []models.LineageFact{{Name: "gate", Value: joined(v.tag(gateTag), v.tag(gateReasonTag))}}
	}
	stages := []string{}
	for alias, number := range aliasesOf(steward.status) {
		if number == v.number && number != "" {
			stages = append(stages, alias)
		}
	}
	slices.Sort(stages)
	if v.own != nil && v.own.Deleted {
		stages = append(stages, "deleted in MLflow")
	}
	more.Facts = append([]models.LineageFact{{Name: "stage", Value: strings.Join(stages, ", ")}}, more.Facts...)
	id := l.node(models.NodeVersion, v.name(), more)
	if run := v.runID(); run != "" {
		l.edge(l.run(ctx, run), id, "registered as")
	}
	if lifecycle := v.lifecycle(); lifecycle != "" {
		made := l.lifecycle(lifecycle)
		if run := v.runID(); run != "" {
			l.edge(made, l.run(ctx, run), "trained as")
		} else {
			l.edge(made, id, "registered")
		}
		l.triggers(ctx, v.model, lifecycle, made)
	}
	l.serving(steward, v, id)
	l.retrainings(ctx, v)
	return id
}

func joined(verdict, reason string) string {
	if reason == "" {
		return verdict
	}
	return verdict + ": " + reason
}

func versionFacts(v models.ModelVersion) []models.LineageFact {
	c := v.Candidate
	facts := []models.LineageFact{{Name: "gate", Value: joined(string(c.Gate.Verdict), c.Gate.Reason)}}
	for _, metric := range slices.Sorted(maps.Keys(c.Metrics)) {
		facts = append(facts, models.LineageFact{Name: string(metric), Value: c.Metrics[metric].Text()})
	}
	if c.Summary.ChampionVersion != "" {
		facts = append(facts, models.LineageFact{Name: "compared with", Value: versionName(v.Spec.Model.Name, c.Summary.ChampionVersion)})
	}
	if c.CodeSHA256 != "" {
		facts = append(facts, models.LineageFact{Name: "code", Value: codeText(c.CodeSHA256, c.CodeCommit)})
	}
	if v.Signature != nil {
		facts = append(facts, models.LineageFact{Name: "signed by", Value: v.Signature.KeyID})
	}
	if v.Approval != nil {
		facts = append(facts, models.LineageFact{Name: "approval", Value: strings.TrimSpace(joined(string(v.Approval.Verdict), v.Approval.Reason) + " " + v.Approval.By)})
	}
	return facts
}

func codeText(digest, commit string) string {
	text := fmt.Sprintf("%.12s", digest)
	if commit != "" {
		text += fmt.Sprintf(" of commit %.12s", commit)
	}
	return text
}

// serving says where a version answers or has answered, as its steward recorded.
func (l *lineage) serving(steward *stewardSeen, v versionSeen, id string) {
	if v.own == nil || v.own.Spec.Deploy == nil || v.own.Spec.Deploy.Endpoint == "" { // what nothing serves has no deploy section
		return
	}
	relation := ""
	var facts []models.LineageFact
	for _, r := range steward.records {
		if r.Version != v.number {
			continue
		}
		switch r.Action {
		case models.ActionRolloutStarted:
			relation = cmp.Or(relation, "was tried on")
		case models.ActionPromoted:
			relation = "served on"
		case models.ActionRolledBack, models.ActionRefused:
		default:
			continue
		}
		facts = append(facts, models.LineageFact{Name: fmt.Sprintf("%s %s", v.name(), r.Action), Value: r.At.UTC().Format("2006-01-02 15:04")})
	}
	switch v.number {
	case steward.status.Champion:
		relation = "serves on"
	case steward.status.Challenger:
		relation = "is tried on"
	}
	if relation == "" {
		return
	}
	l.edge(id, l.node(models.NodeEndpoint, v.own.Spec.Deploy.Endpoint, models.LineageNode{Facts: facts}), relation)
}

// triggers says why a lifecycle was started, if it was a retraining.
func (l *lineage) triggers(ctx context.Context, model, lifecycle, made string) {
	for _, r := range l.steward(ctx, model).status.Retrainings {
		if r.LifecycleID != lifecycle {
			continue
		}
		trigger := l.trigger(model, r)
		l.edge(trigger, made, "started")
		if r.Champion != "" {
			l.edge(l.node(models.NodeVersion, versionName(model, r.Champion), models.LineageNode{}), trigger, "decayed")
		}
	}
}

func (l *lineage) trigger(model string, r models.Retraining) string {
	return l.node(models.NodeTrigger, string(r.Trigger.Kind)+" "+r.RequestID, models.LineageNode{Facts: []models.LineageFact{
		{Name: "reason", Value: r.Trigger.Reason}, {Name: "model", Value: model}, {Name: "endpoint", Value: r.Endpoint}, {Name: "by", Value: r.Trigger.By},
		{Name: "as of", Value: r.AsOf.UTC().Format("2006-01-02 15:04")},
	}})
}

// retrainings are those that a version led to, with what came of them.
func (l *lineage) retrainings(ctx context.Context, v versionSeen) {
	steward := l.steward(ctx, v.model)
	for _, r := range steward.status.Retrainings {
		if r.Champion != v.number || r.LifecycleID == "" || r.LifecycleID == v.lifecycle() {
			continue
		}
		trigger := l.trigger(v.model, r)
		l.edge(l.node(models.NodeVersion, v.name(), models.LineageNode{}), trigger, "decayed")
		made := l.lifecycle(r.LifecycleID)
		l.node(models.NodeLifecycle, r.LifecycleID, models.LineageNode{Facts: []models.LineageFact{{Name: "outcome", Value: joined(string(r.Outcome), r.Reason)}}})
		l.edge(trigger, made, "started")
		if r.Version != "" {
			next := l.node(models.NodeVersion, versionName(v.model, r.Version), models.LineageNode{})
			l.edge(made, next, "registered")
		}
	}
}
