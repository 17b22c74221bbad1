package profile

import (
	"cmp"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
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
		if p.labels != nil && c.Role == dataset.RoleFeature && !c.sensitive {
			out.Associations = append(out.Associations, c.association(p.labels.squares))
		}
	}
	for _, o := range p.orders {
		out.Findings = append(out.Findings, o.finding)
	}
	out.sort()
	return out
}

// association is that of a feature.
func (c *column) association(squares float64) Association {
	s := &c.sides[0]
	out := Association{Column: c.Name, Squares: squares}
	if s.numbers != nil {
		s.numbers.buckets(func(at int32, labels []int64, sum float64) {
			out.Cells = append(out.Cells, Cell{Key: int64(at), Labels: slices.Clone(labels), Sum: sum})
		})
		return out
	}
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
	out := Association{Column: a.Column, Crowded: a.Crowded || b.Crowded, Squares: a.Squares + b.Squares}
	if out.Crowded {
		return out
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
	return out
}

// Explained is the share of the label's entropy (of its variance, for task
// regression) that the feature explains, 0 to 1, less what as many cells of pure
// chance would. It is false where there is nothing to learn from: no rows, one
// label, or a crowded feature.
func (a Association) Explained(task models.Task) (float64, bool) {
	if task == models.TaskRegression {
		return a.explainedVariance()
	}
	return a.explainedEntropy()
}

// explainedEntropy is the uncertainty coefficient. Chance adds about
// (cells-1)(labels-1)/2n nats to the information (Miller 1955).
func (a Association) explainedEntropy() (float64, bool) {
	var labels []float64
	rows, within := 0.0, 0.0
	for _, cell := range a.Cells {
		known := cell.Labels[:len(cell.Labels)-1] // the last is what is no label
		if labels == nil {
			labels = make([]float64, len(known))
		}
		inside := 0.0
		for i, n := range known {
			labels[i] += float64(n)
			inside += float64(n)
			within -= xlogx(float64(n))
		}
		within += xlogx(inside)
		rows += inside
	}
	whole, different := xlogx(rows), 0.0
	for _, n := range labels {
		whole -= xlogx(n)
		if n > 0 {
			different++
		}
	}
	if different < 2 {
		return 0, false
	}
	chance := float64(len(a.Cells)-1) * (different - 1) / 2
	return max(0, min(1, (whole-within-chance)/whole)), true
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
