package activities

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// maxSampled bounds the rows of each side that the domain classifier sees.
const maxSampled = 20_000

// distinguish says how well rows of now can be told from those of the snapshot
// by their inputs. It is nil where that can't be said, and note says why.
func (d *Drift) distinguish(ctx context.Context, request models.CompareRequest, c compared) (area *models.Estimate, note string, err error) {
	if len(c.reference.Features) == 0 || c.reference.Snapshot.URI == "" || c.recent < 2 {
		return nil, "", nil
	}
	sampler := sampler{drift: d, request: request, compared: c, coder: c.reference.Coder(request.Data.Time, request.Data.Label)}
	before, err := sampler.snapshot(ctx)
	if gone(err) {
		return nil, "rows of now are not held against rows of the snapshot, which is not stored any more", nil
	}
	if err != nil {
		return nil, "", err
	}
	now, err := sampler.log(ctx)
	if err != nil {
		return nil, "", err
	}
	estimate, ok := sampler.coder.Distinguish(before, now, uint64(c.result.Now.Start.UnixMicro()))
	if !ok {
		return nil, "rows of now can't be held against rows of the snapshot: either side needs two blocks", nil
	}
	// No honest classifier does worse than guessing.
	return &models.Estimate{Value: max(0.5, estimate.Value), Low: max(0.5, estimate.Low), High: max(0.5, estimate.High)}, "", nil
}

// sampler codes rows of both sides. Features that the log never has would tell
// the sides apart by themselves; they are left without a value in both.
type sampler struct {
	drift    *Drift
	request  models.CompareRequest
	compared compared
	coder    *shift.Coder
}

// snapshot samples the champion's rows, on which it was trained or judged.
func (s *sampler) snapshot(ctx context.Context) (shift.Sample, error) {
	columns := []string{s.request.Data.Key, s.request.Data.Time}
	for i := range s.compared.reference.Features {
		if name := s.compared.reference.Features[i].Name; s.compared.logged(name) {
			columns = append(columns, name)
		}
	}
	var table dataset.Table
	for _, dir := range []string{dataset.TrainDir, dataset.TestDir} {
		more, err := readSide(ctx, s.drift.Store, s.compared.reference.Snapshot, side{dir, columns})
		if err != nil {
			return shift.Sample{}, err
		}
		if more.Rows() > 0 {
			table.Append(more)
		}
	}
	keep := share(int64(table.Rows()))
	var rows []int
	for row := range table.Rows() {
		if sampled([]byte(table.Column(s.request.Data.Key).Text(row)), keep) {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return shift.Sample{}, nil
	}
	table = table.Pick(columns, rows)
	sample := shift.Sample{Codes: make([]uint8, table.Rows()*s.coder.Width()), Blocks: make([]int, table.Rows())}
	s.coder.CodeTable(sample.Codes, table)
	length := s.blockLength()
	for row, at := range table.Column(s.request.Data.Time).Ints {
		sample.Blocks[row] = int(at / length)
	}
	return sample, nil
}

// blockLength is that of the live blocks in microseconds; of blocks of rows,
// their mean.
func (s *sampler) blockLength() int64 {
	if block := s.request.Spec.Block; block > 0 {
		return block.Std().Microseconds()
	}
	now := s.compared.result.Now
	return max(1, now.End.Sub(now.Start).Microseconds()/int64(max(1, s.compared.recent)))
}

// log samples the version's answered requests since the first recent block.
func (s *sampler) log(ctx context.Context) (shift.Sample, error) {
	now := s.compared.result.Now
	log := servedLog{store: s.drift.Store}
	files, err := log.answerFiles(ctx, s.request.Endpoint, []models.OpenBlock{{Start: now.Start, End: now.End}})
	if err != nil {
		return shift.Sample{}, err
	}
	keep := share(now.Rows)
	parts := make([]shift.Sample, len(files))
	if err := eachFile(ctx, files, func(ctx context.Context, i int, f logFile) (err error) {
		parts[i], err = s.readFile(ctx, log, f, keep)
		return err
	}); err != nil {
		return shift.Sample{}, err
	}
	var sample shift.Sample
	for _, part := range parts {
		sample.Codes, sample.Blocks = append(sample.Codes, part.Codes...), append(sample.Blocks, part.Blocks...)
	}
	return sample, nil
}

func (s *sampler) readFile(ctx context.Context, log servedLog, f logFile, keep uint64) (shift.Sample, error) {
	const input = answerShare // follows those that say which requests count
	columns := append(answerColumns()[:input:input], answerColumns()[answerInputs])
	from, to := s.compared.result.Now.Start.UnixMicro(), s.compared.result.Now.End.UnixMicro()
	inputs, codes := inputReader(s.coder), make([]uint8, s.coder.Width())
	var sample shift.Sample
	err := log.scan(ctx, f, columns, func(b *parquetio.Batch) error {
		for row := range b.Rows {
			at := b.Int(answerEvent, row)
			if !answeredBy(b, row, s.request.Version) || at < from || at >= to || !sampled(b.Bytes(answerID, row), keep) {
				continue
			}
			s.coder.Clear(codes)
			codeInputs(s.coder, codes, inputs, b.Bytes(input, row))
			sample.Codes = append(sample.Codes, codes...)
			sample.Blocks = append(sample.Blocks, s.block(at))
		}
		return nil
	})
	return sample, err
}

// block is the number of the recent block that an event falls into.
func (s *sampler) block(micros int64) int {
	blocks := s.compared.blocks
	at, _ := slices.BinarySearchFunc(blocks, micros, func(b *shift.Block, micros int64) int {
		if b.Start.UnixMicro() <= micros {
			return -1
		}
		return 1
	})
	return at
}

// share is the highest hash of a row that is sampled, so that about maxSampled
// of so many rows are, whoever reads them in whatever order.
func share(rows int64) uint64 {
	if rows <= maxSampled {
		return math.MaxUint64
	}
	return uint64(float64(math.MaxUint64) / float64(rows) * maxSampled)
}

// sampled hashes with a last stir, as FNV leaves the high bits of keys that
// differ in their end alone much alike.
func sampled(key []byte, highest uint64) bool {
	h := fnv.New64a()
	h.Write(key) // never fails
	z := h.Sum64()
	z = (z ^ z>>33) * 0xff51afd7ed558ccd
	z = (z ^ z>>33) * 0xc4ceb9fe1a85ec53
	return z^z>>33 <= highest
}

func gone(err error) bool { return errors.Is(err, artifact.ErrNotFound) }
