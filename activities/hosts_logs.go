package activities

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// shipEvery is how often new output goes to the store. With the second at
	// which a reader looks it bounds how old the newest line shown is.
	shipEvery = 1500 * time.Millisecond
	// sealAt is the size from which a piece of a log is full. Until then it is
	// put again with what has come, so that chatter in small bits does not make
	// an object each.
	sealAt = 256 << 10
	// readAtOnce bounds one piece.
	readAtOnce = 1 << 20
	// headKept and tailKept are what is stored of one rank's log; what is between
	// them is left out.
	headKept, tailKept = 48 << 20, 16 << 20
	// lastLogsLimit bounds the storing after the ranks have ended.
	lastLogsLimit = 30 * time.Second
)

// logShipper copies the logs of this host's ranks to the store while they grow.
// It reads files, and so never holds a rank up; what can't be stored now is
// stored later. An agent that attaches to running ranks finds by listing how far
// the one before it has come.
type logShipper struct {
	store   artifact.Store
	runKey  string
	attempt int
	mask    masker
	logs    []*shippedLog
	head    int64 // headKept, but for tests
	tail    int64 // tailKept, but for tests
	found   bool  // the store was asked how far an earlier agent had come
	stop    func()
}

// shippedLog is one rank's log. Its bytes before begin are stored in full
// pieces, and size more in the piece that still grows.
type shippedLog struct {
	rank        int
	path        string
	begin, size int64
	cut         bool // the head is stored, and that what follows is not
}

// shipLogs begins to store logs. The returned function ends that, unless
// storeLogs has.
func (g *gang) shipLogs(ctx context.Context) (stop func()) {
	s := &logShipper{
		store: g.h.Store, runKey: g.req.RunKey, attempt: g.req.Restart + 1, mask: g.h.maskerOf(g.req.Train.Env),
		head: headKept, tail: tailKept,
	}
	for local := range g.req.Node.Devices {
		s.logs = append(s.logs, &shippedLog{rank: g.rank(local), path: logPath(g.dir, g.rankName(local))})
	}
	g.logs = s
	if s.mask.blind {
		slog.Warn("logs are not stored: a secret of train.env is not on this host any more, so it can't be masked", "job", g.key)
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	group.Go(func() { s.work(working) })
	s.stop = func() { cancel(); group.Wait() }
	return s.stop
}

func (g *gang) rank(local int) int { return g.req.GroupRank*len(g.req.Node.Devices) + local }

// storeLogs stores the rest of the logs, and each as a whole where MLflow's
// pages show it. A log that can't be stored is no reason to fail.
func (g *gang) storeLogs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLogsLimit)
	defer cancel()
	g.logs.stop()
	if err := g.logs.ship(ctx, true); err != nil {
		slog.Warn("the end of the logs is not stored", "job", g.key, "error", err)
	}
	folder := strings.TrimSuffix(g.req.Run.ArtifactURI, "/") + "/logs/"
	if g.req.Restart > 0 {
		folder += restartFolder(g.req.Restart)
	}
	for local, log := range g.logs.logs {
		name := g.rankName(local)
		if err := g.logs.storeWhole(ctx, log, folder+name+".log", g.path(name+".masked")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			slog.Warn("log not stored", "rank", name, "run", g.req.Run.RunID, "error", err)
		}
	}
}

// work ships until ctx ends.
func (s *logShipper) work(ctx context.Context) {
	wait := shipEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := s.ship(ctx, false)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(2*wait, 15*time.Second)
			slog.Warn("logs not stored; trying again", "to", models.LogPrefix(s.runKey), "in", wait, "error", err)
		default:
			wait = shipEvery
		}
	}
}

// ship stores what has come since the last call; final says that no more will.
func (s *logShipper) ship(ctx context.Context, final bool) error {
	if s.mask.blind {
		return nil
	}
	if !s.found {
		if err := s.find(ctx); err != nil {
			return err
		}
		s.found = true
	}
	var failures []error
	for _, log := range s.logs {
		if err := s.shipOne(ctx, log, final); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// find looks how far an earlier agent had come with this attempt.
func (s *logShipper) find(ctx context.Context) error {
	stored, err := s.store.List(ctx, models.LogPrefix(s.runKey))
	if err != nil {
		return err
	}
	for _, info := range stored { // pieces come in order
		chunk, ok := models.ParseLogChunk(s.runKey, info.Key)
		if !ok || chunk.Attempt != s.attempt {
			continue
		}
		for _, log := range s.logs {
			switch {
			case log.rank != chunk.Rank:
			case chunk.Offset >= s.head:
				log.cut = true
			case info.Size >= sealAt || chunk.Offset+info.Size >= s.head:
				log.begin, log.size = chunk.Offset+info.Size, 0
			default:
				log.begin, log.size = chunk.Offset, info.Size
			}
		}
	}
	return nil
}

func (s *logShipper) shipOne(ctx context.Context, log *shippedLog, final bool) error {
	for !log.cut && log.begin < s.head {
		data, all, err := readFrom(log.path, log.begin, min(readAtOnce, s.head-log.begin))
		if err != nil {
			return err
		}
		shown := s.mask.mask(data, final && all)
		if int64(len(shown)) > log.size {
			if err := s.put(ctx, log, log.begin, shown); err != nil {
				return err
			}
			log.size = int64(len(shown))
		}
		full := log.size >= sealAt || log.begin+log.size >= s.head
		if full {
			log.begin, log.size = log.begin+log.size, 0
		}
		if all || !full {
			break
		}
	}
	return s.shipTail(ctx, log, final)
}

// shipTail stores that output was left out and, at the end, the last of it.
func (s *logShipper) shipTail(ctx context.Context, log *shippedLog, final bool) error {
	info, err := os.Stat(log.path)
	if err != nil || info.Size() <= s.head {
		return err
	}
	note := []byte(leftOutNote(s.head, s.tail))
	if !log.cut {
		if err := s.put(ctx, log, s.head, note); err != nil {
			return err
		}
		log.cut = true
	}
	if !final {
		return nil
	}
	tail, from, err := s.readTail(log.path, s.head+int64(len(note)))
	if err != nil || len(tail) == 0 {
		return err
	}
	return s.put(ctx, log, from, tail)
}

func (s *logShipper) put(ctx context.Context, log *shippedLog, offset int64, data []byte) error {
	chunk := models.LogChunk{Attempt: s.attempt, Rank: log.rank, Offset: offset}
	_, err := artifact.PutBytes(ctx, s.store, chunk.Key(s.runKey), data, artifact.PutOptions{ContentType: "text/plain; charset=utf-8"})
	return err
}
