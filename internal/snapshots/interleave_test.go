package snapshots

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// call is one call of a store, for telling which calls can be swapped.
type call struct {
	key   string
	list  bool // key is a prefix
	write bool
}

// conflicts: the order of the two matters.
func (a call) conflicts(b call) bool {
	if !a.write && !b.write {
		return false
	}
	switch {
	case a.list:
		return strings.HasPrefix(b.key, a.key)
	case b.list:
		return strings.HasPrefix(a.key, b.key)
	}
	return a.key == b.key
}

// process is one of the programs whose calls are interleaved.
type process struct {
	next chan call // it wants to make a call, or closed: it has ended
	goOn chan struct{}
	want *call // nil: ended
}

func (p *process) await() {
	p.want = nil
	if c, ok := <-p.next; ok {
		p.want = &c
	}
}

// gate is a process's view of the store: each call waits for its turn.
type gate struct {
	artifact.Store
	p *process
}

func (g gate) turn(c call) {
	g.p.next <- c
	<-g.p.goOn
}

func (g gate) Put(ctx context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	g.turn(call{key: key, write: true})
	return g.Store.Put(ctx, key, r, size, o)
}

func (g gate) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	g.turn(call{key: key})
	return g.Store.Get(ctx, key)
}

func (g gate) Stat(ctx context.Context, key string) (artifact.Info, error) {
	g.turn(call{key: key})
	return g.Store.Stat(ctx, key)
}

func (g gate) List(ctx context.Context, prefix string) ([]artifact.Info, error) {
	g.turn(call{key: prefix, list: true})
	return g.Store.List(ctx, prefix)
}

func (g gate) Delete(ctx context.Context, key string) error {
	g.turn(call{key: key, write: true})
	return g.Store.Delete(ctx, key)
}

// world is one run of a story: a fresh store, two programs, and what must hold
// after every call and in the end.
type world struct {
	store    artifact.Store
	programs [2]func(artifact.Store)
	always   func() error
	finally  func() error
}

// choice is a moment at which the other program could have gone on as well.
type choice struct {
	prefix []int        // what was chosen until then, this choice included
	sleep  map[int]call // calls whose order has been tried already
}

// interleave runs a story in every order of the two programs' store calls that
// makes a difference: orders that only swap calls which do not conflict are tried
// once (sleep sets, Godefroid 1996). It returns how many orders were run.
func interleave(t *testing.T, limit int, story func() world) int {
	t.Helper()
	todo := []choice{{sleep: map[int]call{}}}
	runs := 0
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if runs++; runs > limit {
			t.Fatalf("more than %d orders", limit)
		}
		more, trace, err := follow(story(), next)
		if err != nil {
			t.Fatalf("order %v: %v\n%s", runs, err, strings.Join(trace, "\n"))
		}
		todo = append(todo, more...)
	}
	return runs
}

// follow runs a story along a choice and then with the first program first, and
// returns the choices that it passed.
func follow(w world, c choice) (more []choice, trace []string, err error) {
	var processes [2]*process
	for i, program := range w.programs {
		p := &process{next: make(chan call), goOn: make(chan struct{})}
		processes[i] = p
		go func() {
			defer close(p.next)
			program(gate{w.store, p})
		}()
		p.await()
	}
	var chosen []int
	sleep := c.sleep
	for processes[0].want != nil || processes[1].want != nil {
		at := len(chosen)
		pick := -1
		if at < len(c.prefix) {
			pick = c.prefix[at]
		} else {
			for i, p := range processes {
				if _, asleep := sleep[i]; p.want == nil || asleep {
					continue
				}
				if pick < 0 {
					pick = i
					continue
				}
				// The other one could go first: later, with this one asleep.
				branch := choice{prefix: append(append([]int{}, chosen...), i), sleep: map[int]call{}}
				for j, other := range sleep {
					if !other.conflicts(*p.want) {
						branch.sleep[j] = other
					}
				}
				if own := *processes[pick].want; !own.conflicts(*p.want) {
					branch.sleep[pick] = own
				}
				more = append(more, branch)
			}
			if pick < 0 { // all that is left has been tried in another order
				drain(processes)
				return more, trace, nil
			}
			awake := map[int]call{}
			for j, other := range sleep {
				if !other.conflicts(*processes[pick].want) {
					awake[j] = other
				}
			}
			sleep = awake
		}
		p := processes[pick]
		trace = append(trace, describe(pick, *p.want))
		chosen = append(chosen, pick)
		p.goOn <- struct{}{}
		p.await()
		if err == nil && w.always != nil {
			err = w.always()
		}
	}
	if err == nil {
		err = w.finally()
	}
	return more, trace, err
}

// drain lets the programs end, so that no goroutine stays.
func drain(processes [2]*process) {
	for _, p := range processes {
		for p.want != nil {
			p.goOn <- struct{}{}
			p.await()
		}
	}
}

func describe(program int, c call) string {
	verb := "read "
	switch {
	case c.list:
		verb = "list "
	case c.write:
		verb = "write "
	}
	return []string{"gc       ", "        other "}[program] + verb + c.key
}

var errKilled = errors.New("killed")

// mortal is the store as a program sees it that is killed before its n-th write.
type mortal struct {
	artifact.Store
	writes *int // that it may still make; below 0: it is dead
}

func (m mortal) write() error {
	if *m.writes--; *m.writes < 0 {
		return errKilled
	}
	return nil
}

func (m mortal) read() error {
	if *m.writes < 0 {
		return errKilled
	}
	return nil
}

func (m mortal) Put(ctx context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	if err := m.write(); err != nil {
		return artifact.Info{}, err
	}
	return m.Store.Put(ctx, key, r, size, o)
}

func (m mortal) Delete(ctx context.Context, key string) error {
	if err := m.write(); err != nil {
		return err
	}
	return m.Store.Delete(ctx, key)
}

func (m mortal) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	if err := m.read(); err != nil {
		return nil, artifact.Info{}, err
	}
	return m.Store.Get(ctx, key)
}

func (m mortal) Stat(ctx context.Context, key string) (artifact.Info, error) {
	if err := m.read(); err != nil {
		return artifact.Info{}, err
	}
	return m.Store.Stat(ctx, key)
}

func (m mortal) List(ctx context.Context, prefix string) ([]artifact.Info, error) {
	if err := m.read(); err != nil {
		return nil, err
	}
	return m.Store.List(ctx, prefix)
}
