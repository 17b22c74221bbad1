package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// LineageSources are asked beside Temporal.
type LineageSources struct {
	Store    artifact.Store
	Tracking Tracking // nil: what MLflow knows is missing
}

// Lineage says what a model version or a snapshot was made of, and what was made
// of it. The target is like flight-delay/3, flight-delay@champion, or a
// snapshot's digest or the beginning of one. MLflow may be down: the graph says
// what is missing then.
func (c *Client) Lineage(ctx context.Context, sources LineageSources, target string) (models.LineageGraph, error) {
	l := &lineage{client: c, catalog: snapshots.Catalog{Store: sources.Store}, tracking: sources.Tracking,
		stewards: map[string]*stewardSeen{}, nodes: map[string]int{}}
	if l.tracking == nil {
		l.miss("MLflow is not known (MLFLOW_TRACKING_URI): its runs, and versions that no steward knows")
	}
	var err error
	switch {
	case isModelVersion(target):
		err = l.ofVersion(ctx, target)
	case isDigestPrefix(target):
		err = l.ofSnapshot(ctx, target)
	default:
		err = fmt.Errorf("%q is neither a model version, such as flight-delay/3 or flight-delay@champion, nor the digest of a snapshot", target)
		if near := models.Nearest(target, c.modelNames(ctx)); near != "" {
			err = fmt.Errorf("%w; did you mean %s@%s?", err, near, models.AliasChampion)
		}
	}
	return l.graph, err
}

// shortestPrefix is from how many digits on a snapshot is looked for.
const shortestPrefix = 4

func isDigestPrefix(target string) bool {
	_, err := hex.DecodeString(target + strings.Repeat("0", len(target)%2))
	return err == nil && len(target) >= shortestPrefix && len(target) <= 64 && target == strings.ToLower(target)
}

func isModelVersion(target string) bool { return strings.ContainsAny(target, "/@") }

// lineage collects a graph. What was seen once is not asked for again.
type lineage struct {
	client   *Client
	catalog  snapshots.Catalog
	tracking Tracking // nil: not known, or it did not answer
	stewards map[string]*stewardSeen
	graph    models.LineageGraph
	nodes    map[string]int // place in the graph, by ID
}

// stewardSeen is a model's steward and its audit trail.
type stewardSeen struct {
	status  models.StewardStatus
	records []models.Record
	err     error // nobody answers
}

// node adds a thing, or what more is known of it, and returns its ID.
func (l *lineage) node(kind models.LineageNodeKind, name string, more models.LineageNode) string {
	id := string(kind) + ":" + name
	at, known := l.nodes[id]
	if !known {
		at = len(l.graph.Nodes)
		l.nodes[id] = at
		l.graph.Nodes = append(l.graph.Nodes, models.LineageNode{ID: id, Kind: kind, Name: name})
	}
	n := &l.graph.Nodes[at]
	if n.At.IsZero() {
		n.At = more.At
	}
	if n.URL == "" {
		n.URL = more.URL
	}
	for _, f := range more.Facts {
		if f.Value != "" && !hasFact(n.Facts, f.Name) {
			n.Facts = append(n.Facts, f)
		}
	}
	return id
}

func hasFact(facts []models.LineageFact, name string) bool {
	for _, f := range facts {
		if f.Name == name {
			return true
		}
	}
	return false
}

func (l *lineage) edge(from, to, relation string) {
	e := models.LineageEdge{From: from, To: to, Relation: relation}
	for _, there := range l.graph.Edges {
		if there.From == from && there.To == to {
			return
		}
	}
	l.graph.Edges = append(l.graph.Edges, e)
}

func (l *lineage) miss(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, there := range l.graph.Missing {
		if there == text {
			return
		}
	}
	l.graph.Missing = append(l.graph.Missing, text)
}

// lost notes that MLflow does not answer, and asks it no more.
func (l *lineage) lost(err error) {
	if err == nil || errors.Is(err, mlflow.ErrNotFound) {
		return
	}
	l.tracking = nil
	l.miss("MLflow does not answer, so its runs and the versions that no steward knows are missing: %v", err)
}

// steward is a model's, asked once.
func (l *lineage) steward(ctx context.Context, model string) *stewardSeen {
	if seen := l.stewards[model]; seen != nil {
		return seen
	}
	seen := &stewardSeen{}
	l.stewards[model] = seen
	if seen.status, seen.err = l.client.Steward(ctx, model); seen.err != nil {
		l.miss("what the steward of %s knows: %v", model, seen.err)
		return seen
	}
	trail, err := trailFrom(ctx, model, seen.status, l.catalog.Store, 0)
	switch {
	case err != nil:
		l.miss("the audit trail of %s can't be read: %v", model, err)
	case trail.Damage != nil:
		l.miss("the audit trail of %s is damaged before record %d", model, trail.Damage.Sequence)
	}
	seen.records = trail.Records()
	return seen
}
