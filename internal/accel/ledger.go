package accel

import (
	"maps"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Ledger remembers what is wrong with the devices of a host, and since when: a
// fault's time tells it from every other, so it must not change while the fault
// lasts, nor when the agent starts anew. It has no clock and is not safe for
// concurrent use.
type Ledger struct {
	// Boot is the host's boot during which the events happened. A reboot resets
	// the devices, which ends what events have told.
	Boot     string                        `json:"boot"`
	Events   map[string]models.DeviceFault `json:"events"`   // by UUID
	Standing map[string]models.DeviceFault `json:"standing"` // by UUID
}

// sameIncident: a failing device repeats itself, and the pool would void the
// next lease for the last one's failure.
const sameIncident = 10 * time.Second

// restartShown is how long a fault that only restarts stays on display.
const restartShown = time.Hour

// Resume returns the ledger of a host at its present boot, from what the last
// agent left.
func (l Ledger) Resume(boot string) Ledger {
	next := Ledger{Boot: boot, Events: map[string]models.DeviceFault{}, Standing: map[string]models.DeviceFault{}}
	if boot == "" || l.Boot != boot {
		return next
	}
	maps.Copy(next.Events, l.Events)
	maps.Copy(next.Standing, l.Standing)
	return next
}

// Record takes an event's fault. It reports whether that was news: a device that
// is out of use stays so, for its first reason.
func (l Ledger) Record(event Event, now time.Time) (news bool) {
	if event.Fault == nil {
		return false
	}
	for _, uuid := range event.UUIDs {
		before, known := l.Events[uuid]
		switch {
		case known && before.Action == models.FaultQuarantine:
			continue
		case known && before.Code == event.Fault.Code && now.Sub(before.At) < sameIncident:
			continue
		}
		fault := *event.Fault
		fault.At = now
		l.Events[uuid], news = fault, true
	}
	return news
}

// Apply returns the devices with their faults: those the probe has just seen,
// with the time of their first sight, and what events have told. A quarantine
// hides a restart, and an event what follows from it.
func (l Ledger) Apply(devices []models.Device, now time.Time) []models.Device {
	for uuid, fault := range l.Events {
		if fault.Action == models.FaultRestart && now.Sub(fault.At) > restartShown {
			delete(l.Events, uuid)
		}
	}
	applied := slices.Clone(devices)
	standing := map[string]models.DeviceFault{}
	for i := range applied {
		d := &applied[i]
		if d.Fault != nil {
			standing[d.UUID] = l.since(d.UUID, *d.Fault, now)
		}
		d.Fault = worst(l.Events[d.UUID], standing[d.UUID])
	}
	clear(l.Standing)
	maps.Copy(l.Standing, standing)
	return applied
}

func (l Ledger) since(uuid string, fault models.DeviceFault, now time.Time) models.DeviceFault {
	before, known := l.Standing[uuid]
	fault.At = before.At
	if !known || fault != before {
		fault.At = now
	}
	return fault
}

func worst(event, standing models.DeviceFault) *models.DeviceFault {
	switch {
	case event.Action == models.FaultQuarantine || standing.Action == "" && event.Action != "":
		return &event
	case standing.Action != "":
		return &standing
	default:
		return nil
	}
}

// Forget drops what events have told: a person says that the devices were reset.
func (l Ledger) Forget() { clear(l.Events) }

// Recover drops what events have told of devices whose driver says that they
// need nothing any more: they were reset while no agent ran.
func (l Ledger) Recover(figures []Figures) {
	for _, f := range figures {
		if f.Recovery == NeedsNothing {
			delete(l.Events, f.UUID)
		}
	}
}
