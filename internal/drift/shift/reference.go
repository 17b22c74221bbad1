package shift

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// format is the only one so far, of references and of blocks.
const format = 1

// Reference is what live blocks are held against. It is written once per
// champion, and holds no values of rows but the edges of bins and slices, and
// the names of frequent categories.
type Reference struct {
	Format int `json:"format"`
	// Task, Classes and Width say what a prediction is: Width is how many numbers
	// it has, 1 but for task multiclass; Classes are the names of labels, if any.
	Task    models.Task `json:"task"`
	Classes []string    `json:"classes,omitempty"`
	Width   int         `json:"width"`

	// Snapshot is the manifest of the champion's rows.
	Snapshot models.Ref `json:"snapshot,omitzero"`

	Features    []Feature     `json:"features"`
	Slicings    []dataset.Cut `json:"slicings"`
	Calibration Calibration   `json:"calibration,omitzero"`
	// All is the sum of all rows of the reference. Blocks are the newest of its
	// blocks that have enough rows, oldest first.
	All    Block   `json:"all"`
	Blocks []Block `json:"blocks"`
}

// Encode writes the reference's canonical bytes.
func (r *Reference) Encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the reference: %w", err)
	}
	return append(data, '\n'), nil
}

// DecodeReference reads what Encode wrote.
func DecodeReference(data []byte) (*Reference, error) {
	var r Reference
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&r); err != nil {
		return nil, fmt.Errorf("decode the reference: %w", err)
	}
	if r.Format != format {
		return nil, fmt.Errorf("the reference has format %d, this version reads %d", r.Format, format)
	}
	return &r, nil
}

// Losses are the reference's blocks as detectors see them, with the slices of
// the columns that are named.
func (r *Reference) Losses(columns ...string) []models.BlockLoss {
	losses := make([]models.BlockLoss, len(r.Blocks))
	for i := range r.Blocks {
		b := &r.Blocks[i]
		losses[i] = models.BlockLoss{
			Start: b.Start, Labelled: b.Labelled, Loss: b.MeanLoss(), Estimated: b.MeanEstimated(), Slices: r.SliceLosses(b, columns...),
		}
	}
	return losses
}

// SliceLosses are the losses of a block's slices, of the columns that are
// named; slices without a labelled row are left out.
func (r *Reference) SliceLosses(b *Block, columns ...string) []models.SliceLoss {
	var losses []models.SliceLoss
	for i := range r.Slicings {
		cut := &r.Slicings[i]
		wanted := false
		for _, column := range columns {
			wanted = wanted || column == cut.Column
		}
		if !wanted || i >= len(b.Slicings) {
			continue
		}
		for k, name := range cut.Names {
			if sums := b.Slicings[i]; sums.Labelled[k] > 0 {
				losses = append(losses, models.SliceLoss{Column: cut.Column, Slice: name, Labelled: sums.Labelled[k], Loss: sums.Loss[k] / sums.Weight[k]})
			}
		}
	}
	return losses
}
