package placement

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// victim is a lease that may be asked back.
type victim struct {
	*held
	place     place
	lost      int64 // GPU-milliseconds of work that its end would throw away
	protected bool  // has not run long enough yet
}

// planning is one look at who could give way to whom.
type planning struct {
	victims []victim         // the least lost first
	on      map[string][]int // by node; indexes into victims
	futile  map[futile]bool
	moved   bool // something was asked back
}

// futile is what was tried in vain in this planning.
type futile struct {
	shape int
	place place
}

// plan asks preemptible leases back for requests that come before them, at most
// once in planEvery. What it frees is promised at once. It reports whether it
// changed anything.
func (p *Pool) plan(e *Effects, now time.Time) bool {
	if now.Sub(p.rest.PlannedAt) < planEvery || !slices.ContainsFunc(p.waiting, unpromised) {
		return false
	}
	look := p.survey(now)
	if !slices.ContainsFunc(look.victims, func(v victim) bool { return !v.protected || p.backfilled(v.held) }) {
		return false
	}
	p.rest.PlannedAt = now
	freed := p.freed
	for _, w := range p.waiting {
		if !unpromised(w) {
			continue
		}
		gang, within := p.withinQuota(w)
		if !within {
			continue
		}
		if look.moved { // there may be more room now than was asked for
			if within, parts, ok := p.try(w); ok {
				p.serve(e, w, within, parts, now)
				continue
			}
		}
		if key := (futile{w.shape, w.place}); len(w.ReservedOn) > 0 || !look.futile[key] {
			if !p.makeRoom(e, look, w, gang, now) {
				look.futile[key] = true
			}
		}
	}
	p.sweep()
	return p.freed != freed
}

func unpromised(w *asked) bool { return len(w.Promised) == 0 }

// survey lists who could be asked to leave: not who has only just come.
func (p *Pool) survey(now time.Time) *planning {
	look := &planning{on: map[string][]int{}, futile: map[futile]bool{}}
	for _, h := range p.leases {
		if h.Resources.Preemptible && h.Ending == nil && h.GrantedAt.Before(now) {
			since := h.GrantedAt
			if h.SavedAt.After(since) {
				since = h.SavedAt
			}
			look.victims = append(look.victims, victim{
				held: h, place: h.place(p, now), lost: h.milli * max(now.Sub(since), 0).Milliseconds() / 1000,
				protected: now.Before(h.protectedUntil()),
			})
		}
	}
	slices.SortFunc(look.victims, func(a, b victim) int { return cmp.Or(cmp.Compare(a.lost, b.lost), cmp.Compare(b.Token, a.Token)) })
	for i, v := range look.victims {
		for _, part := range v.Nodes {
			look.on[part.Node] = append(look.on[part.Node], i)
		}
	}
	return look
}

// protectedUntil is until when a preemptible lease is left alone.
func (h *held) protectedUntil() time.Time {
	protected := time.Duration(h.Resources.MinRuntime)
	if h.milli > 0 {
		protected = max(protected, time.Duration(protectedPart*float64(h.UsedGPUSeconds*models.WholeGPU/h.milli))*time.Second)
	}
	return h.GrantedAt.Add(protected)
}

// backfilled reports whether a lease was granted on a host that was kept for
// somebody: it was warned.
func (p *Pool) backfilled(h *held) bool {
	return slices.ContainsFunc(h.Nodes, func(part models.LeaseNode) bool {
		w := p.kept[part.Node]
		return w != nil && h.startedUnder(w)
	})
}

func (h *held) startedUnder(w *asked) bool {
	return h.GrantedAt.After(w.ReservedAt) && h.Resources.Priority <= w.Resources.Priority
}

// mayAsk reports whether a lease gives way to a request.
func (p *Pool) mayAsk(w *asked, v victim) bool {
	if v.Ending != nil {
		return false
	}
	if len(w.ReservedOn) > 0 && v.startedUnder(w) && slices.ContainsFunc(v.Nodes, func(part models.LeaseNode) bool { return p.kept[part.Node] == w }) {
		return true
	}
	return !v.protected && v.place.yields(w.place)
}

