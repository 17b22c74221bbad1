package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// ofSnapshot is the lineage of a snapshot: all that used it.
func (l *lineage) ofSnapshot(ctx context.Context, prefix string) error {
	found, err := l.snapshotsLike(ctx, prefix)
	if err != nil {
		return err
	}
	switch len(found) {
	case 0:
		return l.noSnapshot(ctx, prefix)
	case 1:
	default:
		return fmt.Errorf("%d snapshots begin with %s, such as %s and %s: write more of the digest", len(found), prefix, found[0], found[1])
	}
	l.graph.Root = string(models.NodeSnapshot) + ":" + found[0]
	if err := l.snapshot(ctx, found[0], ""); err != nil {
		return err
	}
	return l.users(ctx, found[0])
}

// snapshotsLike are the digests that begin so, sorted.
func (l *lineage) snapshotsLike(ctx context.Context, prefix string) ([]string, error) {
	there, err := l.catalog.Store.List(ctx, snapshots.Prefix+prefix)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, info := range there {
		name, _, _ := strings.Cut(strings.TrimPrefix(info.Key, snapshots.Prefix), "/")
		if len(found) == 0 || found[len(found)-1] != name {
			found = append(found, name)
		}
	}
	return found, nil
}

func (l *lineage) noSnapshot(ctx context.Context, prefix string) error {
	text := fmt.Sprintf("no snapshot in %s begins with %s", artifact.URI(l.catalog.Store, snapshots.Prefix), prefix)
	all, err := l.snapshotsLike(ctx, "")
	if err != nil {
		return err
	}
	begins := make([]string, len(all))
	for i, digest := range all {
		begins[i] = digest[:min(len(prefix), len(digest))]
	}
	if near := models.Nearest(prefix, begins); near != "" {
		return fmt.Errorf("%s; did you mean %s?", text, near)
	}
	return errors.New(text + "; it may have been deleted, or lie in another bucket")
}

// snapshot adds a snapshot and what it was made of. Only is the workflow whose
// use matters; empty: all.
func (l *lineage) snapshot(ctx context.Context, digest, only string) error {
	id := l.node(models.NodeSnapshot, digest, models.LineageNode{})
	raw, _, err := artifact.GetBytes(ctx, l.catalog.Store, snapshots.ManifestKey(digest), maxLineageObject)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		l.node(models.NodeSnapshot, digest, models.LineageNode{Facts: []models.LineageFact{{Name: "state", Value: "deleted"}}})
	case err != nil:
		return err
	default:
		manifest, err := dataset.Decode(raw)
		if err != nil {
			return err
		}
		l.node(models.NodeSnapshot, digest, models.LineageNode{Facts: append(manifestFacts(manifest), l.checks(ctx, digest)...)})
	}
	uses, err := l.catalog.Uses(ctx, digest)
	if err != nil {
		return err
	}
	if len(uses) == 0 {
		l.miss("no use of snapshot %.12s is recorded: it is of an earlier version, so its source is not known", digest)
	}
	for _, use := range uses {
		if only != "" && use.Workflow != only && hasUse(uses, only) {
			continue
		}
		l.source(ctx, use, id)
		l.node(models.NodeSnapshot, digest, models.LineageNode{At: use.At, Facts: baselineFact(use)})
		l.edge(id, l.lifecycle(use.Workflow), "used by")
	}
	if only != "" && !hasUse(uses, only) {
		l.edge(id, l.lifecycle(only), "used by")
	}
	return nil
}

// baselineFact says which version the rows were held against.
func baselineFact(use models.SnapshotUse) []models.LineageFact {
	if use.Baseline == "" {
		return nil
	}
	return []models.LineageFact{{Name: "baseline", Value: "the profile of " + versionName(use.Model, use.Baseline)}}
}

// maxLineageObject bounds a manifest, a listing or a report.
const maxLineageObject = 256 << 20

func hasUse(uses []models.SnapshotUse, workflow string) bool {
	return slices.ContainsFunc(uses, func(u models.SnapshotUse) bool { return u.Workflow == workflow })
}

func manifestFacts(m models.SnapshotManifest) []models.LineageFact {
	var bytes int64
	for _, f := range m.Files {
		bytes += f.Size
	}
	facts := []models.LineageFact{
		{Name: "train", Value: spanText(m.Train)}, {Name: "test", Value: spanText(m.Test)},
		{Name: "columns", Value: fmt.Sprint(len(m.Columns))},
		{Name: "files", Value: count(len(m.Files), "file", "files") + ", " + terminal.Size(bytes)},
	}
	if m.Profile.SHA256 != "" {
		facts = append(facts, models.LineageFact{Name: "profile", Value: fmt.Sprintf("%.12s", m.Profile.SHA256)})
	}
	return facts
}

func spanText(s models.Span) string {
	return fmt.Sprintf("%s rows, %s to %s", terminal.Grouped(s.Rows), s.From.UTC().Format(time.DateOnly), s.To.UTC().Format(time.DateOnly))
}

