package accel

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

var noon = time.Date(2013, 1, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

func fault(code string, action models.FaultAction) models.DeviceFault {
	return models.DeviceFault{Code: code, Action: action, Reason: "because"}
}

func xidEvent(code string, action models.FaultAction, uuids ...string) Event {
	f := fault(code, action)
	return Event{UUIDs: uuids, Fault: &f}
}

// at is the fault of one device, as told.
func at(l Ledger, now time.Time, standing *models.DeviceFault) *models.DeviceFault {
	return l.Apply([]models.Device{{UUID: "a", Fault: standing}}, now)[0].Fault
}

func since(f models.DeviceFault, t time.Time) *models.DeviceFault {
	f.At = t
	return &f
}

func TestStandingFaultKeepsTheTimeOfItsFirstSight(t *testing.T) {
	l := Ledger{}.Resume("boot")
	pending, failed := fault("row remapping", models.FaultQuarantine), fault("recovery", models.FaultQuarantine)
	steps := []struct {
		after time.Duration
		sees  *models.DeviceFault
		want  *models.DeviceFault
	}{
		{0, nil, nil},
		{1 * time.Second, &pending, since(pending, after(time.Second))},
		{2 * time.Hour, &pending, since(pending, after(time.Second))},
		{3 * time.Hour, &failed, since(failed, after(3*time.Hour))}, // another one
		{4 * time.Hour, nil, nil},                                   // healed
		{5 * time.Hour, &failed, since(failed, after(5*time.Hour))}, // broken anew
	}
	for _, s := range steps {
		if diff := cmp.Diff(s.want, at(l, after(s.after), s.sees)); diff != "" {
			t.Errorf("after %s: %s", s.after, diff)
		}
	}
}

func TestEventsOfOneIncidentAreOneFault(t *testing.T) {
	l := Ledger{}.Resume("boot")
	restart := fault("XID 94", models.FaultRestart)
	if !l.Record(xidEvent("XID 94", models.FaultRestart, "a"), noon) || l.Record(xidEvent("XID 94", models.FaultRestart, "a"), after(9*time.Second)) {
		t.Error("a repeated XID is news, or the first is not")
	}
	if diff := cmp.Diff(since(restart, noon), at(l, after(10*time.Second), nil)); diff != "" {
		t.Error(diff)
	}
	if !l.Record(xidEvent("XID 94", models.FaultRestart, "a"), after(10*time.Second)) {
		t.Error("the next incident is no news")
	}
	if diff := cmp.Diff(since(restart, after(10*time.Second)), at(l, after(11*time.Second), nil)); diff != "" {
		t.Error(diff)
	}
	if got := at(l, after(10*time.Second+restartShown+1), nil); got != nil {
		t.Errorf("a fault that only restarts is shown for ever: %+v", got)
	}
}

func TestQuarantineStandsForItsFirstReason(t *testing.T) {
	l := Ledger{}.Resume("boot")
	first := fault("XID 79", models.FaultQuarantine)
	l.Record(xidEvent("XID 94", models.FaultRestart, "a"), noon)
	l.Record(xidEvent("XID 79", models.FaultQuarantine, "a"), after(time.Second))
	for _, later := range []Event{xidEvent("XID 119", models.FaultQuarantine, "a"), xidEvent("XID 94", models.FaultRestart, "a"), {UUIDs: []string{"a"}}} {
		if l.Record(later, after(time.Minute)) {
			t.Errorf("%+v is news", later)
		}
	}
	// What the probe sees then follows from it, or is another view of it.
	recovery := fault("recovery", models.FaultQuarantine)
	for _, standing := range []*models.DeviceFault{nil, &recovery} {
		if diff := cmp.Diff(since(first, after(time.Second)), at(l, after(24*time.Hour), standing)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestQuarantineThatStandsHidesARestart(t *testing.T) {
	l := Ledger{}.Resume("boot")
	pending := fault("row remapping", models.FaultQuarantine)
	l.Record(xidEvent("XID 94", models.FaultRestart, "a"), noon)
	if got := at(l, after(time.Second), &pending); got.Code != "row remapping" {
		t.Errorf("got %+v", got)
	}
}

// Sibling instances have faults of their own, and the event of their GPU hits
// each of them.
func TestSiblingsDoNotOverwriteEachOther(t *testing.T) {
	l := Ledger{}.Resume("boot")
	l.Record(xidEvent("XID 94", models.FaultRestart, "b"), noon)
	l.Record(xidEvent("XID 95", models.FaultQuarantine, "a", "b"), after(time.Second))
	l.Record(xidEvent("XID 94", models.FaultRestart, "c"), after(2*time.Second))
	got := map[string]string{}
	for _, d := range l.Apply([]models.Device{{UUID: "a"}, {UUID: "b"}, {UUID: "c"}, {UUID: "d"}}, after(3*time.Second)) {
		if d.Fault != nil {
			got[d.UUID] = d.Fault.Code
		}
	}
	if diff := cmp.Diff(map[string]string{"a": "XID 95", "b": "XID 95", "c": "XID 94"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNextAgentKnowsWhatTheLastHasSeen(t *testing.T) {
	l := Ledger{}.Resume("boot")
	l.Record(xidEvent("XID 95", models.FaultQuarantine, "a"), noon)
	pending := fault("row remapping", models.FaultQuarantine)
	l.Apply([]models.Device{{UUID: "b", Fault: &pending}}, noon)
	written, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	next := func(boot string) Ledger {
		var read Ledger
		if err := json.Unmarshal(written, &read); err != nil {
			t.Fatal(err)
		}
		return read.Resume(boot)
	}
	both := []models.Device{{UUID: "a"}, {UUID: "b", Fault: &pending}}
	told := func(l Ledger) []models.Device { return l.Apply(both, after(time.Hour)) }

	same := told(next("boot"))
	if same[0].Fault == nil || !same[0].Fault.At.Equal(noon) || !same[1].Fault.At.Equal(noon) {
		t.Errorf("the same boot: %+v, %+v", same[0].Fault, same[1].Fault)
	}
	if got := told(next("another"))[0].Fault; got != nil {
		t.Errorf("a reboot resets devices, but the fault stands: %+v", got)
	}
	forgetful := next("boot")
	forgetful.Forget()
	if got := told(forgetful); got[0].Fault != nil || got[1].Fault == nil {
		t.Errorf("forgetting drops events, not what the probe sees: %+v, %+v", got[0].Fault, got[1].Fault)
	}
	reset := next("boot")
	reset.Recover([]Figures{{UUID: "a", Recovery: "a reset"}, {UUID: "b"}})
	if got := told(reset)[0].Fault; got == nil {
		t.Error("a device that needs a reset came back")
	}
	reset.Recover([]Figures{{UUID: "a", Recovery: NeedsNothing}})
	if got := told(reset)[0].Fault; got != nil {
		t.Errorf("a device that needs nothing stays out: %+v", got)
	}
}

func TestApplyLeavesTheListingAlone(t *testing.T) {
	l := Ledger{}.Resume("boot")
	l.Record(xidEvent("XID 79", models.FaultQuarantine, "a"), noon)
	listed := []models.Device{{UUID: "a"}}
	if l.Apply(listed, noon); listed[0].Fault != nil {
		t.Error("the last listing was changed")
	}
}
