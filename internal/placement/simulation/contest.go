package simulation

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Contest is a world without trouble, in which gangs want the same hosts at the
// same time: whoever held some while waiting for others would wait for ever.
func Contest(config Config) Report {
	w := newWorld(config)
	w.calm = true
	hosts := 2 + w.random.IntN(3)
	w.plainHosts(hosts, 1)
	for i := range 6 {
		h := w.plainHolder(fmt.Sprintf("gang-%d", i), models.Resources{Nodes: 2 + w.random.IntN(hosts-1), GPUsPerNode: 1}, time.Minute)
		w.after(time.Minute+w.upTo(time.Second), h.begin)
	}
	w.after(2*time.Hour, func() { w.expectSettled("two hours of six gangs with a minute of work each") })
	return w.live(config.Seed, w.settled)
}

// Comeback is a world in which a holder crashes and is started again under the
// same ID, before anybody has noticed. It needs what its predecessor holds.
func Comeback(config Config) Report {
	w := newWorld(config)
	w.calm = true
	w.plainHosts(1, 1)
	h := w.plainHolder("job", models.Resources{Nodes: 1, GPUsPerNode: 1}, time.Hour)
	w.after(time.Minute, h.begin)
	w.after(2*time.Minute+w.upTo(time.Minute), func() {
		h.crash()
		w.after(w.upTo(5*time.Second), h.restart)
	})
	w.after(3*time.Hour, func() { w.expectSettled("three hours of one job of an hour") })
	return w.live(config.Seed, w.settled)
}

const (
	// streamEnds is how long small requests keep coming, about as many as there is
	// room for.
	streamEnds = 80 * time.Minute
	// largeArrives and largeWithin: a gang that needs the whole pool comes, and
	// has its turn, while they do.
	largeArrives = 10 * time.Minute
	largeWithin  = time.Hour
)

// Stream is a world without trouble, in which a gang that needs the whole pool
// stands against an endless stream of requests for one device.
func Stream(config Config) Report {
	w := newWorld(config)
	w.calm = true
	w.plainHosts(4, 2)
	large := w.plainHolder("large", models.Resources{Nodes: 4, GPUsPerNode: 2}, time.Minute)
	w.after(largeArrives, large.begin)
	w.after(largeArrives+largeWithin, func() {
		if large.attempt == 1 && large.state == waiting {
			w.oracle.violate("the large gang was passed over for %s: %s", largeWithin, w.pool.core.Explain(large.requestID(), w.now))
		}
	})
	number := 0
	var next func()
	next = func() {
		number++
		w.plainHolder(fmt.Sprintf("small-%04d", number), models.Resources{Nodes: 1, GPUsPerNode: 1}, 20*time.Second+w.upTo(80*time.Second)).begin()
		if w.now.Sub(epoch) < streamEnds {
			w.after(w.upTo(16*time.Second), next)
		}
	}
	w.after(time.Minute, next)
	w.after(3*streamEnds, func() { w.expectSettled("the stream ended long ago") })
	return w.live(config.Seed, func() bool { return w.now.Sub(epoch) > streamEnds && w.settled() })
}

func (w *World) expectSettled(when string) {
	if !w.settled() {
		w.oracle.violate("%s, and not everything was granted and given back: %s", when, w.unfinished())
	}
}

func (w *World) plainHosts(hosts, devices int) {
	for i := range hosts {
		w.addHost(i, devices, "H100")
		w.after(w.upTo(time.Second), w.hosts[i].appear)
	}
}

func (w *World) plainHolder(id string, r models.Resources, work time.Duration) *holder {
	h := &holder{w: w, id: id, state: idle, work: work, every: 10 * time.Second}
	h.template = models.LeaseRequest{Purpose: "train " + id, Resources: r}
	w.holders = append(w.holders, h)
	w.byID[id] = h
	return h
}
