package shift

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Block is the sums of one block's answered requests. A request that was logged
// with a probability below 1 weighs its reciprocal, so that weights stand for
// the traffic and counts for the log.
//
// Sums of floats depend on the order of adding. Whoever wants the same block
// each time adds rows in one order, or merges parts that are cut and ordered
// in one way.
type Block struct {
	Format int       `json:"format"`
	Start  time.Time `json:"start,omitzero"`
	End    time.Time `json:"end,omitzero"` // exclusive
	Final  bool      `json:"final,omitempty"`

	Rows     int64 `json:"rows"`
	Labelled int64 `json:"labelled"`

	Weight         float64 `json:"weight"`          // of all rows
	LabelledWeight float64 `json:"labelled_weight"` // of the labelled ones
	Loss           float64 `json:"loss"`            // weighted sum over the labelled rows
	// Estimated is the weighted sum of expected losses over the rows that have
	// one, EstimatedWeight their weight.
	Estimated       float64 `json:"estimated,omitempty"`
	EstimatedWeight float64 `json:"estimated_weight,omitempty"`

	// Features has the weight of each bin of each feature, in the order of the
	// reference; see Feature.Bins.
	Features [][]float64 `json:"features"`
	// Slicings are in the order of the reference's.
	Slicings []SliceSums `json:"slicings"`
}

// SliceSums are the sums of a slicing's slices, in the order of its names.
type SliceSums struct {
	Rows     []float64 `json:"rows"`     // weight of all rows
	Labelled []int64   `json:"labelled"` // labelled rows
	Weight   []float64 `json:"weight"`   // their weight
	Loss     []float64 `json:"loss"`     // their weighted loss
}

// Outcome is what is known of a row beside its codes.
type Outcome struct {
	Weight    float64 // 1 over the probability with which it was logged; 0: 1
	Labelled  bool
	Loss      float64 // of a labelled row
	Estimated float64 // expected loss, see Reference.ExpectedLoss
	Expected  bool    // Estimated is known
}

// newBlock has a place for every bin and slice.
func (r *Reference) newBlock() *Block {
	b := &Block{Format: format, Features: make([][]float64, len(r.Features)), Slicings: make([]SliceSums, len(r.Slicings))}
	for i := range r.Features {
		b.Features[i] = make([]float64, r.Features[i].Bins())
	}
	for i := range r.Slicings {
		n := len(r.Slicings[i].Names)
		b.Slicings[i] = SliceSums{make([]float64, n), make([]int64, n), make([]float64, n), make([]float64, n)}
	}
	return b
}

// Add counts a row. The codes are of a Coder of the same reference.
func (b *Block) Add(codes []uint8, o Outcome) {
	weight := o.Weight
	if weight == 0 {
		weight = 1
	}
	b.Rows++
	b.Weight += weight
	if o.Expected {
		b.Estimated += weight * o.Estimated
		b.EstimatedWeight += weight
	}
	for i := range b.Features {
		b.Features[i][codes[i]] += weight
	}
	codes = codes[len(b.Features):]
	for i := range b.Slicings {
		b.Slicings[i].Rows[codes[i]] += weight
	}
	if !o.Labelled {
		return
	}
	b.Labelled++
	b.LabelledWeight += weight
	b.Loss += weight * o.Loss
	for i := range b.Slicings {
		sums, k := &b.Slicings[i], codes[i]
		sums.Labelled[k]++
		sums.Weight[k] += weight
		sums.Loss[k] += weight * o.Loss
	}
}

// Merge adds the rows of another block of the same reference; start and end
// stay.
func (b *Block) Merge(other *Block) {
	b.Rows += other.Rows
	b.Labelled += other.Labelled
	b.Weight += other.Weight
	b.LabelledWeight += other.LabelledWeight
	b.Loss += other.Loss
	b.Estimated += other.Estimated
	b.EstimatedWeight += other.EstimatedWeight
	for i := range b.Features {
		add(b.Features[i], other.Features[i])
	}
	for i := range b.Slicings {
		sums, more := &b.Slicings[i], &other.Slicings[i]
		add(sums.Rows, more.Rows)
		add(sums.Labelled, more.Labelled)
		add(sums.Weight, more.Weight)
		add(sums.Loss, more.Loss)
	}
}

func add[T int64 | float64](to, more []T) {
	for i, v := range more {
		to[i] += v
	}
}

// MeanLoss is the block's mean loss; 0 without a labelled row.
func (b *Block) MeanLoss() float64 { return ratio(b.Loss, b.LabelledWeight) }

// MeanEstimated is the mean of the expected losses; 0: none is known.
func (b *Block) MeanEstimated() float64 { return ratio(b.Estimated, b.EstimatedWeight) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Encode writes the block's canonical bytes.
func (b *Block) Encode() ([]byte, error) {
	data, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode the block: %w", err)
	}
	return append(data, '\n'), nil
}

// DecodeBlock reads what Encode wrote, and refuses a block that was counted
// against another reference.
func (r *Reference) DecodeBlock(data []byte) (*Block, error) {
	var b Block
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&b); err != nil {
		return nil, fmt.Errorf("decode the block: %w", err)
	}
	if b.Format != format {
		return nil, fmt.Errorf("the block has format %d, this version reads %d", b.Format, format)
	}
	if !r.fits(&b) {
		return nil, fmt.Errorf("the block at %s has other bins or slices than the reference", b.Start)
	}
	return &b, nil
}

func (r *Reference) fits(b *Block) bool {
	if len(b.Features) != len(r.Features) || len(b.Slicings) != len(r.Slicings) {
		return false
	}
	for i := range r.Features {
		if len(b.Features[i]) != r.Features[i].Bins() {
			return false
		}
	}
	for i := range r.Slicings {
		n, s := len(r.Slicings[i].Names), b.Slicings[i]
		if len(s.Rows) != n || len(s.Labelled) != n || len(s.Weight) != n || len(s.Loss) != n {
			return false
		}
	}
	return true
}
