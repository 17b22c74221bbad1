package metric

import (
	"gonum.org/v1/gonum/floats"

	"github.com/mainspring-ml/mainspring/models"
)

// side is one model: its answers, and what becomes of them.
type side struct {
	answers Answers
	scorer  scorer
	sums    []float64 // by segment, block and column
	broken  []bool    // by segment: a row makes no sense
	ranks   []ranks   // by class; one for task binary
	figures [][]figures
	curves  rankCurves
	bins    []models.ReliabilityBin
}

// measureSides fills in the sides: first the passes over rows, one for sums and
// one for each ranking, then the resamples of sums.
func measureSides(s Sample, p plan, draws resamples, set Settings, sides []side) {
	var jobs []func()
	for i := range sides {
		m := &sides[i]
		m.scorer = scorerOf(s, m.answers, set)
		m.figures = make([][]figures, len(p.segments))
		jobs = append(jobs, func() { m.addUp(s, p) })
	}
	for i := range sides {
		m := &sides[i]
		if !p.wants(auc, prAUC) {
			continue
		}
		classes := 1
		if s.Task == models.TaskMulticlass {
			classes = m.answers.Classes
		}
		m.ranks = make([]ranks, classes)
		for class := range classes {
			jobs = append(jobs, func() { m.rank(class, s, p, draws) })
		}
	}
	each(len(jobs), func(i int) { jobs[i]() })
	each(len(sides)*len(p.segments), func(i int) { sides[i%len(sides)].resample(i/len(sides), p, draws) })
}

// addUp makes the sums by segment and block.
func (m *side) addUp(s Sample, p plan) {
	width := m.scorer.columns()
	m.sums = make([]float64, len(p.segments)*p.blocks*width)
	m.broken = make([]bool, len(p.segments))
	var diagram reliability
	add := func(segment, block int32, terms []term) {
		if terms == nil {
			m.broken[segment] = true
			return
		}
		into := m.sums[(int(segment)*p.blocks+int(block))*width:]
		for _, t := range terms {
			into[t.column] += t.value
		}
	}
	buffer := make([]term, 0, 8)
	for i, block := range s.Blocks {
		terms := m.scorer.row(i, buffer)
		add(0, block, terms)
		for _, segment := range p.of(i) {
			if segment >= 0 {
				add(segment, block, terms)
			}
		}
		if terms != nil {
			if predicted, outcome, ok := m.scorer.bin(i); ok {
				diagram.add(predicted, outcome)
			}
		}
	}
	m.bins = diagram.list()
}

// resample fills in the figures of one segment.
func (m *side) resample(segment int, p plan, draws resamples) {
	all := make([]figures, draws.count())
	m.figures[segment] = all
	width := m.scorer.columns()
	sums := m.sums[segment*p.blocks*width : (segment+1)*p.blocks*width]
	total := make([]float64, width)
	for i := range all {
		all[i] = noFigures()
		if m.broken[segment] || p.blocks == 0 {
			continue
		}
		weights := draws.of(i)
		clear(total)
		for _, b := range p.segments[segment].blocks {
			if w := weights[b]; w != 0 {
				floats.AddScaled(total, float64(w), sums[int(b)*width:(int(b)+1)*width])
			}
		}
		m.scorer.figures(total, &all[i])
		for class := range m.ranks {
			r := m.ranks[class][segment][i]
			if class == 0 {
				all[i][auc], all[i][prAUC] = 0, r.precision
			}
			all[i][auc] += r.area / float64(len(m.ranks))
		}
	}
}

// blockLosses are the losses of each block.
func blockLosses(p plan, sides []side) []BlockLoss {
	losses := make([]BlockLoss, p.blocks)
	for b := range losses {
		for i, m := range sides {
			sums := m.sums[b*m.scorer.columns():]
			mean := 0.0
			if sums[rowColumn] > 0 {
				mean = sums[lossColumn] / sums[rowColumn]
			}
			if i == 0 {
				losses[b].Rows, losses[b].Candidate = int64(sums[rowColumn]), mean
			} else {
				losses[b].Champion = mean
			}
		}
	}
	return losses
}

func curves(sides []side) Curves {
	var c Curves
	for i, m := range sides {
		switch {
		case m.broken[0]: // what the other rows say would pass for the whole
		case i == 0:
			c.ROC, c.PR, c.Reliability = m.curves.roc, m.curves.pr, m.bins
		default:
			c.ChampionROC, c.ChampionPR, c.ChampionReliability = m.curves.roc, m.curves.pr, m.bins
		}
	}
	return c
}
