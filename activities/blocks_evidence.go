package activities

import (
	"context"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// openReference reads the reference, if there is one.
func (s *blockScorer) openReference(ctx context.Context) (err error) {
	if s.request.Reference == nil {
		return nil
	}
	what := "what the blocks of " + s.request.Endpoint + " are held against"
	if s.reference, err = readReference(ctx, s.store, *s.request.Reference, what); err != nil {
		return err
	}
	s.coder = s.reference.Coder(s.request.Data.Time, s.request.Data.Label)
	s.blankCodes = make([]uint8, s.coder.Width())
	s.coder.Clear(s.blankCodes)
	return nil
}

// report puts the scores of a block where they belong, and its evidence into the
// store. The evidence of a last score takes the place of the first one's; where
// both are due, only the last is written, so that nothing older follows.
func (s *blockScorer) report(ctx context.Context, task dataset.Task, sums taskSums, result *models.ScoredBlocks) error {
	if task.Ahead {
		block := sums[byFirst].block(task.OpenBlock, s.request.Data.Task)
		result.Ahead = append(result.Ahead, block)
		return nil
	}
	newest := sums[byFirst]
	if task.Last {
		newest = sums[byLast]
	}
	if err := s.keepEvidence(ctx, task, newest.evidence); err != nil {
		return err
	}
	if task.First {
		first := sums[byFirst]
		if first == nil {
			first = newest // without corrections
		}
		result.Blocks = append(result.Blocks, s.scored(task, first))
	}
	if task.Last {
		result.Final = append(result.Final, s.scored(task, sums[byLast]))
	}
	return nil
}

func (s *blockScorer) scored(task dataset.Task, sums *scoreSums) models.Block {
	block := sums.block(task.OpenBlock, s.request.Data.Task)
	if sums.evidence != nil {
		block.Slices, block.Evidence = s.watched(sums.evidence), true
	}
	return block
}

// keepEvidence writes what a block looked like: the same log and reference give
// the same object.
func (s *blockScorer) keepEvidence(ctx context.Context, task dataset.Task, evidence *shift.Block) error {
	if evidence == nil {
		return nil
	}
	evidence.Start, evidence.End, evidence.Final = task.Start.UTC(), task.End.UTC(), task.Last
	key := models.BlockEvidenceKey(s.request.Endpoint, s.request.Version, s.request.Reference.SHA256, task.Start)
	data, err := evidence.Encode()
	if err == nil {
		_, err = artifact.PutBytes(ctx, s.store, key, data, artifact.PutOptions{ContentType: "application/json"})
	}
	return unavailable(artifact.URI(s.store, key), "the evidence of a block can't be written", err)
}

// watched are the slices that a detector watches.
func (s *blockScorer) watched(evidence *shift.Block) []models.SliceLoss {
	columns := watchedColumns(s.request.Spec)
	if len(columns) == 0 {
		return nil
	}
	losses := s.reference.SliceLosses(evidence, columns...)
	return slices.DeleteFunc(losses, func(l models.SliceLoss) bool {
		return !slices.ContainsFunc(s.request.Spec.Detectors, func(d models.DetectorSpec) bool { return d.Column == l.Column && d.Slice == l.Slice })
	})
}