// makeRoom finds the leases whose end costs least and makes a request fit, asks
// for them, and promises what they leave.
func (p *Pool) makeRoom(e *Effects, look *planning, w *asked, gang fit.Gang, now time.Time) bool {
	chosen := p.choose(look, w, gang)
	if len(chosen) == 0 {
		return false
	}
	for _, i := range chosen {
		p.cluster.Give(look.victims[i].Nodes)
	}
	gang.MaxNodes = gang.MinNodes // nobody is asked to leave for more than the least
	_, fits := p.pick(w, gang)
	var needed []int
	for k := len(chosen) - 1; k >= 0; k-- { // the dearest first: is it needed at all?
		v := look.victims[chosen[k]]
		p.cluster.Take(v.Nodes)
		if !fits {
			continue
		}
		if _, without := p.pick(w, gang); !without {
			p.cluster.Give(v.Nodes)
			needed = append(needed, chosen[k])
		}
	}
	if !fits {
		return false
	}
	parts, _ := p.pick(w, gang)
	slices.Sort(needed)
	for _, i := range needed {
		p.cluster.Take(look.victims[i].Nodes) // end gives it back, for good
		p.end(e, look.victims[i].held, "devices are needed for "+who(w.LeaseRequest)+" ("+standing(w, look.victims[i].place)+")", now)
	}
	look.moved = look.moved || len(needed) > 0
	p.serve(e, w, gang, parts, now)
	return true
}

// choose picks victims, indexes in ascending order of loss, that might make
// enough room. makeRoom proves it.
func (p *Pool) choose(look *planning, w *asked, gang fit.Gang) []int {
	if len(gang.UUIDs) > 0 {
		return p.owners(look, w, gang)
	}
	free := map[string]int{}
	opened := p.admitting(w)
	p.open(opened, true)
	for _, room := range p.cluster.Rooms(gang) {
		free[room.Node] = room.Devices
	}
	p.open(opened, false)
	each, enough := portions(gang)
	var offers []offer
	for _, room := range p.roster.Rooms(gang) {
		at, _ := p.find(room.Node)
		if !usable(p.rest.Nodes[at]) || p.kept[room.Node] != nil && !slices.Contains(opened, room.Node) {
			continue
		}
		o := offer{node: room.Node, model: room.Model, devices: free[room.Node]}
		want := each
		if gang.Total > 0 {
			want = gang.Total
		}
		for _, i := range look.on[room.Node] {
			if o.devices >= want {
				break
			}
			if v := look.victims[i]; p.mayAsk(w, v) {
				if gained := gains(v.held, room, gang); gained > 0 {
					o.devices += gained
					o.lost += v.lost
					o.victims = append(o.victims, i)
				}
			}
		}
		if o.devices >= each {
			offers = append(offers, o)
		}
	}
	return cheapest(offers, enough, gang.Total > 0)
}

// offer is what one host could give, and at which price.
type offer struct {
	node, model string
	devices     int
	lost        int64
	victims     []int
}

// cheapest gathers offers of one model until they are enough, and returns their
// victims.
func cheapest(offers []offer, enough int, counting bool) []int {
	slices.SortFunc(offers, func(a, b offer) int {
		return cmp.Or(cmp.Compare(a.lost, b.lost), cmp.Compare(a.node, b.node))
	})
	got, victims := map[string]int{}, map[string][]int{}
	for _, o := range offers {
		victims[o.model] = append(victims[o.model], o.victims...)
		if counting {
			got[o.model] += o.devices
		} else {
			got[o.model]++
		}
		if got[o.model] >= enough {
			chosen := victims[o.model]
			slices.Sort(chosen)
			return slices.Compact(chosen)
		}
	}
	return nil
}

// gains is how many devices of a gang a lease's end would free on one host.
func gains(h *held, room fit.Room, gang fit.Gang) (devices int) {
	for _, part := range h.Nodes {
		if part.Node != room.Node {
			continue
		}
		for _, d := range part.Devices {
			if d.MIGProfile == gang.MIGProfile && d.MemoryMiB >= gang.MemoryMiB && d.Model == room.Model && !slices.Contains(gang.Exclude, d.UUID) {
				devices++
			}
		}
	}
	return devices
}

// owners are the leases that hold any of the devices a gang names; none when one
// of them can't be asked.
func (p *Pool) owners(look *planning, w *asked, gang fit.Gang) (owners []int) {
	for i, v := range look.victims {
		holds := slices.ContainsFunc(v.Nodes, func(part models.LeaseNode) bool {
			return slices.ContainsFunc(part.Devices, func(d models.Device) bool { return slices.Contains(gang.UUIDs, d.UUID) })
		})
		if holds && p.mayAsk(w, v) {
			owners = append(owners, i)
		}
	}
	return owners
}

// standing says why one goes before the other.
func standing(w *asked, v place) string {
	switch {
	case w.place.priority > v.priority:
		return "priority"
	case w.place.ahead:
		return "it has waited long"
	case w.place.tenant != v.tenant && v.share > tenantFactor*w.place.share:
		return "its tenant has had less"
	case len(w.ReservedOn) > 0:
		return "the host is kept for it"
	}
	return "it has had less"
}
