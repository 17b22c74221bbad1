package models

import "time"

// LineageGraph says what was made of what. Edges follow the data: from what was
// read to what was made of it.
type LineageGraph struct {
	Root  string        `json:"root"` // ID of the node that was asked for
	Nodes []LineageNode `json:"nodes"`
	Edges []LineageEdge `json:"edges"`
	// Missing says what could not be found out, and why.
	Missing []string `json:"missing,omitempty"`
}

// LineageNode is one thing. Its ID is its kind and what names it there, such as
// "snapshot:5f1c…".
type LineageNode struct {
	ID   string          `json:"id"`
	Kind LineageNodeKind `json:"kind"`
	Name string          `json:"name"`
	At   time.Time       `json:"at,omitzero"` // wall clock; when it began or was made
	URL  string          `json:"url,omitempty"`
	// Facts are for people, the ones that matter most first.
	Facts []LineageFact `json:"facts,omitempty"`
}

// LineageFact is something known of a node.
type LineageFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// LineageNodeKind is what a node is.
type LineageNodeKind string

// The kinds of nodes, in the order of the data's way.
const (
	NodeSource    LineageNodeKind = "source"
	NodeProgram   LineageNodeKind = "preparing program"
	NodeSnapshot  LineageNodeKind = "snapshot"
	NodeTrigger   LineageNodeKind = "trigger" // why a retraining began
	NodeLifecycle LineageNodeKind = "lifecycle"
	NodeRun       LineageNodeKind = "run" // of MLflow
	NodeVersion   LineageNodeKind = "model version"
	NodeEndpoint  LineageNodeKind = "endpoint"
)

// LineageEdge says that one thing went into another.
type LineageEdge struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Relation string `json:"relation"` // such as "prepared into"
}
