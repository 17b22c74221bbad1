package accel

import (
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestXIDPolicyTable(t *testing.T) {
	policy := DefaultXIDPolicy()
	for action, xids := range map[XIDAction][]uint64{
		XIDIgnore:     {13, 31, 43, 45, 63, 92, 121, 137, 157},
		XIDRestart:    {8, 32, 68, 69, 94},
		XIDQuarantine: {48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158, 9999},
		XIDConsult:    {144, 145, 146, 147, 148, 149, 150, 154},
	} {
		for _, xid := range xids {
			if got := policy.Action(xid); got != action {
				t.Errorf("XID %d means %s, want %s", xid, got, action)
			}
		}
	}
}

func TestFaultOfAnXID(t *testing.T) {
	policy := DefaultXIDPolicy()
	known, broken := recovery{known: true}, recovery{known: true, needs: "a reset"}
	for _, c := range []struct {
		xid    uint64
		driver recovery
		want   models.FaultAction // empty: only look again
		reason string
	}{
		{31, recovery{}, "", ""},
		{94, recovery{}, models.FaultRestart, "contained memory error"},
		{95, known, models.FaultQuarantine, "--forget-faults"},
		{9999, recovery{}, models.FaultQuarantine, "the driver reports an error"},
		{149, recovery{}, models.FaultQuarantine, "NVLink"},
		{149, known, "", ""},  // the listing has the driver's word, good
		{154, broken, "", ""}, // or bad
	} {
		got := policy.fault(c.xid, c.driver)
		switch {
		case (got == nil) != (c.want == ""):
			t.Errorf("XID %d: got %+v, want %q", c.xid, got, c.want)
		case got != nil && (got.Action != c.want || !strings.Contains(got.Reason, c.reason)):
			t.Errorf("XID %d: got %+v, want %q in the reason", c.xid, got, c.reason)
		}
	}
	if broken.fault() == nil || known.fault() != nil || (recovery{}).fault() != nil {
		t.Error("a driver's word is not told, or told without one")
	}
}

func TestXIDPolicyIsChanged(t *testing.T) {
	policy := DefaultXIDPolicy()
	for _, entry := range []string{"94=quarantine", "777=ignore"} {
		if err := policy.Set(entry); err != nil {
			t.Error(err)
		}
	}
	if policy.Action(94) != XIDQuarantine || policy.Action(777) != XIDIgnore || DefaultXIDPolicy().Action(94) != XIDRestart {
		t.Error("the change did not take, or changed the default")
	}
	for _, entry := range []string{"94", "94=", "94=panic", "=ignore", "-1=ignore", "ninety=ignore"} {
		if err := policy.Set(entry); err == nil {
			t.Errorf("%q was taken", entry)
		}
	}
}
