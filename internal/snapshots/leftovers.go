package snapshots

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// MaxSummary bounds what a preparation writes about one partition, or lists.
const MaxSummary = 64 << 20

// leftovers are what all preparations have left, by ID. An answer stays as long
// as its snapshot: it is how the next preparation finds it.
func (g *Collector) leftovers(ctx context.Context) ([]Leftover, error) {
	there, err := g.Catalog.Store.List(ctx, PreparationsPrefix)
	if err != nil {
		return nil, err
	}
	stay, err := g.answering(ctx, there)
	if err != nil {
		return nil, err
	}
	found := map[string]*Leftover{}
	for i, info := range there {
		name, _, ok := owner(PreparationsPrefix, info.Key)
		if !ok || !isDigest(name) {
			continue // not ours
		}
		l := found[name]
		if l == nil {
			l = &Leftover{Preparation: name}
			found[name] = l
		}
		if info.Modified.After(l.Since) {
			l.Since = info.Modified
		}
		if stay[i] {
			continue
		}
		l.keys = append(l.keys, info.Key)
		l.own += info.Size
	}
	all := make([]Leftover, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if l := found[name]; len(l.keys) > 0 {
			l.Objects = len(l.keys)
			all = append(all, *l)
		}
	}
	return all, g.readNamed(ctx, all)
}

// answering says which of the objects are answers whose snapshots are there.
func (g *Collector) answering(ctx context.Context, there []artifact.Info) ([]bool, error) {
	stay := make([]bool, len(there))
	group, inGroup := g.Catalog.group(ctx)
	for i, info := range there {
		if _, rest, _ := owner(PreparationsPrefix, info.Key); rest != answer {
			continue
		}
		group.Go(func() (err error) {
			stay[i], err = g.answers(inGroup, info.Key)
			return err
		})
	}
	return stay, group.Wait()
}

// answers reports whether an answer's snapshot is there.
func (g *Collector) answers(ctx context.Context, key string) (bool, error) {
	raw, _, err := artifact.GetBytes(ctx, g.Catalog.Store, key, maxObject)
	if errors.Is(err, artifact.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var said struct {
		Manifest struct {
			SHA256 string `json:"sha256"`
		} `json:"manifest"`
	}
	if err := json.Unmarshal(raw, &said); err != nil || !isDigest(said.Manifest.SHA256) {
		return false, nil // nobody finds a snapshot by it
	}
	_, there, err := g.Catalog.stat(ctx, ManifestKey(said.Manifest.SHA256))
	return there, err
}

// readNamed finds the files that preparations have written.
func (g *Collector) readNamed(ctx context.Context, all []Leftover) error {
	group, inGroup := g.Catalog.group(ctx)
	for i := range all {
		group.Go(func() error {
			files := map[string]bool{}
			for _, key := range all[i].keys {
				if strings.HasSuffix(key, "/"+answer) || path.Ext(key) != ".json" {
					continue // its files are the snapshot's, or it is a program's log
				}
				raw, _, err := artifact.GetBytes(inGroup, g.Catalog.Store, key, MaxSummary)
				if errors.Is(err, artifact.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				g.filesNamedIn(raw, files)
			}
			all[i].files = slices.Sorted(maps.Keys(files))
			return nil
		})
	}
	return group.Wait()
}

// filesNamedIn finds the digests of the content-addressed objects that a JSON
// object refers to, wherever it does.
func (g *Collector) filesNamedIn(raw []byte, into map[string]bool) {
	var content any
	if err := json.Unmarshal(raw, &content); err != nil {
		return // what nobody can read names nothing
	}
	var walk func(any)
	objects := artifact.URI(g.Catalog.Store, artifact.ObjectKey(""))
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, element := range v {
				walk(element)
			}
		case map[string]any:
			for _, field := range v {
				walk(field)
			}
			// A reference without a URI is one to a content-addressed object.
			if digest, _ := v["sha256"].(string); isDigest(digest) {
				if uri, _ := v["uri"].(string); uri == "" || uri == objects+digest {
					into[digest] = true
				}
			} else if uri, _ := v["uri"].(string); strings.HasPrefix(uri, objects) {
				if digest := strings.TrimPrefix(uri, objects); isDigest(digest) {
					into[digest] = true // a transformed partition
				}
			}
		}
	}
	walk(content)
}

