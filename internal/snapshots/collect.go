package snapshots

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// Collector deletes snapshots that nobody needs any more, and what preparations
// have left. Run it as often as you like, and again after it was killed.
type Collector struct {
	Catalog Catalog
	Rules   Rules
	// Delete: without it nothing is written or deleted, only told.
	Delete bool
	// Host says where the collection runs, for people.
	Host string
	// Needed says who needs which of the snapshots whatever its retention, and which
	// preparations run. It is asked after the snapshots' states have been read. An
	// error ends the collection before anything is deleted.
	Needed func(context.Context, []Item) (Needs, error)
	held   Intent
	read   map[string][]string // files that a version of a state or manifest names
	wanted map[string]bool     // files of preparations that stay
}

// Needs is what runs and what is registered.
type Needs struct {
	Keepers map[string][]Keeper // by snapshot
	// Preparations are the IDs of those that run.
	Preparations map[string]bool
	// Blind says why some that run are not among them; nothing that preparations have
	// left is deleted then. Empty: all are known.
	Blind string
}

// Report is what a collection found and did.
type Report struct {
	At        time.Time  `json:"at"`
	Deleted   bool       `json:"deleted"` // false: nothing was, this is a plan
	Snapshots []Decision `json:"snapshots"`
	// Preparations are what preparations have left and is deleted.
	Preparations []Leftover `json:"preparations"`
	// Kept says why what preparations have left stays; empty: it does not.
	Kept string `json:"preparations_kept,omitempty"`
	// Frees are the bytes that were, or would be, deleted now.
	Frees int64 `json:"frees_bytes"`
}

// Leftover is what one preparation has left.
type Leftover struct {
	Preparation string    `json:"preparation"`
	Since       time.Time `json:"since"` // of its newest object
	Objects     int       `json:"objects"`
	Frees       int64     `json:"frees_bytes"`
	keys        []string
	own         int64    // their bytes
	files       []string // digests that they name
}

// Run collects once.
func (g *Collector) Run(ctx context.Context) (report Report, err error) {
	report = Report{At: g.Catalog.now(), Deleted: g.Delete, Snapshots: []Decision{}, Preparations: []Leftover{}}
	g.read, g.wanted = map[string][]string{}, map[string]bool{}
	if g.Delete {
		if g.held, err = g.Catalog.lock(ctx, g.Host); err != nil {
			return report, err
		}
		defer func() { err = errors.Join(err, g.unlock(ctx)) }()
	}
	items, err := g.Catalog.List(ctx)
	if err != nil {
		return report, fmt.Errorf("the snapshots can't be listed, so nothing is deleted: %w", err)
	}
	left, err := g.leftovers(ctx)
	if err != nil {
		return report, fmt.Errorf("what preparations have left can't be listed, so nothing is deleted: %w", err)
	}
	needs, err := g.Needed(ctx, items)
	if err != nil {
		return report, fmt.Errorf("who needs the snapshots can't be said, so nothing is deleted: %w", err)
	}
	report.Snapshots = Decide(items, needs.Keepers, g.Rules, report.At)
	report.Preparations, report.Kept = g.abandoned(left, needs, report.At)
	if err := g.reckon(ctx, &report); err != nil || !g.Delete {
		return report, err
	}
	err = g.carryOut(ctx, &report)
	return report, err
}

func (g *Collector) carryOut(ctx context.Context, report *Report) error {
	report.Frees = 0
	done := 0
	for i := range report.Snapshots {
		d := &report.Snapshots[i]
		var err error
		switch d.Action {
		case ActionKeep, ActionWait:
			continue
		case ActionCondemn:
			err = g.change(ctx, d, Condemned)
		case ActionRevive:
			err = g.change(ctx, d, Live)
		case ActionDelete, ActionFinish:
			d.Frees, err = g.delete(ctx, d)
			report.Frees += d.Frees
		}
		if errors.Is(err, artifact.ErrPreconditionFailed) {
			// Somebody uses it just now, which is all that matters.
			d.Action, d.Reason, d.Frees, err = ActionKeep, "it was used at this moment", 0, nil
		}
		if err != nil {
			return fmt.Errorf("snapshot %s: %w (%d were condemned, revived or deleted before it; the next collection goes on)", d.Snapshot, err, done)
		}
		if d.Action != ActionKeep {
			done++
		}
	}
	return g.clear(ctx, report)
}

func (g *Collector) change(ctx context.Context, d *Decision, phase Phase) error {
	_, err := g.Catalog.move(ctx, d.Snapshot, d.item.state, phase, d.item.Files)
	return err
}

