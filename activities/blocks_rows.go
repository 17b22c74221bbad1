package activities

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// moment is one answered request.
type moment struct {
	at int64
	id dataset.ID
}

// rowBlocks cuts blocks of block_rows requests, ties at the end included. It
// reads the log hour by hour, no farther than needed, and keeps the requests of
// about one block in memory.
func (s *blockScorer) rowBlocks(ctx context.Context, from, mark time.Time) ([]models.OpenBlock, error) {
	files, err := s.answerFiles(ctx, s.request.Endpoint, []models.OpenBlock{{Start: from, End: mark}})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(files, func(a, b logFile) int { return a.from.Compare(b.from) })
	cut := rowCutter{rows: int(s.request.Spec.BlockRows), start: from}
	matured := 0
	for len(files) > 0 && matured <= s.request.Max {
		n, complete := 1, mark
		for n < len(files) && files[n].from.Equal(files[0].from) {
			n++
		}
		if n < len(files) && files[n].from.Before(mark) {
			complete = files[n].from
		}
		found, err := s.readMoments(ctx, files[:n], models.OpenBlock{Start: from, End: mark})
		if err != nil {
			return nil, err
		}
		cut.add(found, complete.UnixMicro())
		for matured < len(cut.blocks) && !s.deadlines.First(cut.blocks[matured].End).After(mark) {
			matured++
		}
		files = files[n:]
	}
	return cut.blocks, nil
}

// rowCutter cuts a stream of requests into blocks.
type rowCutter struct {
	rows    int
	start   time.Time // of the block that is not full yet
	pending []moment
	blocks  []models.OpenBlock
}

// add takes further requests; the log is complete for those before a time.
func (c *rowCutter) add(found []moment, complete int64) {
	c.pending = append(c.pending, found...)
	if len(c.pending) < c.rows {
		return
	}
	slices.SortFunc(c.pending, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), a.id.Compare(b.id)) })
	seen := make(map[dataset.ID]struct{}, c.rows)
	done := 0
	for i, m := range c.pending {
		if m.at >= complete {
			break
		}
		seen[m.id] = struct{}{}
		if len(seen) < c.rows || i+1 < len(c.pending) && c.pending[i+1].at == m.at {
			continue
		}
		end := time.UnixMicro(m.at + 1).UTC()
		c.blocks = append(c.blocks, models.OpenBlock{Start: c.start.UTC(), End: end})
		c.start, done = end, i+1
		clear(seen)
	}
	c.pending = append(c.pending[:0], c.pending[done:]...)
}

// readMoments reads when the version answered which request.
func (s *blockScorer) readMoments(ctx context.Context, files []logFile, span models.OpenBlock) ([]moment, error) {
	from, to := span.Start.UnixMicro(), span.End.UnixMicro()
	var mu sync.Mutex
	var all []moment
	err := eachFile(ctx, files, func(ctx context.Context, _ int, f logFile) error {
		var found []moment
		err := s.scan(ctx, f, answerColumns()[:answerShare], func(b *parquetio.Batch) error {
			for row := range b.Rows {
				if at := b.Int(answerEvent, row); at >= from && at < to && answeredBy(b, row, s.request.Version) {
					found = append(found, moment{at, dataset.NewID(b.Bytes(answerID, row))})
				}
			}
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		all = append(all, found...)
		return err
	})
	return all, err
}
