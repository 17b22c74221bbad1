package profile

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// evidence is what a flushed pass has found.
func (p *Pass) evidence() Evidence {
	out := Evidence{Findings: []Finding{}}
	for i := range p.columns {
		c := &p.columns[i]
		for _, r := range c.rules {
			out.Findings = append(out.Findings, r.finding)
		}
		if p.associates(c.Column) {
			out.Associations = append(out.Associations, c.association().summable())
		}
	}
	for _, o := range p.orders {
		out.Findings = append(out.Findings, o.finding)
	}
	out.sort()
	return out
}

// association is that of a feature.
func (c *column) association() Association {
	s := &c.sides[0]
	out := Association{Column: c.Name, Squares: s.squares}
	if s.numbers != nil {
		s.numbers.buckets(func(at int32, labels []int64, sum float64) {
			out.Cells = append(out.Cells, Cell{Key: int64(at), Labels: slices.Clone(labels), Sum: sum})
		})
		return out
	}
	out.Strings = true
	if out.Crowded = s.values.sketch != nil; out.Crowded {
		return out
	}
	for k, e := range s.values.entries {
		cell := Cell{Key: int64(e.hash), Labels: []int64{e.rows}}
		if width := s.values.width; width > 0 {
			cell.Labels = slices.Clone(s.values.labels[k*width : (k+1)*width])
		}
		if s.values.targets != nil {
			cell.Sum = s.values.targets[k]
		}
		out.Cells = append(out.Cells, cell)
	}
	slices.SortFunc(out.Cells, func(a, b Cell) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func mergeAssociations(a, b Association) Association {
	out := Association{
		Column: a.Column, Strings: a.Strings || b.Strings, Crowded: a.Crowded || b.Crowded, Squares: a.Squares + b.Squares,
	}
	if out.Crowded {
		return out.summable()
	}
	for len(a.Cells) > 0 || len(b.Cells) > 0 {
		switch {
		case len(b.Cells) == 0 || len(a.Cells) > 0 && a.Cells[0].Key < b.Cells[0].Key:
			out.Cells, a.Cells = append(out.Cells, a.Cells[0]), a.Cells[1:]
		case len(a.Cells) == 0 || b.Cells[0].Key < a.Cells[0].Key:
			out.Cells, b.Cells = append(out.Cells, b.Cells[0]), b.Cells[1:]
		default:
			cell := Cell{Key: a.Cells[0].Key, Labels: slices.Clone(a.Cells[0].Labels), Sum: a.Cells[0].Sum + b.Cells[0].Sum}
			for i, n := range b.Cells[0].Labels {
				cell.Labels[i] += n
			}
			out.Cells, a.Cells, b.Cells = append(out.Cells, cell), a.Cells[1:], b.Cells[1:]
		}
	}
	if out.Strings && len(out.Cells) > MaxValues {
		out.Crowded, out.Cells = true, nil
	}
	return out.summable()
}

// summable gives up where labels are too large to be summed.
func (a Association) summable() Association {
	finite := func(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) }
	if finite(a.Squares) && !slices.ContainsFunc(a.Cells, func(c Cell) bool { return !finite(c.Sum * c.Sum) }) {
		return a
	}
	return Association{Column: a.Column, Strings: a.Strings, Crowded: true}
}

// Explained is the share of the label's entropy (of its variance, for task
// regression) that the feature explains, 0 to 1, less what as many cells would by
// pure chance. It is false where there is nothing to learn from: no rows, one
// label, a crowded feature, or one with another value in each row.
func (a Association) Explained(task models.Task) (float64, bool) {
	if task == models.TaskRegression {
		return a.explainedVariance()
	}
	return a.explainedEntropy()
}

// explainedEntropy is the mutual information of feature and label as a share of
// the label's entropy, both less the information that the same cells would have
// if labels were dealt out at random (adjusted as by Vinh, Epps and Bailey 2010):
// a feature with a value of its own for each row explains nothing.
func (a Association) explainedEntropy() (float64, bool) {
	var labels []int64
	sizes := map[int64]int{} // cells by their rows
	rows, within := int64(0), 0.0
	for _, cell := range a.Cells {
		known := cell.Labels[:len(cell.Labels)-1] // the last is what is no label
		if labels == nil {
			labels = make([]int64, len(known))
		}
		for i, n := range known {
			labels[i] += n
			within -= xlogx(float64(n))
		}
		size := total(known)
		within += xlogx(float64(size))
		sizes[size]++
		rows += size
	}
	whole := xlogx(float64(rows))
	for _, n := range labels {
		whole -= xlogx(float64(n))
	}
	chance, d := 0.0, newDeal(labels, rows, whole)
	for _, size := range slices.Sorted(maps.Keys(sizes)) {
		chance += float64(sizes[size]) * d.information(size)
	}
	if whole <= 0 || whole-chance < 1e-9*whole {
		return 0, false
	}
	return max(0, min(1, (whole-within-chance)/(whole-chance))), true
}

// deal is labels dealt out to cells at random.
type deal struct {
	labels  []int64
	rows    int64
	entropy float64 // of all rows, in nats
	// choices are the logarithms of the numbers of ways to draw so many of all rows,
	// with and without a label.
	choices       []float64
	with, without [][]float64
}

// smallCell is up to how many rows a cell's information is computed, not
// approximated.
const smallCell = 200

func newDeal(labels []int64, rows int64, entropy float64) deal {
	d := deal{labels: labels, rows: rows, entropy: entropy, choices: choices(rows)}
	for _, n := range labels {
		d.with, d.without = append(d.with, choices(n)), append(d.without, choices(rows-n))
	}
	return d
}

// choices are the logarithms of the binomial coefficients of n.
func choices(n int64) []float64 {
	all := []float64{0}
	for k := int64(1); k <= min(n, smallCell); k++ {
		all = append(all, all[k-1]+math.Log(float64(n-k+1)/float64(k)))
	}
	return all
}

// information is what a cell says on average, in nats, about its rows' labels.
// Of a cell that is not small it is half a nat for each label beyond the first
// (Miller 1955).
func (d deal) information(size int64) float64 {
	if size > smallCell {
		different := 0.0
		for _, n := range d.labels {
			different += float64(min(n, 1))
		}
		return (different - 1) / 2
	}
	information := float64(size)*d.entropy/float64(max(d.rows, 1)) - xlogx(float64(size))
	for i, n := range d.labels {
		// The label has k of the cell's rows with hypergeometric probability.
		for k := max(1, size-(d.rows-n)); k <= min(size, n); k++ {
			information += math.Exp(d.with[i][k]+d.without[i][size-k]-d.choices[size]) * xlogx(float64(k))
		}
	}
	return information
}

func xlogx(x float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(x)
}

// explainedVariance is the squared correlation ratio, corrected as R² is for the
// number of cells (Kelley 1935).
func (a Association) explainedVariance() (float64, bool) {
	rows, sum, between := 0.0, 0.0, 0.0
	for _, cell := range a.Cells {
		n := float64(cell.Labels[0])
		if n > 0 {
			rows += n
			sum += cell.Sum
			between += cell.Sum * cell.Sum / n
		}
	}
	cells := float64(len(a.Cells))
	if rows <= cells {
		return 0, false
	}
	whole := a.Squares - sum*sum/rows
	if whole <= 1e-12*a.Squares {
		return 0, false
	}
	inside := a.Squares - between
	return max(0, min(1, 1-inside/(rows-cells)*(rows-1)/whole)), true
}
