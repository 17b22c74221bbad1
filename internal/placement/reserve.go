package placement

import (
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// reserve keeps hosts for the first in order who does not fit, and for some of
// those who have waited long. The hosts stay the same until it is served:
// holders end sooner or later, nobody new comes who can't be asked to leave, so
// it is.
func (p *Pool) reserve(e *Effects, now time.Time) {
	reserved := map[int]int{} // by priority
	for _, w := range p.waiting {
		if len(w.ReservedOn) > 0 {
			reserved[w.Resources.Priority]++
		}
	}
	for _, w := range p.waiting {
		most := 1
		if w.place.ahead {
			most = agedReservations
		}
		if len(w.Promised) > 0 || len(w.ReservedOn) > 0 || reserved[w.Resources.Priority] >= most {
			continue
		}
		if _, within := p.withinQuota(w); !within {
			continue
		}
		hosts := p.target(w)
		if len(hosts) == 0 {
			continue
		}
		w.ReservedAt, w.ReservedOn = now, hosts
		p.keep(w)
		reserved[w.Resources.Priority]++
		e.wait(w, p.explain(w, now))
	}
}

// target chooses hosts that could hold a gang when idle, those first where the
// least is missing; none: no set of hosts that is not kept already would do.
func (p *Pool) target(w *asked) []string {
	free := map[string]int{}
	for _, room := range p.cluster.Rooms(w.gang) {
		free[room.Node] = room.Devices
	}
	if len(w.gang.UUIDs) > 0 {
		return p.homes(w.gang.UUIDs, nil)
	}
	rooms := p.capacity(w, nil)
	each, _ := portions(w.gang)
	slices.SortStableFunc(rooms, func(a, b fit.Room) int {
		return max(each-free[a.Node], 0) - max(each-free[b.Node], 0)
	})
	return gather(rooms, w.gang)
}

// stillHold reports whether the hosts that are kept for a request would do.
func (p *Pool) stillHold(w *asked) bool {
	if len(w.gang.UUIDs) > 0 {
		return slices.Equal(p.homes(w.gang.UUIDs, w), w.ReservedOn)
	}
	rooms := slices.DeleteFunc(p.capacity(w, w), func(r fit.Room) bool { return !slices.Contains(w.ReservedOn, r.Node) })
	return len(gather(rooms, w.gang)) > 0
}

// capacity is what each usable host could give a gang if it were idle. Hosts
// that are kept for others than owner are left out.
func (p *Pool) capacity(w, owner *asked) []fit.Room {
	var rooms []fit.Room
	for _, room := range p.roster.Rooms(w.gang) {
		at, _ := p.find(room.Node)
		room.Devices -= len(p.rest.Nodes[at].Quarantined)
		if kept := p.kept[room.Node]; (kept == nil || kept == owner) && usable(p.rest.Nodes[at]) && room.Devices > 0 {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// portions is how a gang is made up: so many devices each, so many times. A
// total comes one by one.
func portions(g fit.Gang) (each, times int) {
	if g.Total > 0 {
		return 1, g.Total
	}
	return g.PerNode, g.MinNodes
}

// gather takes rooms of one model until they hold a gang.
func gather(rooms []fit.Room, gang fit.Gang) []string {
	each, times := portions(gang)
	got, names := map[string]int{}, map[string][]string{}
	for _, room := range rooms {
		if room.Devices < each {
			continue
		}
		names[room.Model] = append(names[room.Model], room.Node)
		if gang.Total > 0 {
			got[room.Model] += room.Devices
		} else {
			got[room.Model]++
		}
		if got[room.Model] >= times {
			return slices.Sorted(slices.Values(names[room.Model]))
		}
	}
	return nil
}

// homes are the hosts of devices, when all are usable and none is kept for
// others than owner.
func (p *Pool) homes(uuids []string, owner *asked) []string {
	var hosts []string
	for _, n := range p.rest.Nodes {
		for _, d := range n.Devices {
			if !slices.Contains(uuids, d.UUID) {
				continue
			}
			if kept := p.kept[n.Node]; !usable(n) || kept != nil && kept != owner {
				return nil
			}
			hosts = append(hosts, n.Node)
		}
	}
	return slices.Compact(hosts)
}

// keep closes a request's reserved hosts to others.
func (p *Pool) keep(w *asked) {
	for _, host := range w.ReservedOn {
		p.kept[host] = w
		p.reindex(host)
	}
}

// unkeep ends a reservation.
func (p *Pool) unkeep(w *asked) {
	hosts := w.ReservedOn
	if len(hosts) == 0 {
		return
	}
	w.ReservedOn, w.ReservedAt = nil, time.Time{}
	for _, host := range hosts {
		delete(p.kept, host)
		p.reindex(host)
	}
	p.freed++
}

// admitting are the kept hosts that a request may use: its own, those kept for
// requests of a lower priority, and all when it can be asked to leave.
func (p *Pool) admitting(w *asked) []string {
	hosts := slices.Clone(w.ReservedOn)
	for _, other := range p.waiting {
		if other != w && (other.Resources.Priority < w.Resources.Priority || w.backfills(other)) {
			hosts = append(hosts, other.ReservedOn...)
		}
	}
	slices.SortFunc(hosts, strings.Compare)
	return hosts
}

// backfills reports whether a request may use what is kept for another
// meanwhile.
func (w *asked) backfills(other *asked) bool {
	return w.Resources.Preemptible && other.Resources.Priority >= w.Resources.Priority && len(w.ReservedOn) == 0
}

// open lifts or restores what keeps hosts closed.
func (p *Pool) open(hosts []string, open bool) {
	for _, name := range hosts {
		if at, known := p.find(name); known {
			host := hostOf(p.rest.Nodes[at])
			host.Closed = host.Closed || !open
			p.cluster.Upsert(host)
		}
	}
}

func usable(n models.PoolNode) bool { return n.Down == "" && n.Cordoned == "" }
