package simulation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// flaw says what is wrong with a new lease; "" when it is whole and proper.
func (o *oracle) flaw(lease models.Lease) string {
	request := o.asking[lease.RequestID]
	seen, kinds, devices := map[string]bool{}, map[string]bool{}, 0
	for _, n := range lease.Nodes {
		info := o.known[n.Node]
		if seen[n.Node] {
			return n.Node + " is in it twice"
		}
		seen[n.Node] = true
		if o.down[n.Node] || o.shut[n.Node] {
			return n.Node + " is down or cordoned"
		}
		for _, d := range n.Devices {
			if seen[d.UUID] || !slices.ContainsFunc(info.Devices, func(has models.Device) bool { return has.UUID == d.UUID }) {
				return d.UUID + " is in it twice, or " + n.Node + " does not have it"
			}
			seen[d.UUID], kinds[d.Model] = true, true
			devices++
			if flaw := o.unfit(request, d); flaw != "" {
				return flaw
			}
		}
	}
	if len(kinds) > 1 && len(request.Resources.UUIDs) == 0 {
		return "its devices are of several models"
	}
	if flaw := notWhole(request.Resources.WithDefaults(), lease, devices); flaw != "" {
		return flaw
	}
	return o.overdrawn()
}

func (o *oracle) unfit(request models.LeaseRequest, d models.Device) string {
	r := request.Resources.WithDefaults()
	switch {
	case d.Share() != r.GPUMilli:
		return fmt.Sprintf("%s is lent with %d thousandths, and %d were asked for", d.UUID, d.Share(), r.GPUMilli)
	case slices.Contains(request.Exclude, d.UUID):
		return d.UUID + " is one that the holder excluded"
	case o.out[d.UUID] != "":
		return d.UUID + " is out of use"
	case !admits(r, d):
		return d.UUID + " is not of the model that was asked for"
	}
	return ""
}

func admits(r models.Resources, d models.Device) bool {
	wanted := slices.Clone(r.DeviceModels)
	if r.DeviceModel != "" {
		wanted = append(wanted, r.DeviceModel)
	}
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(m string) bool {
		return strings.Contains(strings.ToLower(d.Model), strings.ToLower(m))
	})
}

// notWhole: a gang gets what it asked for, or nothing.
func notWhole(r models.Resources, lease models.Lease, devices int) string {
	switch {
	case len(r.UUIDs) > 0:
		if devices != len(slices.Compact(slices.Sorted(slices.Values(r.UUIDs)))) {
			return fmt.Sprintf("it has %d of the devices %v", devices, r.UUIDs)
		}
		for _, n := range lease.Nodes {
			for _, d := range n.Devices {
				if !slices.Contains(r.UUIDs, d.UUID) {
					return d.UUID + " was not asked for"
				}
			}
		}
	case r.GPUs > 0:
		if devices != r.GPUs {
			return fmt.Sprintf("it has %d of %d devices", devices, r.GPUs)
		}
	default:
		if len(lease.Nodes) < r.MinNodes || len(lease.Nodes) > r.Nodes {
			return fmt.Sprintf("it has %d hosts, and %d to %d were asked for", len(lease.Nodes), r.MinNodes, r.Nodes)
		}
		for _, n := range lease.Nodes {
			if len(n.Devices) != r.GPUsPerNode {
				return fmt.Sprintf("%s gives %d of %d devices", n.Node, len(n.Devices), r.GPUsPerNode)
			}
		}
	}
	return ""
}

// overdrawn: no host lends more cores than it has.
func (o *oracle) overdrawn() string {
	cores := map[string]int64{}
	for _, l := range o.live {
		for _, n := range l.Nodes {
			if cores[n.Node] += n.CPUMilli; cores[n.Node] > o.known[n.Node].CPUMilli {
				return fmt.Sprintf("%s lends %d thousandths of a core", n.Node, cores[n.Node])
			}
		}
	}
	return ""
}

// judgeRefusal: only what the known hosts could never hold may be refused, or
// what has waited for longer than it wanted to.
func (o *oracle) judgeRefusal(m models.LeaseRefused) {
	request := o.asking[m.RequestID]
	r := request.Resources.WithDefaults()
	if wait := r.MaxWait.Std(); wait > 0 && o.w.now.Sub(o.asked[m.RequestID]) >= wait {
		return
	}
	if o.quota[r.Tenant] > 0 && strings.Contains(m.Reason, "quota") {
		return
	}
	if o.possible(request, r) {
		o.violate("request %s is refused (%s), but these hosts could hold it", m.RequestID, m.Reason)
	}
}

// possible counts, with nothing lent and every host open.
func (o *oracle) possible(request models.LeaseRequest, r models.Resources) bool {
	for _, kind := range []string{"H100", "H200"} {
		hosts, total, named := 0, 0, 0
		for _, info := range o.known {
			fitting := 0
			for _, d := range info.Devices {
				if (d.Model == kind || len(r.UUIDs) > 0) && admits(r, d) && !slices.Contains(request.Exclude, d.UUID) {
					fitting++
					if slices.Contains(r.UUIDs, d.UUID) {
						named++
					}
				}
			}
			if need := int64(r.CPUsPerGPU * 1000); need > 0 {
				fitting = min(fitting, int(info.CPUMilli/need))
			}
			total += fitting
			if fitting >= r.GPUsPerNode {
				hosts++
			}
		}
		switch {
		case len(r.UUIDs) > 0:
			if named == len(slices.Compact(slices.Sorted(slices.Values(r.UUIDs)))) {
				return true
			}
		case r.GPUs > 0:
			if total >= r.GPUs {
				return true
			}
		case hosts >= r.MinNodes:
			return true
		}
	}
	return false
}
