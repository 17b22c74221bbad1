package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

// scripted is an inventory whose driver a test plays.
type scripted struct {
	events chan accel.Event

	lock    sync.Mutex
	devices []models.Device
	fails   error
	hangs   bool // until ctx ends
	listed  int
}

func (s *scripted) Devices(ctx context.Context) ([]models.Device, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.listed++
	if s.hangs {
		s.lock.Unlock()
		<-ctx.Done()
		s.lock.Lock()
		return nil, ctx.Err()
	}
	return s.devices, s.fails
}

func (s *scripted) Watch(ctx context.Context, report func(accel.Event)) error {
	for {
		select {
		case e := <-s.events:
			report(e)
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *scripted) change(edit func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	edit()
}

// bench runs an announcer that tells a channel. Nothing is listed without a
// reason: what is told, an event has caused.
type bench struct {
	*testing.T
	*scripted
	told chan models.NodeInfo
	path string
}

func newBench(t *testing.T, every time.Duration, devices ...models.Device) *bench {
	t.Helper()
	b := &bench{
		T: t, scripted: &scripted{events: make(chan accel.Event), devices: devices},
		told: make(chan models.NodeInfo), path: filepath.Join(t.TempDir(), "state", "device-faults.json"),
	}
	b.start(b.scripted, every)
	return b
}

func (b *bench) start(inventory accel.Inventory, every time.Duration) {
	b.Helper()
	faults, err := readFaults(b.path, "boot")
	if err != nil {
		b.Fatal(err)
	}
	a := newAnnouncer(inventory, faults, models.NodeInfo{Node: "n", Labels: map[string]string{"region": "x"}}, func(ctx context.Context, info models.NodeInfo) error {
		select {
		case b.told <- info:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	a.every = every
	found, err := inventory.Devices(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.run(ctx, found); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() { cancel(); running.Wait() })
}

// next is what is told next. The promise is 5 s from the fault.
func (b *bench) next() models.NodeInfo {
	b.Helper()
	select {
	case info := <-b.told:
		return info
	case <-time.After(5 * time.Second):
		b.Fatal("nothing was told within 5 s")
		panic("unreachable")
	}
}

func (b *bench) quiet(d time.Duration) {
	b.Helper()
	select {
	case info := <-b.told:
		b.Errorf("told without a change: %+v", info)
	case <-time.After(d):
	}
}

func broken(uuid, code string, action models.FaultAction) accel.Event {
	return accel.Event{UUIDs: []string{uuid}, Fault: &models.DeviceFault{Code: code, Action: action}}
}

func codes(info models.NodeInfo) map[string]string {
	got := map[string]string{}
	for _, d := range info.Devices {
		got[d.UUID] = ""
		if d.Fault != nil {
			got[d.UUID] = d.Fault.Code
		}
	}
	return got
}

func TestEventIsToldAtOnceAndRemembered(t *testing.T) {
	b := newBench(t, time.Hour, models.Device{UUID: "a"}, models.Device{UUID: "b"})
	if first := b.next(); len(first.Devices) != 2 || first.Labels["region"] != "x" {
		t.Fatalf("first told %+v", first)
	}
	b.events <- broken("a", "XID 79", models.FaultQuarantine)
	info := b.next()
	if diff := cmp.Diff(map[string]string{"a": "XID 79", "b": ""}, codes(info)); diff != "" {
		t.Error(diff)
	}
	if info.Devices[0].Fault.At.IsZero() {
		t.Error("the fault has no time")
	}
	// It is on disk by the time it is told, and does not go away by listing.
	written, err := os.ReadFile(b.path)
	if err != nil || !strings.Contains(string(written), "XID 79") {
		t.Errorf("written down: %s, %v", written, err)
	}
	b.events <- accel.Event{}
	b.quiet(50 * time.Millisecond)
}

// The driver of a device that has just died can hang; the fault is told anyway.
func TestEventIsToldWhileTheDriverHangs(t *testing.T) {
	b := newBench(t, time.Millisecond, models.Device{UUID: "a"})
	b.next()
	b.change(func() { b.hangs = true })
	b.events <- broken("a", "XID 119", models.FaultQuarantine)
	if got := codes(b.next()); got["a"] != "XID 119" {
		t.Errorf("told %v", got)
	}
}

func TestReasonToLookLeadsToAListing(t *testing.T) {
	b := newBench(t, time.Hour, models.Device{UUID: "a"}, models.Device{UUID: "b"})
	b.next()
	standing := &models.DeviceFault{Code: "row remapping", Action: models.FaultQuarantine}
	b.change(func() { b.devices = []models.Device{{UUID: "a", Fault: standing}, {UUID: "b"}} })
	b.events <- accel.Event{}
	if diff := cmp.Diff(map[string]string{"a": "row remapping", "b": ""}, codes(b.next())); diff != "" {
		t.Error(diff)
	}
	b.change(func() { b.devices = []models.Device{{UUID: "a"}} })
	b.events <- accel.Event{}
	if diff := cmp.Diff(map[string]string{"a": ""}, codes(b.next())); diff != "" {
		t.Errorf("healed, and one device gone: %s", diff)
	}
}

func TestListingTellsOnlyChanges(t *testing.T) {
	b := newBench(t, 2*time.Millisecond, models.Device{UUID: "a", Fault: &models.DeviceFault{Code: "row remapping", Action: models.FaultQuarantine}})
	b.next()
	b.quiet(50 * time.Millisecond) // some twenty listings
	b.change(func() { b.fails = errors.New("driver gone") })
	b.quiet(20 * time.Millisecond)
	b.change(func() { b.fails, b.devices = nil, []models.Device{} })
	if got := b.next(); len(got.Devices) != 0 {
		t.Errorf("told %+v", got)
	}
	b.change(func() {
		if b.listed < 10 {
			t.Errorf("listed %d times; the test has shown nothing", b.listed)
		}
	})
}

// Through the control file, with the intervals of the product.
func TestVirtualFaultReachesTheNodeWithinFiveSeconds(t *testing.T) {
	control := filepath.Join(t.TempDir(), "faults.json")
	config := AgentConfig{Node: "n", VirtualDevices: 2, VirtualFaults: control, VirtualMIG: []string{"none", "1g.10gb*2"}}
	inventory, err := config.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, told: make(chan models.NodeInfo), path: filepath.Join(t.TempDir(), "device-faults.json")}
	b.start(inventory, inventoryEvery)
	b.next()
	for _, step := range []struct {
		text string
		want map[string]string
	}{
		{`{"VIRT-n-1": {"code": "XID 95", "action": "quarantine"}}`, map[string]string{"VIRT-n-0": "", "VIRT-n-1-mig-0": "XID 95", "VIRT-n-1-mig-1": "XID 95"}},
		{`{"VIRT-n-0": {"gone": true}}`, map[string]string{"VIRT-n-1-mig-0": "", "VIRT-n-1-mig-1": ""}},
	} {
		if err := os.WriteFile(control, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, codes(b.next())); diff != "" {
			t.Errorf("%s: %s", step.text, diff)
		}
	}
}

func TestNextAgentTellsTheFaultsOfTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device-faults.json")
	last, err := readFaults(path, "boot")
	if err != nil {
		t.Fatal(err)
	}
	last.record(broken("a", "XID 95", models.FaultQuarantine), time.Unix(1e9, 0).UTC())
	if err := last.save(); err != nil {
		t.Fatal(err)
	}
	next, err := readFaults(path, "boot")
	if err != nil {
		t.Fatal(err)
	}
	if d := next.apply([]models.Device{{UUID: "a"}}, time.Unix(2e9, 0).UTC()); d[0].Fault == nil || d[0].Fault.At.Unix() != 1e9 {
		t.Errorf("got %+v", d[0].Fault)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readFaults(path, "boot"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that can't be read: %v", err)
	}
}

func TestOptionsOfDevicesThatCannotBe(t *testing.T) {
	for want, config := range map[string]AgentConfig{
		"--virtual-devices": {VirtualMIG: []string{"1g.10gb"}},
		"needs 14 slices":   {VirtualDevices: 1, VirtualMIG: []string{"7g.80gb*2"}},
		"3 MIG layouts":     {VirtualDevices: 2, VirtualMIG: []string{"none", "none", "none"}},
		"NUMA nodes":        {VirtualDevices: 2, VirtualNUMA: 1 << 20},
		"XID policy":        {XIDPolicy: []string{"94=panic"}},
	} {
		if _, err := config.Inventory(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", config, err, want)
		}
	}
}
