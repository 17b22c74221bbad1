package devstack

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// atOnce is how many items are installed at the same time: two keep network
// and processor busy without slowing each other down on two cores.
const atOnce = 2

// Tools is where everything that a stack runs has been installed.
type Tools struct {
	UV             string
	Temporal       string
	S3Server       string
	MLflowPython   string // interpreter of MLflow's environment
	MLflowTemplate string // migrated, empty database
	ONNXRuntime    string // shared library
}

// Setup installs what is missing in the user's cache and returns where
// everything is. It may run in several processes at once, and may be
// interrupted at any moment: an item is there as a whole or not at all. The
// error names what is missing on the machine and how to install it.
func Setup(ctx context.Context, reporter Reporter) (Tools, error) {
	found, err := prepare(ctx, reporter, kitchen.items)
	if err != nil {
		return Tools{}, err
	}
	mlflow := found[itemMLflow].Path
	return Tools{
		UV:             found[itemUV].Path,
		Temporal:       found[itemTemporal].Path,
		S3Server:       found[itemS3].Path,
		MLflowPython:   mlflow,
		MLflowTemplate: filepath.Join(filepath.Dir(mlflow), "..", "..", mlflowTemplate),
		ONNXRuntime:    found[itemONNX].Path,
	}, nil
}

// SetupTemporal installs no more than the Temporal CLI needs, and returns its
// path.
func SetupTemporal(ctx context.Context, reporter Reporter) (string, error) {
	found, err := prepare(ctx, reporter, func(k kitchen) []item { return k.only(itemUV, itemTemporal) })
	return found[itemTemporal].Path, err
}

// only are the items of some names.
func (k kitchen) only(names ...string) []item {
	return slices.DeleteFunc(k.items(), func(it item) bool { return !slices.Contains(names, it.name) })
}

// prepare installs items, unless they are there, and says where each is.
func prepare(ctx context.Context, reporter Reporter, items func(kitchen) []item) (map[string]Located, error) {
	c, err := openCache()
	if err != nil {
		return nil, err
	}
	python, err := findPython(ctx)
	if err != nil {
		return nil, err
	}
	s := newSetup(c, items(kitchen{cache: c, python: python}), reporter)
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s.found, nil
}

// setup is one run of Setup.
type setup struct {
	cache    cache
	items    []item
	reporter *serialReporter
	found    map[string]Located       // complete after run
	ready    map[string]chan struct{} // closed when the item is there
	places   *semaphore.Weighted
}

func newSetup(c cache, items []item, reporter Reporter) *setup {
	s := &setup{
		cache: c, items: items, reporter: &serialReporter{next: reporter},
		found: map[string]Located{}, ready: map[string]chan struct{}{}, places: semaphore.NewWeighted(atOnce),
	}
	for _, it := range items {
		s.ready[it.name] = make(chan struct{})
	}
	return s
}

func (s *setup) run(ctx context.Context) error {
	missing, err := s.locateAll(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, it := range missing {
		group.Go(func() error { return s.install(ctx, it) })
	}
	return group.Wait()
}

// locateAll sorts the items into those that are there and those to install.
func (s *setup) locateAll(ctx context.Context) ([]item, error) {
	var missing []item
	var need uint64
	for _, it := range s.items {
		found, err := it.locate(ctx, s.cache)
		if err != nil {
			s.reporter.report(Progress{Item: it.name, Title: it.title, State: Failed, Err: err})
			return nil, err
		}
		if found.Source == Missing {
			missing = append(missing, it)
			need += it.sizeMiB
			s.found[it.name] = it.cached(s.cache) // where it will be
			continue
		}
		s.found[it.name] = found
		close(s.ready[it.name])
		s.reporter.report(Progress{
			Item: it.name, Title: it.title + " " + found.Version, State: Cached, Detail: found.Path,
		})
	}
	return missing, requireSpace("install "+names(missing), s.cache.root, need,
		"free some space, or set "+cacheVariable+" to a directory on a larger disk")
}

// install waits for the items that this one needs, then for a place.
func (s *setup) install(ctx context.Context, it item) error {
	for _, other := range it.needs {
		select {
		case <-s.ready[other]:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := s.places.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer s.places.Release(1)
	began := time.Now()
	progress := Progress{Item: it.name, Title: it.title + " " + it.version, State: Installing}
	s.reporter.report(progress)
	err := s.cache.install(ctx, installation{
		entry: it.entry, file: it.file, build: it.build,
		waiting: func() {
			waiting := progress
			waiting.Detail, waiting.Elapsed = "another set-up is installing it", time.Since(began)
			s.reporter.report(waiting)
		},
	})
	progress.Elapsed = time.Since(began)
	if err != nil {
		err = describe("install "+it.title, s.cache.path(it.entry), err)
		progress.State, progress.Err = Failed, err
		s.reporter.report(progress)
		return err
	}
	progress.State, progress.Detail = Done, s.found[it.name].Path
	s.reporter.report(progress)
	close(s.ready[it.name])
	return nil
}

func names(items []item) string {
	text := ""
	for i, it := range items {
		if i > 0 {
			text += ", "
		}
		text += it.title
	}
	return text
}
