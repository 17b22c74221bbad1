package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// listed is how many names a sentence holds before it counts the rest.
const listed = 3

// Explain says why a request waits, in words and numbers; "" when it does not.
func (p *Pool) Explain(requestID string, now time.Time) string {
	w := p.askedBy[requestID]
	if w == nil {
		return ""
	}
	p.order(now)
	return p.explain(w, now)
}

func (p *Pool) explain(w *asked, now time.Time) string {
	if len(p.rest.Nodes) == 0 {
		return "needs " + describe(w.Resources) + "; pool " + p.rest.Pool + " has no hosts: start `mainspring agent` on one"
	}
	said := []string{"needs " + describe(w.Resources)}
	if len(w.Promised) > 0 {
		return strings.Join(append(said, p.promisedTo(w)), "; ")
	}
	if !w.Proven {
		if reason := p.whyImpossible(w); reason != "" {
			return strings.Join(append(said, reason, "waits "+spell(p.rest.JoinedAt.Add(settleAfter).Sub(now))+" for more hosts to join"), "; ")
		}
	} else if reason := p.whyImpossible(w); reason != "" {
		return strings.Join(append(said, "no longer possible: "+reason, "waits for hosts or devices to come back: add some, or withdraw it"), "; ")
	}
	if t := p.tenant(w.Resources.Tenant); w.milli > t.room() {
		said = append(said, fmt.Sprintf("quota of tenant %s: %s of %s devices in use", t.Name, devices(t.held), devices(t.QuotaMilli)))
	}
	said = append(said, "best now "+p.bestNow(w))
	if ahead := p.aheadOf(w); ahead != "" {
		said = append(said, "ahead of you: "+ahead)
	}
	said = append(said, p.reservations(w, now)...)
	if users := p.users(w); users != "" {
		said = append(said, "in use by: "+users)
	}
	return strings.Join(append(said, "earliest expected: "+p.expected(w, now)), "; ")
}

// promisedTo says what a request gets, from whom, and when at the latest.
func (p *Pool) promisedTo(w *asked) string {
	var from []string
	var by time.Time
	for _, h := range p.leases {
		if h.Ending != nil && slices.ContainsFunc(w.Promised, func(part models.LeaseNode) bool { return h.on(part.Node) }) {
			from = append(from, who(h.LeaseRequest))
			if h.Ending.By.After(by) {
				by = h.Ending.By
			}
		}
	}
	var rooms []string
	for _, part := range w.Promised {
		rooms = append(rooms, fmt.Sprintf("%d on %s", len(part.Devices), part.Node))
	}
	return fmt.Sprintf("promised to you: %s, when %s has given way; earliest expected: by %s", list(rooms), list(from), clock(by))
}

// bestNow is what is free for it, counted by how much it is.
func (p *Pool) bestNow(w *asked) string {
	for _, host := range w.ReservedOn { // closed to all others
		p.cluster.Close(host, false)
		defer p.cluster.Close(host, true)
	}
	var counts []string
	var last, times int
	flush := func() {
		if times > 0 {
			counts = append(counts, fmt.Sprintf("%d × %d", times, last))
		}
	}
	for _, room := range p.cluster.Rooms(w.gang) {
		if room.Devices != last {
			flush()
			last, times = room.Devices, 0
		}
		times++
	}
	flush()
	if len(counts) == 0 {
		return "none"
	}
	if len(counts) > listed {
		counts = append(counts[:listed], "less elsewhere")
	}
	return strings.Join(counts, " + ")
}

func (p *Pool) aheadOf(w *asked) string {
	at := slices.Index(p.waiting, w)
	var names []string
	for _, other := range p.waiting[:min(at, listed)] {
		name := who(other.LeaseRequest)
		if other.Resources.Priority != 0 {
			name += fmt.Sprintf(" (priority %d)", other.Resources.Priority)
		}
		names = append(names, name)
	}
	if at > listed {
		names = append(names, fmt.Sprintf("%d more", at-listed))
	}
	return strings.Join(names, ", ")
}

// reservations says what is kept for it, or by what it is held back.
func (p *Pool) reservations(w *asked, now time.Time) (said []string) {
	if len(w.ReservedOn) > 0 {
		return []string{fmt.Sprintf("%s kept for you since %s", list(w.ReservedOn), spell(now.Sub(w.ReservedAt)))}
	}
	var by []string
	for _, other := range p.waiting {
		if len(other.ReservedOn) > 0 && other.Resources.Priority >= w.Resources.Priority && !w.Resources.Preemptible {
			by = append(by, who(other.LeaseRequest))
		}
	}
	if len(by) > 0 {
		said = append(said, "held back by what is kept for "+list(by))
	}
	return said
}

