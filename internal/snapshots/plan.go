package snapshots

import (
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// KeeperKind is what keeps a snapshot.
type KeeperKind string

// What keeps a snapshot.
const (
	KeptByVersion   KeeperKind = "model version"
	KeptByRun       KeeperKind = "run"      // of MLflow, not ended
	KeptByWorkflow  KeeperKind = "workflow" // that runs
	KeptByRetention KeeperKind = "retention"
	KeptForEver     KeeperKind = "no retention" // was ever said
)

// Keeper is somebody who needs a snapshot.
type Keeper struct {
	Kind KeeperKind `json:"kind"`
	Name string     `json:"name"`
	// Until is when a retention ends; zero: never.
	Until time.Time `json:"until,omitzero"`
}

// String writes a keeper for people.
func (k Keeper) String() string {
	if k.Kind == KeptByRetention && !k.Until.IsZero() {
		return fmt.Sprintf("%s until %s", k.Name, k.Until.UTC().Format("2006-01-02 15:04"))
	}
	return k.Name
}

// Action is what a collection does about a snapshot.
type Action string

// The actions.
const (
	ActionKeep    Action = "keep"
	ActionCondemn Action = "condemn" // it goes after the grace, unless it is used
	ActionRevive  Action = "revive"  // it was condemned and is needed again
	ActionWait    Action = "wait"    // condemned, and the grace is not over
	ActionDelete  Action = "delete"
	ActionFinish  Action = "finish" // a deletion that was cut off
)

// Decision is what a collection does about one snapshot, and why.
type Decision struct {
	Snapshot string     `json:"snapshot_sha256"`
	Action   Action     `json:"action"`
	Reason   string     `json:"reason"`
	Keepers  []Keeper   `json:"keepers,omitempty"`
	Made     time.Time  `json:"made"`
	Since    time.Time  `json:"since"` // its last change or use was recorded
	LastUse  *time.Time `json:"last_use,omitempty"`
	LastUser string     `json:"last_user,omitempty"` // workflow ID
	Files    int        `json:"files"`
	Bytes    int64      `json:"bytes"` // of all its files, shared ones included
	// Frees is what goes with it, once it is deleted: files of no other snapshot.
	Frees int64 `json:"frees_bytes"`
	item  Item
}

// Rules say when a snapshot goes.
type Rules struct {
	// Grace is between condemning and deleting, and the least age of an object that
	// is deleted.
	Grace time.Duration
	// OlderThan stands in for a retention where none was said; 0: those stay.
	OlderThan time.Duration
	// Leftovers is how old what a preparation has found must be: another preparation
	// of the same rows would find it. At least Grace counts.
	Leftovers time.Duration
}

// Decide says what happens to each item at a moment. Kept are those who need a
// snapshot whatever its retention, by digest.
func Decide(items []Item, kept map[string][]Keeper, rules Rules, now time.Time) []Decision {
	decisions := make([]Decision, len(items))
	for i, item := range items {
		d := Decision{Snapshot: item.Snapshot, Made: item.Made, Since: item.Since, Files: len(item.Files), Bytes: item.Bytes, item: item}
		if use, ok := item.LastUse(); ok {
			d.LastUse, d.LastUser = &use.At, use.Workflow
		}
		d.Keepers = append(slices.Clone(kept[item.Snapshot]), retentions(item, rules, now)...)
		d.Action, d.Reason = act(item, d.Keepers, rules, now)
		decisions[i] = d
	}
	return decisions
}

func act(item Item, keepers []Keeper, rules Rules, now time.Time) (Action, string) {
	left := func(since time.Time) time.Duration { return since.Add(rules.Grace).Sub(now).Round(time.Second) }
	switch phase := item.Phase(); {
	case phase == Deleting:
		return ActionFinish, "a deletion was cut off"
	case len(keepers) > 0 && phase == Condemned:
		return ActionRevive, "it is needed again"
	case len(keepers) > 0:
		return ActionKeep, keepers[0].String()
	case phase == Condemned && left(item.state.At) > 0:
		return ActionWait, fmt.Sprintf("condemned; it is deleted in %s, unless it is used", left(item.state.At))
	case phase == Condemned:
		return ActionDelete, "condemned, and nobody has used it since"
	case left(item.Since) > 0:
		return ActionKeep, fmt.Sprintf("written or used less than %s ago", models.Duration(rules.Grace))
	case item.Manifest == nil:
		return ActionCondemn, "a preparation was given up"
	}
	return ActionCondemn, "its retention is over"
}

// retentions are those that are not over: the last use of each model has the
// word, so that one model's short retention does not end another's.
func retentions(item Item, rules Rules, now time.Time) []Keeper {
	if item.Manifest == nil {
		return nil // there is nothing to retain
	}
	last := map[string]models.SnapshotUse{}
	var order []string
	for _, use := range item.Uses { // oldest first
		if _, seen := last[use.Model]; !seen {
			order = append(order, use.Model)
		}
		last[use.Model] = use
	}
	var keepers []Keeper
	forever := func(name string, since time.Time) {
		switch until := since.Add(rules.OlderThan); {
		case rules.OlderThan == 0:
			keepers = append(keepers, Keeper{Kind: KeptForEver, Name: name})
		case until.After(now):
			keepers = append(keepers, Keeper{Kind: KeptByRetention, Name: "--older-than", Until: until})
		}
	}
	for _, model := range order {
		use := last[model]
		until := use.At.Add(use.Retention.Std())
		switch {
		case use.Retention == 0:
			forever("no retention is set in "+model, use.At)
		case until.After(now):
			keepers = append(keepers, Keeper{Kind: KeptByRetention, Name: "retention of " + model, Until: until})
		}
	}
	if len(order) == 0 {
		forever("no use is recorded", item.Since)
	}
	return keepers
}
