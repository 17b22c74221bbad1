package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	silenceLimit = 10 * time.Second // after it a host counts as lost
	orphanLimit  = 15 * time.Minute // a job that nobody asks for ends itself
)

// host models a machine, its agent, and the Node workflow that stands for it.
// What is on its disk outlives everything: claims. Jobs outlive the agent.
type host struct {
	w       *World
	name    string
	devices []models.Device
	missing string // UUID of a device that has vanished
	cpu     int64

	joined   bool
	running  bool // the agent's process
	cut      bool // it runs, but nobody hears it
	boot     int
	declared bool // the Node workflow has told the pool that it is down
	silences int  // tells one silence from the next

	outbox  []message // of the Node workflow, in order, until the pool has each
	sending bool

	claims claims
	jobs   []*job // by start; ended ones too, since their directory stays
	locked map[string]*job
	tasks  []*rank // starts that wait for the agent
}

func (w *World) makeHosts() {
	kinds := 1 + w.random.IntN(2)
	for i := range 2 + w.random.IntN(4) {
		h := w.addHost(i, 1+w.random.IntN(4), []string{"H100", "H200"}[i%kinds])
		join := w.upTo(15 * time.Second)
		if i > 0 && w.random.IntN(5) == 0 {
			join = w.upTo(3 * time.Minute)
		}
		w.after(join, h.appear)
	}
}

func (w *World) addHost(number, devices int, kind string) *host {
	h := &host{w: w, name: fmt.Sprintf("host-%d", number), claims: claims{}, locked: map[string]*job{}}
	h.cpu = pick[int64](w, 4000, 8000, 16000)
	for d := range devices {
		h.devices = append(h.devices, models.Device{
			UUID: fmt.Sprintf("gpu-%d%c", number, 'a'+d), Vendor: models.VendorVirtual, Index: d, Model: kind, MemoryMiB: 80 << 10,
		})
	}
	w.hosts = append(w.hosts, h)
	return h
}

// appear starts the agent, the first time or again.
func (h *host) appear() {
	h.joined, h.running, h.declared = true, true, false
	h.boot++
	h.w.note("%s: its agent starts, boot %d", h.name, h.boot)
	h.locked = map[string]*job{} // a lock ends with its holder
	h.back()
	h.announce()
}

func (h *host) silent() bool { return !h.running || h.cut }

// fallSilent lets the Node workflow notice, if it lasts.
func (h *host) fallSilent() {
	h.silences++
	episode := h.silences
	h.w.after(silenceLimit, func() {
		if episode != h.silences || !h.silent() {
			return
		}
		h.declared = true
		h.w.oracle.stats.HostsLost++
		h.report("node "+h.name+" is down", func(now time.Time) placement.Effects {
			down := models.NodeDown{Node: h.name, Reason: "its agent went silent"}
			h.w.oracle.nodeDown(down)
			return h.w.pool.core.NodeDown(down, now)
		})
		h.giveUp()
	})
}

// giveUp ends the activities on a silent host: whoever waits for them is told,
// and the jobs are nobody's.
func (h *host) giveUp() {
	h.tasks = nil
	for _, holder := range h.w.holders {
		for _, r := range holder.ranks {
			if r.host != h || r.over {
				continue
			}
			r.over = true
			h.w.after(h.w.upTo(time.Second), func() { holder.rankEnded(r, "its host is lost") })
		}
	}
	for _, j := range h.jobs {
		h.orphan(j)
	}
}

func (h *host) orphan(j *job) {
	if j.state == jobEnded || j.orphaned {
		return
	}
	j.orphaned = true
	h.w.after(orphanLimit, func() {
		if j.orphaned {
			h.end(j, "nobody has asked for it")
		}
	})
}

// back ends a silence: what waited for the agent reaches it.
func (h *host) back() {
	if h.silent() {
		return
	}
	h.silences++
	tasks := h.tasks
	h.tasks = nil
	for _, r := range tasks {
		h.w.after(h.w.upTo(time.Second), func() { h.start(r) })
	}
	for _, holder := range h.w.holders { // activities of this host are taken up again
		for _, r := range holder.ranks {
			if r.host == h && !r.over && !slices.Contains(tasks, r) {
				h.w.after(h.w.upTo(time.Second), func() { h.start(r) })
			}
		}
	}
	if h.declared {
		h.declared = false
		h.announce()
	}
}

// announce reports the inventory.
func (h *host) announce() {
	info := models.NodeInfo{Node: h.name, Pool: models.DefaultPool, Address: "10.0.0." + h.name, Boot: fmt.Sprint(h.boot), CPUMilli: h.cpu, MemoryMiB: 64 << 10}
	for _, d := range h.devices {
		if d.UUID != h.missing {
			info.Devices = append(info.Devices, d)
		}
	}
	h.report("node "+h.name+" is up", func(now time.Time) placement.Effects {
		h.w.oracle.nodeUp(info)
		return h.w.pool.core.NodeUp(info, now)
	})
}

// report hands a message to the Node workflow, which tells the pool of each in
// order, for as long as it takes.
func (h *host) report(what string, handle func(time.Time) placement.Effects) {
	h.outbox = append(h.outbox, message{what, handle})
	if !h.sending {
		h.sending = true
		h.w.after(h.w.delay(), h.deliver)
	}
}

func (h *host) deliver() {
	h.w.pool.receive(h.outbox[0])
	h.outbox = h.outbox[1:]
	if h.sending = len(h.outbox) > 0; h.sending {
		h.w.after(h.w.delay(), h.deliver)
	}
}

// mend ends whatever is wrong with the host.
func (h *host) mend() {
	changed := h.missing != ""
	h.missing = ""
	for i := range h.devices {
		changed = changed || h.devices[i].Fault != nil
		h.devices[i].Fault = nil
	}
	switch {
	case !h.joined: // it will come by itself
	case !h.running:
		h.cut = false
		h.appear()
	case h.cut:
		h.cut = false
		h.back()
		if changed {
			h.announce()
		}
	case changed:
		h.announce()
	}
}
