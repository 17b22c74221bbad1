package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

type logID struct{ attempt, rank int }

// rankLog is how far one rank's log was read.
type rankLog struct {
	next    int64  // offset of the first byte that was not read
	partial []byte // of a line that has no end yet
	lines   [][]byte
}

// logReader writes logs as they grow in the store.
type logReader struct {
	store   LogStore
	options LogOptions
	out     io.Writer
	runKey  string
	attempt int // the oldest that is shown; 0: not chosen yet
	shown   int // the newest attempt that was announced
	ranks   map[logID]*rankLog
	tailed  bool // the last lines of what was there were shown
}

// look writes what is new; last says that it is the last look.
func (r *logReader) look(ctx context.Context, last bool) error {
	listed, err := r.store.List(ctx, models.LogPrefix(r.runKey))
	if err != nil {
		return fmt.Errorf("list the logs: %w", err)
	}
	chunks := r.choose(listed)
	ids, newest := map[logID]bool{}, 0
	for _, c := range chunks {
		id := logID{c.Attempt, c.Rank}
		ids[id], newest = true, max(newest, c.Attempt)
		if err := r.read(ctx, id, c); err != nil {
			return err
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(ids), compareLogs) {
		if err := r.write(id, r.several(), last || id.attempt < newest); err != nil {
			return err
		}
	}
	r.tailed = r.tailed || len(ids) > 0
	return nil
}

// several reports whether lines must say which rank they are of.
func (r *logReader) several() bool {
	ranks := map[int]bool{}
	for id := range r.ranks {
		ranks[id.rank] = true
	}
	return len(ranks) > 1
}

func compareLogs(a, b logID) int {
	if a.attempt != b.attempt {
		return a.attempt - b.attempt
	}
	return a.rank - b.rank
}

type storedChunk struct {
	models.LogChunk
	key  string
	size int64
}

// choose keeps the pieces that are asked for, in order.
func (r *logReader) choose(listed []artifact.Info) []storedChunk {
	var chunks []storedChunk
	newest := 0
	for _, info := range listed {
		chunk, ok := models.ParseLogChunk(r.runKey, info.Key)
		if !ok || r.options.Rank != nil && *r.options.Rank != chunk.Rank {
			continue
		}
		chunks = append(chunks, storedChunk{chunk, info.Key, info.Size})
		newest = max(newest, chunk.Attempt)
	}
	if r.attempt == 0 {
		r.attempt = newest
	}
	return slices.DeleteFunc(chunks, func(c storedChunk) bool {
		return c.Attempt < r.attempt || r.options.Attempt > 0 && c.Attempt != r.options.Attempt
	})
}

// read takes what a piece has beyond what was read.
func (r *logReader) read(ctx context.Context, id logID, c storedChunk) error {
	log := r.ranks[id]
	if log == nil {
		log = &rankLog{}
		r.ranks[id] = log
	}
	if c.Offset+c.size <= log.next {
		return nil
	}
	body, _, err := r.store.Get(ctx, c.key)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	data = data[min(max(log.next-c.Offset, 0), int64(len(data))):]
	log.next = max(log.next, c.Offset) + int64(len(data))
	data = append(log.partial, data...)
	for {
		line, rest, complete := bytes.Cut(data, []byte{'\n'})
		if !complete {
			log.partial = bytes.Clone(data)
			break
		}
		log.lines, data = append(log.lines, bytes.Clone(line)), rest
	}
	// Only the end of what is there is wanted; it need not all be remembered.
	if tail := r.options.Tail; tail > 0 && !r.tailed && len(log.lines) > tail {
		log.lines = slices.Clone(log.lines[len(log.lines)-tail:])
	}
	return nil
}

// write writes the lines that are complete and, at the end, what is left.
func (r *logReader) write(id logID, named, last bool) error {
	log := r.ranks[id]
	lines := log.lines
	log.lines = nil
	if last && len(log.partial) > 0 {
		lines, log.partial = append(lines, log.partial), nil
	}
	if tail := r.options.Tail; tail > 0 && !r.tailed && len(lines) > tail {
		lines = lines[len(lines)-tail:]
	}
	var text strings.Builder
	if id.attempt > r.shown && len(lines) > 0 {
		if r.shown > 0 {
			fmt.Fprintf(&text, "--- attempt %d ---\n", id.attempt)
		}
		r.shown = id.attempt
	}
	for _, line := range lines {
		if named {
			fmt.Fprintf(&text, "rank-%d | ", id.rank)
		}
		text.Write(bytes.TrimSuffix(line, []byte{'\r'}))
		text.WriteByte('\n')
	}
	if _, err := io.WriteString(r.out, text.String()); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

// finish says when there was nothing to write.
func (r *logReader) finish(workflowID string) error {
	if len(r.ranks) > 0 {
		return nil
	}
	what := "no rank has written anything that was stored"
	if r.options.Rank != nil || r.options.Attempt > 0 {
		what = "nothing is stored of this rank and attempt; leave --rank and --attempt out to see what there is"
	}
	_, err := fmt.Fprintf(r.options.Notes, "%s: %s\n", workflowID, what)
	return err
}
