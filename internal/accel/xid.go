package accel

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// XIDPolicy says what an XID, the driver's number of an error, means for the
// device; docs/devices.md has the table. An XID that is not in it is unknown,
// and takes the device out of use.
type XIDPolicy map[uint64]XIDAction

// XIDAction is what is done about an XID.
type XIDAction string

// The actions.
const (
	// XIDIgnore: an error of the application, which gets to know it by itself, or
	// a message without consequence. The device is looked at again all the same.
	XIDIgnore XIDAction = "ignore"
	// XIDRestart: the work is lost, the device is well.
	XIDRestart XIDAction = "restart"
	// XIDQuarantine: the device needs a reset, or worse.
	XIDQuarantine XIDAction = "quarantine"
	// XIDConsult: how bad it is only the driver knows, see recovery. One that
	// can't tell means quarantine.
	XIDConsult XIDAction = "consult"
)

// DefaultXIDPolicy follows the immediate action of NVIDIA's catalogue for Ampere
// and later: RESTART_APP is restart, unless the cause is the application itself;
// RESET_GPU and beyond are quarantine; IGNORE is ignore.
func DefaultXIDPolicy() XIDPolicy {
	policy := XIDPolicy{}
	for action, xids := range map[XIDAction][]uint64{
		XIDIgnore: {
			13, 31, 43, 45, // the program's own; 45 follows from another
			63, // a row will be remapped: the probe says whether it needs a reset
			92, 93, 106, 107, 108, 121, 137, 141, 152, 153, 157, 160, 161, 162, 163, 164, 165,
			171, 172, // details of 48
		},
		XIDRestart: {
			8, 11, 32, 37, 38, 39, 40, 41, 42, 68, 69, 70, 71, 72, 75, 76, 77, 80, 82, 83, 84, 85, 86, 88, 89,
			94, // memory error that was contained: only its victim is lost
			96, 97, 98, 99, 100, 101, 102, 103, 104, 105,
			126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 139,
		},
		XIDQuarantine: {
			48, 62, 64, 74, 79, 95,
			109, // context switch time-out: the catalogue asks for a reset
			110, 119, 120, 136, 140, 143, 151, 155, 156, 158,
		},
		XIDConsult: {
			144, 145, 146, 147, 148, 149, 150, // NVLink 5: most kinds are harmless, some are fatal
			154, // "what the device needs has changed"
		},
	} {
		for _, xid := range xids {
			policy[xid] = action
		}
	}
	return policy
}

// Action looks an XID up.
func (p XIDPolicy) Action(xid uint64) XIDAction {
	if action, known := p[xid]; known {
		return action
	}
	return XIDQuarantine
}

// Set changes one entry, written "94=quarantine".
func (p XIDPolicy) Set(entry string) error {
	number, name, _ := strings.Cut(entry, "=")
	xid, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return fmt.Errorf("XID policy %q: write a number, '=' and what to do, such as 94=quarantine", entry)
	}
	switch action := XIDAction(name); action {
	case XIDIgnore, XIDRestart, XIDQuarantine, XIDConsult:
		p[xid] = action
		return nil
	default:
		return fmt.Errorf("XID policy %q: write ignore, restart, quarantine or consult after '='", entry)
	}
}

// fault is what the event means; nil: look again. needs is what the driver says
// the device needs, when it says something.
func (p XIDPolicy) fault(xid uint64, needs recovery) *models.DeviceFault {
	code := fmt.Sprintf("XID %d", xid)
	reset := "; reset the device, then start the agent with --forget-faults, or reboot the host"
	switch p.Action(xid) {
	case XIDIgnore:
		return nil
	case XIDRestart:
		return &models.DeviceFault{Code: code, Action: models.FaultRestart, Reason: meaning(xid) + "; the device itself is well"}
	case XIDConsult:
		if needs.known {
			return nil // the probe tells
		}
	case XIDQuarantine:
	}
	return &models.DeviceFault{Code: code, Action: models.FaultQuarantine, Reason: meaning(xid) + reset}
}

// meaning is a word for people on the XIDs that are seen most.
func meaning(xid uint64) string {
	known := map[uint64]string{
		8: "the device stopped processing", 48: "memory error that can't be corrected", 62: "the device's microcontroller halted",
		64: "a broken memory row could not be remapped", 68: "video decoder error", 69: "graphics engine error", 74: "NVLink error",
		79: "the device has fallen off the bus", 94: "contained memory error", 95: "uncontained memory error",
		109: "context switch time-out", 119: "the device's firmware does not answer", 120: "the device's firmware failed",
		136: "NVLink training failed", 140: "memory error that was not recovered", 143: "the device can't be initialised",
		158: "the device does not answer",
	}
	if text, ok := known[xid]; ok {
		return text
	}
	if 144 <= xid && xid <= 150 {
		return "NVLink error"
	}
	return "the driver reports an error"
}

// recovery is what a driver says that a device needs; drivers before 570 say
// nothing.
type recovery struct {
	known bool
	needs string // such as "a reset"; empty: nothing
}

// fault is the standing one; nil when nothing is needed, or known.
func (r recovery) fault() *models.DeviceFault {
	if r.needs == "" {
		return nil
	}
	return &models.DeviceFault{
		Code: "recovery", Action: models.FaultQuarantine,
		Reason: "the driver says that the device needs " + r.needs,
	}
}
