package fit

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// The mix is bounded: the rarest shape makes room for a new one.
const (
	maxShapes = 64
	// relearn is by how much the mix has to grow until scores follow it.
	relearn = 0.25
	// halfLife is after how many requests a shape that no longer comes counts half.
	halfLife = 20000
	// priorWeight is how many requests the prior counts for.
	priorWeight = 8
)

// coresOfOthers is how much of the cores that requests without devices take is
// taken from those with. With all of them, gangs and scarce models lose at full load.
const coresOfOthers = 0.5

// mix is the decayed histogram of the shapes that were asked for.
type mix struct {
	shapes []models.ShapeCount // sorted by key
	total  float64
	since  float64 // observed since the scorer learned
}

// Learn replaces the mix, such as by one that was kept.
func (c *Cluster) Learn(shapes []models.ShapeCount) {
	c.mix = mix{shapes: slices.Clone(shapes)}
	slices.SortFunc(c.mix.shapes, func(a, b models.ShapeCount) int { return cmp.Compare(a.Key, b.Key) })
	for _, s := range shapes {
		c.mix.total += s.Weight
	}
	c.scorer.epoch = 0
}

// Shapes is the mix, sorted by key, to be kept and learned again.
func (c *Cluster) Shapes() []models.ShapeCount { return slices.Clone(c.mix.shapes) }

// Observe counts a request in the mix, once for each host that it needs.
// Whoever asks again for the same thing should not be counted again.
func (c *Cluster) Observe(g Gang) {
	s := shapeOf(g)
	count := float64(max(g.MinNodes, 1))
	m := &c.mix
	if m.total > halfLife { // halve all, so that the old counts less and less
		for i := range m.shapes {
			m.shapes[i].Weight /= 2
		}
		m.total /= 2
	}
	at, known := slices.BinarySearchFunc(m.shapes, s.Key, func(s models.ShapeCount, key string) int { return cmp.Compare(s.Key, key) })
	if !known {
		if len(m.shapes) >= maxShapes {
			rarest := 0
			for i := range m.shapes {
				if m.shapes[i].Weight < m.shapes[rarest].Weight {
					rarest = i
				}
			}
			m.total -= m.shapes[rarest].Weight
			m.shapes = slices.Delete(m.shapes, rarest, rarest+1)
			if rarest < at {
				at--
			}
		}
		m.shapes = slices.Insert(m.shapes, at, s)
	}
	m.shapes[at].Weight += count
	m.total += count
	m.since += count
}

func shapeOf(g Gang) models.ShapeCount {
	gpus := g.PerNode
	if g.Total > 0 {
		gpus = g.Total
	}
	if len(g.UUIDs) > 0 {
		gpus = len(g.UUIDs)
	}
	s := models.ShapeCount{GPUs: gpus, Milli: g.milli(), CPUMilli: g.cpu(gpus), MIGProfile: g.MIGProfile}
	for _, m := range g.Models {
		s.Models = append(s.Models, strings.ToLower(m))
	}
	slices.Sort(s.Models)
	b := make([]byte, 0, 64)
	for _, v := range []int64{int64(s.GPUs), s.Milli, s.CPUMilli} {
		b = append(strconv.AppendInt(b, v, 10), ' ')
	}
	b = append(append(b, s.MIGProfile...), ' ')
	s.Key = string(append(b, strings.Join(s.Models, "|")...))
	return s
}

// prior stands for requests while few have come: single devices mostly, and
// gangs of a few, with some cores.
func prior() []models.ShapeCount {
	return []models.ShapeCount{
		{GPUs: 1, Milli: 1000, CPUMilli: 8000, Weight: 0.7 * priorWeight},
		{GPUs: 8, Milli: 1000, CPUMilli: 64000, Weight: 0.3 * priorWeight},
	}
}

// learn brings the scorer up to the mix when that has changed enough. Scores of
// earlier epochs are void then.
func (c *Cluster) learn() {
	m := &c.mix
	if c.scorer.epoch != 0 && m.since <= relearn*m.total {
		return
	}
	m.since = 0
	c.change++
	s := scorer{epoch: c.change, kinds: make([]mixOfKind, len(c.kinds))}
	shapes := m.shapes
	if c.policy != PolicyFGD {
		shapes = append(prior(), shapes...)
	}
	var total, cpu, gpus float64
	for _, sh := range shapes {
		if c.policy == PolicyFGD || sh.GPUs > 0 {
			total += sh.Weight
		}
		if sh.GPUs == 0 {
			cpu += coresOfOthers * sh.Weight * float64(sh.CPUMilli)
		} else {
			cpu += sh.Weight * float64(sh.CPUMilli)
			gpus += sh.Weight * float64(sh.GPUs) * float64(sh.Milli) / models.WholeGPU
		}
	}
	s.cores = cpu / max(gpus, 1e-9)
	for i, k := range c.kinds {
		of := &s.kinds[i]
		for _, sh := range shapes {
			if sh.GPUs == 0 && c.policy != PolicyFGD {
				continue // it loses every free device, wherever things are placed
			}
			w := sh.Weight / max(total, 1e-9)
			if sh.GPUs == 0 || sh.MIGProfile != k.profile || !admitsModel(sh.Models, c.models[k.model]) {
				of.foreign += w
				continue
			}
			of.shapes = append(of.shapes, shape{weight: w, gpus: sh.GPUs, milli: sh.Milli, cpu: sh.CPUMilli})
		}
		of.order()
	}
	c.scorer = s
}

// order sorts the shapes so that the first that lacks cores ends the search.
func (m *mixOfKind) order() {
	slices.SortStableFunc(m.shapes, func(a, b shape) int { return cmp.Compare(a.cpu, b.cpu) })
	onward := 0.0
	for i := len(m.shapes) - 1; i >= 0; i-- {
		onward += m.shapes[i].weight
		m.shapes[i].onward = onward
	}
}
