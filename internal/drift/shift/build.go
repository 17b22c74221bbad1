package shift

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// Rows are the reference's rows: those that the model was not trained on.
type Rows struct {
	Table       dataset.Table // time, label, features and sliced columns
	Labels      []float64     // as numbers
	Predictions []float64     // as many per row as Plan.Width
	Losses      []float64     // NaN: too large to be counted
}

// Plan says what becomes of them.
type Plan struct {
	Data     models.DataSpec
	Monitor  models.MonitorSpec // with its defaults
	Width    int
	Features []string // those that are compared
	// Profile is what the reference's rows look like, if that is known: bins are
	// taken from it then, and not found anew.
	Profile *profile.SideProfile
}

// maxBlocks is how many of the newest blocks a reference keeps.
const maxBlocks = 120

// Build makes the reference. The same rows in the same order give the same.
func Build(rows Rows, plan Plan) (*Reference, error) {
	if n := len(rows.Losses); len(rows.Labels) != n || len(rows.Predictions) != plan.Width*n || rows.Table.Rows() != n {
		return nil, fmt.Errorf("%d rows, %d labels, %d losses and %d predictions of width %d do not belong together",
			rows.Table.Rows(), len(rows.Labels), n, len(rows.Predictions), plan.Width)
	}
	r := &Reference{Format: format, Task: cmp.Or(plan.Data.Task, models.TaskBinary), Classes: plan.Data.Classes, Width: plan.Width}
	for _, name := range plan.Features {
		column := rows.Table.Column(name)
		if column == nil {
			return nil, fmt.Errorf("the reference's rows have no column %q", name)
		}
		r.Features = append(r.Features, plan.cutFeature(column))
	}
	var err error
	if r.Slicings, err = dataset.Cuts(plan.Monitor.Slices, rows.Table); err != nil {
		return nil, err
	}
	r.Calibration = calibrate(r.Task, plan.Width, rows.Predictions, rows.Labels)
	c := newCounting(r, rows, plan)
	all := r.newBlock()
	for row := range rows.Losses {
		c.add(all, row)
	}
	all.rounded()
	r.All = *all
	for _, b := range newestBlocks(c.cut(plan.Monitor), int64(plan.Monitor.MinLabels)) {
		b.rounded()
		r.Blocks = append(r.Blocks, *b)
	}
	return r, nil
}

func newestBlocks(blocks []*Block, least int64) []*Block {
	blocks = slices.DeleteFunc(blocks, func(b *Block) bool { return b.Labelled < least })
	return blocks[max(0, len(blocks)-maxBlocks):]
}

// counting adds rows of a table to blocks.
type counting struct {
	reference *Reference
	rows      Rows
	times     []int64
	codes     []uint8 // of all rows
	width     int     // of one row's
}

func newCounting(r *Reference, rows Rows, plan Plan) *counting {
	coder := r.Coder(plan.Data.Time, plan.Data.Label)
	c := &counting{
		reference: r, rows: rows, width: coder.Width(), codes: make([]uint8, len(rows.Losses)*coder.Width()),
		times: rows.Table.Column(plan.Data.Time).Ints,
	}
	coder.CodeTable(c.codes, rows.Table)
	for row := range rows.Losses {
		codes := c.codes[row*c.width:][:c.width]
		coder.Time(codes, c.times[row])
	}
	for i, cut := range r.Slicings { // not by numbers: the column has the label as it is written
		if cut.Column == plan.Data.Label {
			for row, group := range cut.Groups(rows.Table.Column(cut.Column)) {
				c.codes[row*c.width+len(r.Features)+i] = uint8(group)
			}
		}
	}
	return c
}

// CodeTable codes the inputs of a table's rows; columns that it does not have
// stay without values. Times and labels are set one by one.
func (c *Coder) CodeTable(codes []uint8, table dataset.Table) {
	width := c.Width()
	for row := range table.Rows() {
		c.Clear(codes[row*width:][:width])
	}
	for column, name := range c.names {
		series := table.Column(name)
		if series == nil {
			continue
		}
		for row := range series.Len() {
			one := codes[row*width:][:width]
			switch {
			case series.IsNull(row):
			case series.Type == dataset.TypeString:
				c.Text(one, column, []byte(series.Strings[row]))
			case series.Type == dataset.TypeFloat64:
				c.Number(one, column, series.Floats[row])
			default:
				c.Number(one, column, float64(series.Ints[row]))
			}
		}
	}
}

func (c *counting) add(b *Block, row int) {
	o := Outcome{Labelled: !math.IsNaN(c.rows.Losses[row]), Loss: c.rows.Losses[row]}
	width := c.reference.Width
	o.Estimated, o.Expected = c.reference.ExpectedLoss(c.rows.Predictions[row*width:][:width])
	b.Add(c.codes[row*c.width:][:c.width], o)
}

// cut puts the rows into blocks, oldest first.
func (c *counting) cut(spec models.MonitorSpec) []*Block {
	order := make([]int, len(c.times))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.times[a], c.times[b]) })
	if spec.BlockRows > 0 {
		return c.byRows(order, int(spec.BlockRows))
	}
	var blocks []*Block
	for _, row := range order {
		start := dataset.BlockStart(c.times[row], spec.Block.Std())
		if len(blocks) == 0 || !blocks[len(blocks)-1].Start.Equal(start) {
			b := c.reference.newBlock()
			b.Start, b.End = start, start.Add(spec.Block.Std())
			blocks = append(blocks, b)
		}
		c.add(blocks[len(blocks)-1], row)
	}
	return blocks
}

// byRows makes blocks of n rows; those with the event time of a block's last
// row belong to it, as in the log. What is left at the end is no block.
func (c *counting) byRows(order []int, n int) []*Block {
	var blocks []*Block
	for len(order) >= n {
		end := n
		for end < len(order) && c.times[order[end]] == c.times[order[end-1]] {
			end++
		}
		b := c.reference.newBlock()
		b.Start = time.UnixMicro(c.times[order[0]]).UTC()
		b.End = time.UnixMicro(c.times[order[end-1]] + 1).UTC()
		for _, row := range order[:end] {
			c.add(b, row)
		}
		blocks, order = append(blocks, b), order[end:]
	}
	return blocks
}

// rounded keeps ten digits of the losses: the object stays small, and sums that
// differ in their rounding become the same.
func (b *Block) rounded() {
	b.Loss, b.Estimated = digits(b.Loss), digits(b.Estimated)
	for i := range b.Slicings {
		for k := range b.Slicings[i].Loss {
			b.Slicings[i].Loss[k] = digits(b.Slicings[i].Loss[k])
		}
	}
}

func digits(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, 9-math.Floor(math.Log10(math.Abs(v))))
	if out := math.Round(v*scale) / scale; !math.IsNaN(out) && !math.IsInf(out, 0) {
		return out
	}
	return v
}