// checks sums up a snapshot's report.
func (l *lineage) checks(ctx context.Context, digest string) []models.LineageFact {
	raw, _, err := artifact.GetBytes(ctx, l.catalog.Store, snapshots.ReportKey(digest), maxLineageObject)
	if errors.Is(err, artifact.ErrNotFound) {
		return nil
	}
	var report models.CheckReport
	if err == nil {
		err = json.Unmarshal(raw, &report)
	}
	if err != nil {
		l.miss("the report of snapshot %.12s can't be read: %v", digest, err)
		return nil
	}
	passed, skipped := 0, 0
	facts := []models.LineageFact{{}}
	for _, c := range report.Checks {
		switch {
		case c.Skipped != "":
			skipped++
		case c.Passed:
			passed++
		default:
			name := strings.TrimSuffix(c.Check+" of "+c.Column, " of ")
			facts = append(facts, models.LineageFact{Name: "warning: " + name, Value: c.Message})
		}
	}
	facts[0] = models.LineageFact{Name: "checks", Value: fmt.Sprintf("%d passed, %d with a warning, %d not made", passed, len(facts)-1, skipped)}
	return facts
}

// source adds what a use says that a snapshot was made of.
func (l *lineage) source(ctx context.Context, use models.SnapshotUse, snapshot string) {
	if use.Source == "" {
		return
	}
	listing := use.Listing
	if use.Raw.SHA256 != "" {
		listing = use.Raw
	}
	source := l.node(models.NodeSource, use.Source, models.LineageNode{Facts: l.listing(ctx, listing)})
	if use.CodeSHA256 == "" && use.Raw.SHA256 == "" {
		l.edge(source, snapshot, "prepared into")
		return
	}
	program := l.node(models.NodeProgram, fmt.Sprintf("%.12s", use.CodeSHA256), models.LineageNode{Facts: l.listing(ctx, use.Listing)})
	l.edge(source, program, "read by")
	l.edge(program, snapshot, "prepared into")
}

// listing sums up what a source held when it was listed.
func (l *lineage) listing(ctx context.Context, ref models.Ref) []models.LineageFact {
	if ref.SHA256 == "" {
		return nil
	}
	facts := []models.LineageFact{{Name: "listing", Value: fmt.Sprintf("%.12s", ref.SHA256)}}
	raw, err := artifact.ReadRef(ctx, l.catalog.Store, ref, maxLineageObject)
	var partitions []models.Partition
	if err == nil {
		err = json.Unmarshal(raw, &partitions)
	}
	if err != nil {
		l.miss("the listing %.12s can't be read: %v", ref.SHA256, err)
		return facts
	}
	var bytes int64
	for _, p := range partitions {
		bytes += p.Size
	}
	return append([]models.LineageFact{{Name: "files", Value: count(len(partitions), "file", "files") + ", " + terminal.Size(bytes)}}, facts...)
}

// users adds what came of every lifecycle that used a snapshot, and what MLflow
// knows of others.
func (l *lineage) users(ctx context.Context, digest string) error {
	uses, err := l.catalog.Uses(ctx, digest)
	if err != nil {
		return err
	}
	for _, use := range uses {
		l.outcome(ctx, use, digest)
	}
	if l.tracking == nil {
		return nil
	}
	listed, err := l.tracking.SearchModelVersions(ctx, fmt.Sprintf("tags.`%s` = '%s'", snapshotTag, digest))
	l.lost(err)
	for i, v := range listed {
		l.version(ctx, versionSeen{model: v.Model, number: v.Version, own: knownVersion(l.steward(ctx, v.Model).status, v.Version), listed: &listed[i]})
	}
	return l.runsOf(ctx, digest)
}

// lifecycle adds a workflow that used a snapshot.
func (l *lineage) lifecycle(workflowID string) string {
	return l.node(models.NodeLifecycle, workflowID, models.LineageNode{URL: l.client.page(workflowID)})
}

// outcome adds what a lifecycle made of a snapshot, a candidate that was refused
// included.
func (l *lineage) outcome(ctx context.Context, use models.SnapshotUse, digest string) {
	made := l.lifecycle(use.Workflow)
	tell := func(value string) {
		l.node(models.NodeLifecycle, use.Workflow, models.LineageNode{At: use.At, Facts: []models.LineageFact{{Name: "outcome", Value: value}}})
	}
	if use.Model != "" {
		for _, v := range l.steward(ctx, use.Model).status.Versions {
			if v.Candidate.Lifecycle == use.Workflow && v.Candidate.Snapshot == digest {
				l.version(ctx, versionSeen{model: use.Model, number: v.Version, own: &v})
			}
		}
		l.triggers(ctx, use.Model, use.Workflow, made)
	}
	if use.Namespace != "" && use.Namespace != l.client.namespace {
		tell("in namespace " + use.Namespace + ", which was not asked")
		return
	}
	description, err := l.client.temporal.DescribeWorkflowExecution(ctx, use.Workflow, use.Run)
	if err != nil {
		if !absent(err) {
			l.miss("%s can't be described: %v", use.Workflow, err)
		}
		return // what is known of it, MLflow knows
	}
	info := description.GetWorkflowExecutionInfo()
	if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		tell("runs")
		return
	}
	if info.GetType().GetName() != models.LifecycleWorkflow {
		tell(path.Base(strings.ToLower(info.GetStatus().String())))
		return
	}
	var result models.LifecycleResult
	if err := l.client.temporal.GetWorkflow(ctx, use.Workflow, use.Run).Get(ctx, &result); err != nil {
		tell(failureOf(use.Workflow, err).Error())
		return
	}
	tell(result.Reason)
	l.node(models.NodeLifecycle, use.Workflow, models.LineageNode{Facts: []models.LineageFact{{Name: "gate", Value: string(result.Gate.Verdict)}}})
	if result.RunID != "" {
		l.edge(made, l.run(ctx, result.RunID), "trained as")
	}
}
