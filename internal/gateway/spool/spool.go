package spool

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

var (
	// ErrFull means: the spool has as many bytes as it may.
	ErrFull = errors.New("the spool is full")
	// ErrForeign means: the file is no segment of this version's format.
	ErrForeign = errors.New("not a segment")
	// ErrInUse means: another process has the directory.
	ErrInUse = errors.New("another process uses the spool")
)

const (
	extension   = ".spool"
	setAside    = ".unreadable"
	topicPrefix = "topic-" // a topic may be called ".."
)

// Config describes a spool. A size of 0 means the default written at the field.
type Config struct {
	Dir string
	// Name is the first part of the names of new segments. It must differ between
	// processes, the one after a restart included.
	Name         string
	MaxBytes     int64 // of all segments together; 1 GiB
	SegmentBytes int64 // size at which a segment is sealed; 4 MiB
}

// Spool is a directory of topics, locked by one process. It is safe for
// concurrent use.
type Spool struct {
	config Config
	lock   *os.File
	bytes  atomic.Int64

	mu       sync.Mutex
	topics   map[string]*Topic
	sequence int
}

// Open locks the directory, makes it when there is none, and takes over the
// segments that an earlier process left.
func Open(config Config) (*Spool, error) {
	config.MaxBytes = cmp.Or(config.MaxBytes, 1<<30)
	config.SegmentBytes = cmp.Or(config.SegmentBytes, 4<<20)
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool's directory: %w", err)
	}
	lock, err := lockDir(config.Dir)
	if err != nil {
		return nil, err
	}
	s := &Spool{config: config, lock: lock, topics: map[string]*Topic{}}
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("take over the spool in %s: %w", config.Dir, err), lock.Close())
	}
	return s, nil
}

func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the spool: %w", err)
	}
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w in %s; give each a directory of its own", ErrInUse, dir), file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock the spool: %w", err), file.Close())
	}
	return file, nil
}

// recover reads the directory. Segments come in the order in which they were
// last written: their names begin with a boot's name, which says nothing about
// the order of boots.
func (s *Spool) recover() error {
	entries, err := os.ReadDir(s.config.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		escaped, ok := strings.CutPrefix(entry.Name(), topicPrefix)
		name, err := url.PathUnescape(escaped)
		if !ok || err != nil || !entry.IsDir() {
			continue // not ours
		}
		t, err := s.Topic(name)
		if err != nil {
			return err
		}
		if err := t.recover(); err != nil {
			return err
		}
	}
	return nil
}

// Topics are the names of the topics that have segments, sorted.
func (s *Spool) Topics() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, t := range s.topics {
		if t.Records() > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Topic returns the topic of that name and makes it when it is new.
func (s *Spool) Topic(name string) (*Topic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.topics[name]; ok {
		return t, nil
	}
	t := &Topic{spool: s, dir: filepath.Join(s.config.Dir, topicPrefix+url.PathEscape(name))}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory of the spool: %w", err)
	}
	s.topics[name] = t
	return t, nil
}

// Bytes is the size of all segments.
func (s *Spool) Bytes() int64 { return s.bytes.Load() }

// Close gives the directory back. What is in it stays.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failures []error
	for _, t := range s.topics {
		failures = append(failures, t.close())
	}
	return errors.Join(append(failures, s.lock.Close())...)
}

// segmentName is a new one.
func (s *Spool) segmentName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	return fmt.Sprintf("%s-%08d", s.config.Name, s.sequence)
}