// delete deletes a condemned snapshot, or finishes it: the manifest first, the
// state last.
func (g *Collector) delete(ctx context.Context, d *Decision) (freed int64, err error) {
	files := d.item.Files
	if err := g.renew(ctx, files); err != nil {
		return 0, err
	}
	// The state is the one that was read before anybody was asked who needs the
	// snapshot, and it was condemned then: so nobody began to use it since.
	if _, err := g.Catalog.move(ctx, d.Snapshot, d.item.state, Deleting, files); err != nil {
		return 0, err
	}
	if err := g.remove(ctx, ManifestKey(d.Snapshot)); err != nil {
		return 0, err
	}
	named, err := g.named(ctx, d.Snapshot)
	if err != nil {
		return 0, err
	}
	maps.Copy(named, g.wanted)
	freed, young, err := g.removeFiles(ctx, files, named)
	if err != nil || young > 0 {
		d.Reason = fmt.Sprintf("%d of its files were written lately; they go when they are older than %s", young, g.Rules.Grace)
		return freed, err
	}
	rest, err := g.Catalog.Store.List(ctx, Prefix+d.Snapshot+"/")
	if err != nil {
		return freed, err
	}
	for _, info := range rest {
		if info.Key != StateKey(d.Snapshot) {
			if err := g.remove(ctx, info.Key); err != nil {
				return freed, err
			}
		}
	}
	return freed + d.item.own, g.remove(ctx, StateKey(d.Snapshot))
}

// removeFiles deletes files that nobody names and that are old enough.
func (g *Collector) removeFiles(ctx context.Context, digests []string, named map[string]bool) (freed int64, young int, err error) {
	for _, digest := range digests {
		if named[digest] {
			continue
		}
		key := artifact.ObjectKey(digest)
		info, there, err := g.Catalog.stat(ctx, key)
		switch {
		case err != nil:
			return freed, young, err
		case !there:
			continue
		case g.Catalog.now().Sub(info.Modified) < g.Rules.Grace:
			young++
			continue
		}
		if err := g.remove(ctx, key); err != nil {
			return freed, young, err
		}
		freed += info.Size
	}
	return freed, young, nil
}

// renewAfter leaves a collection that can't renew its lease time to stop.
const renewAfter = Lease / 3

// renew says which files are about to be deleted.
func (g *Collector) renew(ctx context.Context, files []string) error {
	renewed, err := g.Catalog.writeIntent(ctx, g.held, Intent{Owner: g.held.Owner, Host: g.Host, Files: files})
	if errors.Is(err, artifact.ErrPreconditionFailed) {
		return another(Intent{})
	}
	if err == nil {
		g.held = renewed
	}
	return err
}

// remove deletes one object while the lease holds for sure.
func (g *Collector) remove(ctx context.Context, key string) error {
	if g.Catalog.now().Sub(g.held.At) > renewAfter {
		if err := g.renew(ctx, g.held.Files); err != nil {
			return err
		}
	}
	deleting, cancel := context.WithTimeout(ctx, renewAfter)
	defer cancel()
	return g.Catalog.Store.Delete(deleting, key)
}

// unlock lets others go on at once. One that was cancelled still does it.
func (g *Collector) unlock(ctx context.Context) error {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := g.Catalog.writeIntent(ending, g.held, Intent{})
	if errors.Is(err, artifact.ErrPreconditionFailed) {
		return nil // it was given up for dead meanwhile
	}
	return err
}

// reckon says what each deletion frees: the files that nothing that stays names.
func (g *Collector) reckon(ctx context.Context, report *Report) error {
	stays := maps.Clone(g.wanted)
	for _, d := range report.Snapshots {
		if d.Action != ActionDelete && d.Action != ActionFinish {
			for _, digest := range d.item.Files {
				stays[digest] = true
			}
		}
	}
	count := func(digests []string) (int64, error) {
		var bytes atomic.Int64
		group, inGroup := g.Catalog.group(ctx)
		for _, digest := range digests {
			if stays[digest] {
				continue
			}
			stays[digest] = true // what two of them name is freed once
			group.Go(func() error {
				info, _, err := g.Catalog.stat(inGroup, artifact.ObjectKey(digest))
				bytes.Add(info.Size)
				return err
			})
		}
		err := group.Wait()
		return bytes.Load(), err
	}
	for i := range report.Snapshots {
		d := &report.Snapshots[i]
		if d.Action != ActionDelete && d.Action != ActionFinish {
			continue
		}
		frees, err := count(d.item.Files)
		if err != nil {
			return err
		}
		d.Frees = frees + d.item.own
		report.Frees += d.Frees
	}
	for i := range report.Preparations {
		l := &report.Preparations[i]
		frees, err := count(l.files)
		if err != nil {
			return err
		}
		l.Frees = frees + l.own
		report.Frees += l.Frees
	}
	return nil
}
