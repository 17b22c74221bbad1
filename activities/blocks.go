package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// Blocks reads the inference log and the labels.
type Blocks struct {
	Store artifact.Store // where the gateways write, and evidence is written to
	// Now is the wall clock that tells a gateway that is gone from one that is
	// there; nil: time.Now.
	Now func() time.Time
	// ReadBytes bounds the files whose rows are in memory together, as far as one
	// block allows; a call reads at most sixteen times as much. 0: 64 MiB.
	ReadBytes int64
}

var _ models.BlockScoring = (*Blocks)(nil)

const (
	// blocksPerCall is the default of ScoreBlocksRequest.Max, and the most blocks
	// that are told of ahead of their labels.
	blocksPerCall = 31
	// blocksBytes is the default of Blocks.ReadBytes: some 300,000 requests of
	// twenty inputs.
	blocksBytes = 64 << 20
	// piecesPerCall bounds what one call reads, and so its time.
	piecesPerCall = 16
	// shortestBlock is the shortest span of a block.
	shortestBlock = time.Minute
)

// ScoreBlocks implements models.BlockScoring. The answers of a block are read
// once, whatever has to be found out about it; a backlog is worked off in pieces
// that fit into memory.
func (b *Blocks) ScoreBlocks(ctx context.Context, request models.ScoreBlocksRequest) (models.ScoredBlocks, error) {
	defer pulse(ctx, busy("scoring blocks of "+request.Endpoint))()
	result := models.ScoredBlocks{Blocks: []models.Block{}}
	s, err := b.scorer(ctx, request)
	if err != nil {
		return result, err
	}
	if result.Watermark, err = s.watermark(ctx, request.Endpoint); err != nil {
		return result, err
	}
	tasks, more, err := s.plan(ctx, result.Watermark)
	if err != nil {
		return result, err
	}
	result.More = more
	for len(tasks) > 0 {
		n := fitting(spans(tasks), s.files, s.bytes)
		if err := s.score(ctx, tasks[:n], &result); err != nil {
			return result, err
		}
		tasks = tasks[n:]
	}
	return result, nil
}

// blockScorer answers one request.
type blockScorer struct {
	servedLog
	request   models.ScoreBlocksRequest
	deadlines dataset.Deadlines
	bytes     int64
	files     []logFile // with the answers of all that is scored
	// reference and coder are nil where nothing is compared.
	reference  *shift.Reference
	coder      *shift.Coder
	blankCodes []uint8 // of a row without any value
}

func (b *Blocks) scorer(ctx context.Context, request models.ScoreBlocksRequest) (*blockScorer, error) {
	spec := request.Spec
	if spec.BlockRows == 0 {
		spec.Block = cmp.Or(spec.Block, models.Day)
	}
	spec.Maturity = cmp.Or(spec.Maturity, models.Day)
	corrections := spec.Maturity
	if spec.Corrections != nil {
		corrections = *spec.Corrections
	}
	if spec.BlockRows < 0 || spec.BlockRows == 0 && spec.Block.Std() < shortestBlock || spec.Maturity < 0 || corrections < 0 || request.Max < 0 {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "monitor",
			Message: fmt.Sprintf("%s: blocks of %s (or %d rows) with a maturity of %s and corrections for %s can't be judged",
				request.Endpoint, spec.Block, spec.BlockRows, spec.Maturity, corrections),
			Hint: "set monitor.block to at least 1m or monitor.block_rows to a number of requests, and monitor.maturity and monitor.corrections to 0s or more",
		}
	}
	request.Spec, request.Max = spec, cmp.Or(request.Max, blocksPerCall)
	request.Data.Task = taskOf(request.Data)
	s := &blockScorer{
		servedLog: servedLog{b.Store, b.Now}, request: request,
		deadlines: dataset.Deadlines{Maturity: spec.Maturity.Std(), Corrections: corrections.Std()},
		bytes:     cmp.Or(b.ReadBytes, blocksBytes),
	}
	return s, s.openReference(ctx)
}