// users are the leases on devices of the kind that it wants.
func (p *Pool) users(w *asked) string {
	var names []string
	for _, h := range p.leases {
		if len(names) == listed {
			return strings.Join(append(names, fmt.Sprintf("others (%d leases in all)", len(p.leases))), ", ")
		}
		if slices.ContainsFunc(h.Nodes, func(part models.LeaseNode) bool { return len(part.Devices) > 0 && suits(part.Devices[0], w) }) {
			names = append(names, who(h.LeaseRequest))
		}
	}
	return strings.Join(names, ", ")
}

func (p *Pool) expected(w *asked, now time.Time) string {
	if w.place.ahead || len(w.ReservedOn) > 0 {
		for _, h := range p.leases {
			if h.Ending != nil {
				return "when leases end that have been asked for, by " + clock(h.Ending.By)
			}
		}
	}
	for _, h := range p.leases {
		if h.Resources.Preemptible && h.Ending == nil && h.place(p, now).yields(w.place) {
			return "leases that come after it can be asked for from " + clock(p.nextPlan())
		}
	}
	return "unknown: nothing says when the leases end"
}

// impossible says that a request can never be granted.
func (p *Pool) impossible(w *asked, reason string) string {
	if _, rest, found := strings.Cut(reason, "; "); found && strings.HasPrefix(reason, "needs ") {
		reason = rest // what it needs is said already
	}
	return fmt.Sprintf("needs %s; pool %s can't hold that even when idle: %s; add hosts, or ask for less", describe(w.Resources), p.rest.Pool, reason)
}

func suits(d models.Device, w *asked) bool {
	g := w.gang
	if len(g.UUIDs) > 0 {
		return slices.Contains(g.UUIDs, d.UUID)
	}
	if d.MIGProfile != g.MIGProfile || d.MemoryMiB < g.MemoryMiB {
		return false
	}
	return len(g.Models) == 0 || slices.ContainsFunc(g.Models, func(m string) bool { return strings.Contains(strings.ToLower(d.Model), strings.ToLower(m)) })
}

// describe writes a shape as people say it.
func describe(r models.Resources) string {
	kind := "device"
	switch {
	case r.DeviceModel != "" && len(r.DeviceModels) == 0:
		kind = r.DeviceModel
	case r.DeviceModel == "" && len(r.DeviceModels) == 1:
		kind = r.DeviceModels[0]
	}
	words := ""
	switch {
	case len(r.UUIDs) > 0:
		words = list(r.UUIDs)
	case r.GPUs > 0:
		words = fmt.Sprintf("%s in all (%s)", count(r.GPUs, kind), cmp.Or(r.Placement, models.PlacementPack))
	case r.MinNodes < r.Nodes:
		words = fmt.Sprintf("%d to %s × %s", r.MinNodes, count(r.Nodes, "node"), count(r.GPUsPerNode, kind))
	default:
		words = fmt.Sprintf("%s × %s", count(r.Nodes, "node"), count(r.GPUsPerNode, kind))
	}
	if len(r.DeviceModels) > 0 && kind == "device" {
		words += " of model " + strings.Join(slices.Concat(strip(r.DeviceModel), r.DeviceModels), " or ")
	}
	if r.GPUMilli > 0 && r.GPUMilli < models.WholeGPU {
		words += fmt.Sprintf(", %d/1000 of each", r.GPUMilli)
	}
	if r.MIGProfile != "" {
		words += ", MIG " + r.MIGProfile
	}
	if r.DeviceMemory > 0 {
		words += " with at least " + r.DeviceMemory.String()
	}
	if r.CPUsPerGPU > 0 {
		words += fmt.Sprintf(", %g cores with each", r.CPUsPerGPU)
	}
	if r.MemoryPerGPU > 0 {
		words += ", " + r.MemoryPerGPU.String() + " of host memory with each"
	}
	return words
}

// count writes a number of things; models have no plural.
func count(n int, thing string) string {
	if n != 1 && (thing == "node" || thing == "device") {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func strip(model string) []string {
	if model == "" {
		return nil
	}
	return []string{model}
}

// who names a request for people.
func who(r models.LeaseRequest) string { return cmp.Or(r.Purpose, r.RequestID) }

// devices writes thousandths of a device as devices.
func devices(milli int64) string { return fmt.Sprintf("%g", float64(milli)/models.WholeGPU) }

func list(items []string) string {
	if len(items) <= listed {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:listed], ", "), len(items)-listed)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// spell writes how long something takes, to the second.
func spell(d time.Duration) string { return max(d, 0).Round(time.Second).String() }
