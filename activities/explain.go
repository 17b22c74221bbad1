package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// maxEvidenceObject bounds one block's evidence; twenty features take some ten
// kB.
const maxEvidenceObject = 8 << 20

// Bounds of what enters a workflow's history.
const (
	maxShifts    = 20 // features, and slices, of a report
	maxExplained = 5  // of an explanation
)

// CompareInputs implements models.DriftExplanation.
func (d *Drift) CompareInputs(ctx context.Context, request models.CompareRequest) (models.InputReport, error) {
	defer pulse(ctx, busy("comparing inputs"))()
	c, err := d.compare(ctx, request)
	if err != nil {
		return models.InputReport{}, err
	}
	report := c.report()
	report.Features, report.Slices = first(report.Features, maxShifts), first(report.Slices, maxShifts)
	return report, nil
}

func first[T any](values []T, limit int) []T { return values[:min(len(values), limit)] }

// compared is live blocks beside their reference.
type compared struct {
	reference *shift.Reference
	blocks    []*shift.Block // those with evidence
	recent    int            // how many of the last are "now"
	result    shift.Result
	notes     []string
}

// compare reads the reference and the blocks, and compares them.
func (d *Drift) compare(ctx context.Context, request models.CompareRequest) (compared, error) {
	var c compared
	var err error
	if c.reference, err = readReference(ctx, d.Store, request.Reference, "the reference of live blocks"); err != nil {
		return c, err
	}
	found, err := d.readEvidence(ctx, request, c.reference)
	if err != nil {
		return c, err
	}
	c.keep(request, found)
	spec := request.Spec.WithDefaults()
	c.result = shift.Compare(shift.Comparison{
		Reference: c.reference, Live: c.blocks, Recent: c.recent, Level: spec.Inputs.Level, MinLabels: int64(spec.MinLabels),
		Name: request.Endpoint + "/" + request.Version,
	})
	c.noteUnlogged()
	return c, nil
}

// keep drops the blocks without evidence, and says so.
func (c *compared) keep(request models.CompareRequest, found []*shift.Block) {
	missing, at := 0, ""
	for i, b := range found {
		if b == nil {
			if missing++; missing == 1 {
				at = request.Blocks[i].Start.UTC().Format("2006-01-02 15:04")
			}
			continue
		}
		c.blocks = append(c.blocks, b)
		if i >= len(found)-max(1, request.Recent) {
			c.recent++
		}
	}
	if missing > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%d of %d blocks are left out, their evidence is not stored or was scored in another way; the first is that of %s", missing, len(found), at))
	}
	if len(c.reference.Blocks) < minReferenceBlocks {
		c.notes = append(c.notes, fmt.Sprintf("the reference has %d blocks with enough rows; with so few, nothing can be said to have moved", len(c.reference.Blocks)))
	}
}

// minReferenceBlocks is the least number of blocks that evidence can come from:
// among fewer, to rank first means little.
const minReferenceBlocks = 5

// noteUnlogged names the features that never had a value in the log.
func (c *compared) noteUnlogged() {
	if names := c.result.Unlogged; len(names) > 0 {
		c.notes = append(c.notes, fmt.Sprintf("not compared, because the log has no value of it: %s; it is in deploy.traffic.log.sensitive, or no caller sends it", strings.Join(names, ", ")))
	}
}

func (c *compared) logged(feature string) bool { return !slices.Contains(c.result.Unlogged, feature) }

func (c *compared) report() models.InputReport {
	now := c.result.Now
	report := models.InputReport{
		From: now.Start, To: now.End, Blocks: c.recent, Rows: now.Rows,
		Features: c.result.Features, Slices: c.result.Slices, Note: strings.Join(c.notes, "; "),
	}
	if report.Features == nil {
		report.Features = []models.FeatureShift{}
	}
	return report
}

// readReference reads the bins, the slices and the calibration that live blocks
// are held against. What names it in errors.
func readReference(ctx context.Context, store artifact.Store, ref models.Ref, what string) (*shift.Reference, error) {
	data, err := artifact.ReadRef(ctx, store, ref, maxReferenceObject)
	if err != nil {
		return nil, unavailable(ref.URI, what+" can't be read", err)
	}
	reference, err := shift.DecodeReference(data)
	if err != nil {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: ref.URI, Message: what + " can't be used", Cause: err,
			Hint: "watch the champion again, so that its reference is written anew",
		}
	}
	return reference, nil
}

// readEvidence reads what the blocks looked like; nil for those of which nothing
// is stored, or not in a form that compares with the reference.
func (d *Drift) readEvidence(ctx context.Context, request models.CompareRequest, reference *shift.Reference) ([]*shift.Block, error) {
	found := make([]*shift.Block, len(request.Blocks))
	files := make([]logFile, len(request.Blocks))
	for i, b := range request.Blocks {
		files[i].uri = models.BlockEvidenceKey(request.Endpoint, request.Version, request.Reference.SHA256, b.Start)
	}
	err := eachFile(ctx, files, func(ctx context.Context, i int, f logFile) error {
		data, _, err := artifact.GetBytes(ctx, d.Store, f.uri, maxEvidenceObject)
		if gone(err) {
			return nil
		}
		if err != nil {
			return unavailable(f.uri, "a block's evidence can't be read", err)
		}
		if b, err := reference.DecodeBlock(data); err == nil {
			found[i] = b
		}
		return nil
	})
	return found, err
}