// plan lists what is to be found out, and the files that it takes.
func (s *blockScorer) plan(ctx context.Context, mark time.Time) (tasks []dataset.Task, more bool, err error) {
	from := s.request.From
	if from.IsZero() {
		first, err := s.firstHour(ctx, s.request.Endpoint, time.Time{})
		if err != nil || first.IsZero() {
			return nil, false, err
		}
		from = dataset.BlockStart(first.UnixMicro(), models.Day.Std()) // blocks begin with a day
	}
	ended, err := s.endedBlocks(ctx, from, mark)
	if err != nil {
		return nil, false, err
	}
	matured := slices.IndexFunc(ended, func(b models.OpenBlock) bool { return s.deadlines.First(b.End).After(mark) })
	if matured < 0 {
		matured = len(ended)
	}
	open := slices.DeleteFunc(slices.Clone(s.request.Open), func(b models.OpenBlock) bool { return s.deadlines.Last(b.End).After(mark) })
	if s.files, err = s.answerFiles(ctx, s.request.Endpoint, slices.Concat(open, ended)); err != nil {
		return nil, false, err
	}
	budget := byteBudget{files: s.files, left: piecesPerCall * s.bytes, counted: make([]bool, len(s.files))}
	schedule := dataset.Schedule{Deadlines: s.deadlines, Watermark: mark, Limit: s.request.Max, Fits: budget.take}
	if tasks, more = schedule.Plan(open, ended[:matured]); more {
		return tasks, true, nil
	}
	// The newest say most about now.
	ahead := ended[matured:]
	ahead = ahead[max(0, len(ahead)-blocksPerCall):]
	n := len(tasks)
	for i := len(ahead) - 1; i >= 0 && (len(tasks) == 0 || budget.take(ahead[i])); i-- {
		tasks = append(tasks, dataset.Task{OpenBlock: ahead[i], Ahead: true})
	}
	slices.Reverse(tasks[n:])
	return tasks, false, nil
}

// endedBlocks are the blocks from a time on that ended by the watermark, as far
// as they matter: the matured ones, one more of them than may be scored, or else
// also those that have not matured.
func (s *blockScorer) endedBlocks(ctx context.Context, from, mark time.Time) ([]models.OpenBlock, error) {
	if s.request.Spec.BlockRows > 0 {
		return s.rowBlocks(ctx, from, mark)
	}
	block := s.request.Spec.Block.Std()
	blocks := dataset.TimeBlocks(from, block, mark.Add(-s.deadlines.Maturity), s.request.Max+1)
	if len(blocks) > s.request.Max {
		return blocks, nil
	}
	from = from.Add(time.Duration(len(blocks)) * block)
	if skipped := int64(mark.Sub(from)/block) - blocksPerCall; skipped > 0 {
		from = from.Add(time.Duration(skipped) * block)
	}
	return append(blocks, dataset.TimeBlocks(from, block, mark, blocksPerCall)...), nil
}

func spans(tasks []dataset.Task) []models.OpenBlock {
	blocks := make([]models.OpenBlock, len(tasks))
	for i, t := range tasks {
		blocks[i] = t.OpenBlock
	}
	return blocks
}

// byteBudget counts each file once.
type byteBudget struct {
	files   []logFile
	counted []bool
	left    int64
}

// take reports whether a block's files are still within the budget; those of
// one that is not count as well.
func (b *byteBudget) take(block models.OpenBlock) bool {
	for i, f := range b.files {
		if !b.counted[i] && f.touches(block) {
			b.counted[i] = true
			b.left -= f.size
		}
	}
	return b.left >= 0
}

// fitting is how many of the first blocks can be read at once; one always can.
func fitting(blocks []models.OpenBlock, files []logFile, bytes int64) int {
	budget := byteBudget{files: files, left: bytes, counted: make([]bool, len(files))}
	n := 0
	for n < len(blocks) && (budget.take(blocks[n]) || n == 0) {
		n++
	}
	return n
}
