package metric

import (
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// segment is a part of the rows that is measured by itself.
type segment struct {
	rows   int64
	blocks []int32              // with rows of the segment, rising
	slice  models.SliceEvidence // column and name; not of the first segment
}

// plan says which segments there are and what is measured on them. Segment 0
// has all rows.
type plan struct {
	blocks   int
	segments []segment
	// places has the segments of each row besides segment 0, one per slicing; -1:
	// in none that is judged. Rows lie together, because ranking visits them in
	// an order that finds nothing in the cache.
	places  []int32
	cuts    int // slicings
	wanted  []slot
	skipped []models.SliceEvidence // slices that are not judged
	order   []int                  // of slices: segment, or ^index into skipped
}

// of gives the places of a row.
func (p *plan) of(row int) []int32 { return p.places[row*p.cuts : (row+1)*p.cuts] }

func arrange(s Sample, set Settings) plan {
	p := plan{cuts: len(s.Slicings), places: make([]int32, len(s.Slicings)*len(s.Labels))}
	if len(s.Blocks) > 0 {
		p.blocks = int(slices.Max(s.Blocks)) + 1
	}
	for at := range slots {
		if s.Task.Has(names[at]) && (len(set.Only) == 0 || slices.Contains(set.Only, names[at])) {
			p.wanted = append(p.wanted, at)
		}
	}
	p.segments = count(s, p.blocks, nil, 1)
	for i, slicing := range s.Slicings {
		p.add(i, slicing, count(s, p.blocks, slicing.Groups, len(slicing.Names)))
	}
	return p
}

// wants tells whether one of the metrics is to be measured.
func (p *plan) wants(metrics ...slot) bool {
	return slices.ContainsFunc(metrics, func(at slot) bool { return slices.Contains(p.wanted, at) })
}

// add makes segments of the groups of one slicing, as far as they are judged.
func (p *plan) add(cut int, slicing Slicing, found []segment) {
	numbers := make([]int32, len(found))
	for g, seg := range found {
		seg.slice = models.SliceEvidence{Column: slicing.Column, Slice: slicing.Names[g], Rows: seg.rows, Blocks: len(seg.blocks)}
		if seg.rows < slicing.MinRows || len(seg.blocks) < 2 {
			numbers[g] = -1
			p.order, p.skipped = append(p.order, ^len(p.skipped)), append(p.skipped, seg.slice)
			continue
		}
		numbers[g] = int32(len(p.segments))
		p.order, p.segments = append(p.order, len(p.segments)), append(p.segments, seg)
	}
	for i, g := range slicing.Groups {
		if g >= 0 {
			g = numbers[g]
		}
		p.places[i*p.cuts+cut] = g
	}
}

// count finds the rows and blocks of each group.
func count(s Sample, blocks int, groups []int32, number int) []segment {
	rows := make([]int32, number*blocks)
	for i, b := range s.Blocks {
		if groups == nil {
			rows[b]++
		} else if g := groups[i]; g >= 0 {
			rows[int(g)*blocks+int(b)]++
		}
	}
	found := make([]segment, number)
	for g := range found {
		for b, n := range rows[g*blocks : (g+1)*blocks] {
			if n > 0 {
				found[g].rows += int64(n)
				found[g].blocks = append(found[g].blocks, int32(b))
			}
		}
	}
	return found
}

// comparison is what the models do in one segment.
type comparison struct{ candidate, champion, gains spread }

func (p *plan) spread(values []figures) spread {
	return spread{values: values, wanted: p.wanted, model: values}
}

func (p *plan) compare(segment int, sides []side) comparison {
	c := comparison{candidate: p.spread(sides[0].figures[segment])}
	if len(sides) > 1 {
		c.champion = p.spread(sides[1].figures[segment])
		c.gains = gains(c.candidate, c.champion)
	}
	return c
}

// evidence lists all slices, in the order of slicings and groups.
func (p *plan) evidence(sides []side, set Settings) []models.SliceEvidence {
	if len(p.order) == 0 {
		return nil
	}
	judged := len(p.segments) - 1
	list := make([]models.SliceEvidence, len(p.order))
	each(len(p.order), func(i int) {
		at := p.order[i]
		if at < 0 {
			list[i] = p.skipped[^at]
			return
		}
		seg := p.segments[at]
		level := bounds{set.Level, len(seg.blocks)}
		strict := bounds{set.Level / float64(judged), len(seg.blocks)}
		c, slice := p.compare(at, sides), seg.slice
		slice.Judged = true
		slice.Candidate, slice.Strict = c.candidate.estimates(level), c.candidate.estimates(strict)
		if len(sides) > 1 {
			slice.Champion = c.champion.estimates(level)
			slice.Gain, slice.StrictGain = c.gain(set.Metric, level), c.gain(set.Metric, strict)
		}
		list[i] = slice
	})
	return list
}

// gain is the gain in the gate's metric; nil when it is not known.
func (c comparison) gain(metric models.Metric, level bounds) *models.Estimate {
	if estimate, ok := c.gains.estimate(slot(slices.Index(names[:], metric)), level); ok {
		return &estimate
	}
	return nil
}