// abandoned are the leftovers that go now. The files of the others are wanted.
func (g *Collector) abandoned(left []Leftover, needs Needs, now time.Time) (gone []Leftover, kept string) {
	gone = []Leftover{}
	for _, l := range left {
		old := now.Sub(l.Since) >= max(g.Rules.Grace, g.Rules.Leftovers)
		if old && !needs.Preparations[l.Preparation] && needs.Blind == "" {
			gone = append(gone, l)
			continue
		}
		for _, digest := range l.files {
			g.wanted[digest] = true
		}
		if needs.Blind != "" {
			kept = needs.Blind
		}
	}
	return gone, kept
}

// clear deletes what preparations have left: first the files that nothing names,
// then what names them, so that a collection that is killed finds them again.
func (g *Collector) clear(ctx context.Context, report *Report) error {
	if len(report.Preparations) == 0 {
		return nil
	}
	files := filesOf(report.Preparations)
	if err := g.renew(ctx, files); err != nil {
		return err
	}
	named, err := g.named(ctx, "")
	if err != nil {
		return err
	}
	now, err := g.leftovers(ctx)
	if err != nil {
		return err
	}
	report.Preparations = slices.DeleteFunc(report.Preparations, func(l Leftover) bool { return !slices.ContainsFunc(now, l.unchanged) })
	stay := slices.DeleteFunc(now, func(l Leftover) bool { return slices.ContainsFunc(report.Preparations, l.unchanged) })
	for _, digest := range filesOf(stay) {
		named[digest] = true
	}
	freed, young, err := g.removeFiles(ctx, files, named)
	report.Frees += freed
	if err != nil || young > 0 { // the rest is found again when they are old
		return err
	}
	for _, l := range report.Preparations {
		for _, key := range l.keys {
			if err := g.remove(ctx, key); err != nil {
				return err
			}
		}
		report.Frees += l.own
	}
	return g.forget(ctx)
}

// forget deletes the pointers to summaries that are gone.
func (g *Collector) forget(ctx context.Context) error {
	there, err := g.Catalog.Store.List(ctx, PartitionsPrefix)
	if err != nil {
		return err
	}
	dangling := make([]bool, len(there))
	group, inGroup := g.Catalog.group(ctx)
	for i, info := range there {
		if g.Catalog.now().Sub(info.Modified) < max(g.Rules.Grace, g.Rules.Leftovers) {
			continue
		}
		group.Go(func() (err error) {
			dangling[i], err = g.dangles(inGroup, info.Key)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, info := range there {
		if dangling[i] {
			if err := g.remove(ctx, info.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// dangles reports whether a pointer's summary is gone.
func (g *Collector) dangles(ctx context.Context, key string) (bool, error) {
	raw, _, err := artifact.GetBytes(ctx, g.Catalog.Store, key, maxObject)
	if errors.Is(err, artifact.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var pointer PartitionPointer
	if err := json.Unmarshal(raw, &pointer); err != nil || pointer.Summary == "" {
		return false, nil // not ours
	}
	_, stays, err := g.Catalog.stat(ctx, pointer.Summary)
	return err == nil && !stays, err
}

func filesOf(left []Leftover) []string {
	var files []string
	for _, l := range left {
		files = append(files, l.files...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// unchanged reports whether nobody took the preparation up again.
func (l Leftover) unchanged(as Leftover) bool {
	return l.Preparation == as.Preparation && l.Since.Equal(as.Since) && slices.Equal(l.keys, as.keys)
}
