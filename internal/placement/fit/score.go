package fit

import "math"

// Policy decides which of the hosts that could take a gang do.
type Policy string

// The policies. All but the default are there to be compared with.
const (
	PolicyDefault    Policy = "default"
	PolicyFGD        Policy = "fgd"      // as published: give it the whole mix in advance with Learn
	PolicyRandom     Policy = "random"   // any
	PolicyBestFit    Policy = "bestfit"  // least left over
	PolicyFirstFit   Policy = "firstfit" // the first by name
	PolicyGPUPacking Policy = "gpupacking"
)

// Policies are all policies.
func Policies() []Policy {
	return []Policy{PolicyDefault, PolicyFGD, PolicyRandom, PolicyBestFit, PolicyFirstFit, PolicyGPUPacking}
}

// state is a host before or after a placement: what is free.
type state struct {
	groups      []group
	cpu, memory int64
}

// scorer knows how much of a host is lost to the mix.
type scorer struct {
	epoch uint64 // 0: nothing learned yet
	kinds []mixOfKind
	cores float64 // milli-cores that usual requests take with a whole device
}

// mixOfKind is the mix as one kind of device sees it. Weights sum to 1 with foreign.
type mixOfKind struct {
	shapes  []shape // the fewest cores first
	foreign float64 // weight of the shapes that can't use the kind at all
}

type shape struct {
	weight, onward float64 // onward: of this shape and all that need as many cores or more
	gpus           int
	milli          int64
	cpu            int64 // on the host
}

// lost is the expected fragmentation of FGD (Weng et al., USENIX ATC 2023): for
// each shape of the mix, the free milli that it can't use.
func (s *scorer) lost(st *state) float64 {
	var lost float64
	var shares [maxShares]share
	for i := range st.groups {
		g := &st.groups[i]
		free, total := tally(g.free, shares[:0])
		if total == 0 {
			continue
		}
		m := &s.kinds[g.kind]
		lost += m.foreign * float64(total)
		for j := range m.shapes {
			sh := &m.shapes[j]
			if st.cpu < sh.cpu { // and so for all that follow
				lost += sh.onward * float64(total)
				break
			}
			small, count := int64(0), 0
			for _, f := range free {
				if f.milli >= sh.milli {
					count += f.devices
				} else {
					small += f.milli * int64(f.devices)
				}
			}
			if count < sh.gpus {
				small = total
			}
			lost += sh.weight * float64(small)
		}
	}
	return lost
}

// share is how many devices of a host have so much free.
type share struct {
	milli   int64
	devices int
}

// maxShares is how many different shares fit without an allocation.
const maxShares = 16

// tally counts equal shares; most hosts have few different ones.
func tally(free []int64, shares []share) ([]share, int64) {
	var total int64
next:
	for _, f := range free {
		if f == 0 {
			continue
		}
		total += f
		for i := range shares {
			if shares[i].milli == f {
				shares[i].devices++
				continue next
			}
		}
		shares = append(shares, share{f, 1})
	}
	return shares, total
}

// stranded are the free milli for which a host has too few cores, at what usual
// requests take.
func (s *scorer) stranded(st *state) float64 {
	if s.cores == 0 {
		return 0
	}
	var total int64
	for i := range st.groups {
		for _, f := range st.groups[i].free {
			total += f
		}
	}
	return max(0, float64(total)-float64(st.cpu)*1000/s.cores)
}

// strandedWeight is what a stranded device counts beside one that is lost to
// the mix: the same.
const strandedWeight = 1

// score ranks a placement, lower is better. The sigmoid in whole hundredths is
// FGD's: it makes nearly equal hosts equal, and ties go to the first by name,
// so that hosts fill one after the other and the rest stays whole.
func (c *Cluster) score(n *node, before float64, after *state) int64 {
	switch c.policy {
	case PolicyRandom:
		return int64(mix64(c.change^uint64(n.version)*0x9e3779b97f4a7c15) >> 8)
	case PolicyFirstFit:
		return 0
	case PolicyBestFit:
		var free int64
		for i := range after.groups {
			for _, f := range after.groups[i].free {
				free += f
			}
		}
		return free*1000/8000 + after.cpu*1000/128000
	case PolicyGPUPacking:
		return gpuPacking(n, after)
	case PolicyDefault, PolicyFGD:
	}
	delta := c.value(after) - before
	return -int64(math.Floor(100 / (1 + math.Exp(delta/1000))))
}

// value is what a state costs under the policy.
func (c *Cluster) value(st *state) float64 {
	switch c.policy {
	case PolicyFGD:
		return c.scorer.lost(st)
	case PolicyDefault:
		return c.scorer.lost(st) + strandedWeight*c.scorer.stranded(st)
	default:
		return 0
	}
}

// gpuPacking prefers devices in use, then hosts in use, then idle hosts.
func gpuPacking(n *node, after *state) int64 {
	used, broken := false, int64(0)
	for i := range n.groups {
		for j, f := range n.groups[i].free {
			used = used || f < 1000
			if f == 1000 && after.groups[i].free[j] < 1000 {
				broken++
			}
		}
	}
	switch {
	case broken == 0:
		return 0
	case used:
		return 100 + broken
	default:
		return 200 + broken
	}
}

func mix64(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
