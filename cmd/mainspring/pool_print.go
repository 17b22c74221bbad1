package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// printPool writes a pool as an operator reads it: what is there, who has it,
// who waits and why, who has used how much.
func printPool(w io.Writer, s models.PoolStatus, now time.Time) error {
	fmt.Fprintf(w, "Pool %s: %d hosts (%d down), %d devices (%d quarantined), %s in use; leases: %d, waiting: %d\n", s.Pool,
		s.Counts.Nodes, s.Counts.NodesDown, s.Counts.Devices, s.Counts.Quarantined, devices(s.Counts.LeasedMilli), s.Counts.Leases, s.Counts.Waiting)
	if s.Counts.Nodes == 0 {
		fmt.Fprintf(w, "\nNo host has joined yet: start `mainspring agent --pool %s` where the devices are.\n", s.Pool)
	}
	for _, print := range []func(io.Writer, models.PoolStatus, time.Time) error{printHosts, printLeases, printWaiting, printTenants} {
		if err := print(w, s, now); err != nil {
			return err
		}
	}
	return nil
}

// columns writes a table after an empty line.
func columns(w io.Writer, header string, rows []string, all int) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, header)
	for _, row := range rows {
		fmt.Fprintln(table, row)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if all > len(rows) {
		fmt.Fprintf(w, "… and %d more; --json has what the pool sends\n", all-len(rows))
	}
	return nil
}

func printHosts(w io.Writer, s models.PoolStatus, _ time.Time) error {
	used := map[string]int64{}
	for _, l := range s.Leases {
		for _, n := range l.Nodes {
			for _, d := range n.Devices {
				used[d.UUID] += d.Share()
			}
		}
	}
	var rows, sick []string
	for _, n := range s.Nodes {
		free, taken := 0, int64(0)
		for _, d := range n.Devices {
			taken += used[d.UUID]
			if used[d.UUID] == 0 && n.Down == "" && n.Cordoned == "" && !quarantined(n, d.UUID) {
				free++
			}
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%s\t%d", n.Node, hostState(n), model(n.Devices), len(n.Devices), free, devices(taken), len(n.Quarantined)))
		for _, q := range n.Quarantined {
			sick = append(sick, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", q.UUID, n.Node, q.By, q.At.Local().Format(time.DateTime), q.Reason))
		}
	}
	if err := columns(w, "HOST\tSTATE\tMODEL\tDEVICES\tFREE\tUSED\tFAULTY", rows, s.Counts.Nodes); err != nil {
		return err
	}
	return columns(w, "QUARANTINED\tHOST\tBY\tSINCE\tREASON", sick, len(sick))
}

func quarantined(n models.PoolNode, uuid string) bool {
	for _, q := range n.Quarantined {
		if q.UUID == uuid {
			return true
		}
	}
	return false
}

func hostState(n models.PoolNode) string {
	switch {
	case n.Down != "":
		return "down: " + n.Down
	case n.Draining:
		return "draining: " + n.Cordoned
	case n.Cordoned != "":
		return "cordoned: " + n.Cordoned
	default:
		return "up"
	}
}

// model names the devices' model, or how many there are.
func model(all []models.Device) string {
	seen := map[string]bool{}
	for _, d := range all {
		seen[d.Model] = true
	}
	switch len(seen) {
	case 0:
		return "-"
	case 1:
		return all[0].Model
	default:
		return fmt.Sprintf("%d models", len(seen))
	}
}

func printLeases(w io.Writer, s models.PoolStatus, now time.Time) error {
	var rows []string
	for _, l := range s.Leases {
		purpose := l.Purpose
		if l.Ending != nil {
			purpose += " (to be given back: " + l.Ending.Reason + ")"
		}
		rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%s\t%s", l.Token, age(now.Sub(l.GrantedAt)), purpose, leased(l), l.Holder))
	}
	return columns(w, "LEASE\tAGE\tPURPOSE\tDEVICES\tHOLDER", rows, s.Counts.Leases)
}

// leased writes "host: uuid, uuid; host: …", cut where it would not fit a line.
func leased(l models.Lease) string {
	const most = 4
	var parts []string
	for _, n := range l.Nodes {
		var names []string
		for _, d := range n.Devices {
			name := d.UUID
			if d.Share() < models.WholeGPU {
				name += fmt.Sprintf(" (%s)", devices(d.Share()))
			}
			names = append(names, name)
		}
		if len(names) > most {
			names = append(names[:most], fmt.Sprintf("%d more", len(n.Devices)-most))
		}
		parts = append(parts, n.Node+": "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}

func printWaiting(w io.Writer, s models.PoolStatus, now time.Time) error {
	if len(s.Waiting) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nWAITING, in the order in which they are served")
	for _, r := range s.Waiting {
		fmt.Fprintf(w, "  %s, for %s (%s; request %s)\n", r.Purpose, age(now.Sub(r.QueuedAt)), r.Holder, r.RequestID)
		if why := s.Reasons[r.RequestID]; why != "" {
			fmt.Fprintf(w, "    %s\n", why)
		}
	}
	if more := s.Counts.Waiting - len(s.Waiting); more > 0 {
		fmt.Fprintf(w, "… and %d more; `mainspring pool explain` speaks of each\n", more)
	}
	return nil
}

func printTenants(w io.Writer, s models.PoolStatus, _ time.Time) error {
	var rows []string
	for _, t := range s.Tenants {
		quota := "none"
		if t.QuotaMilli > 0 {
			quota = devices(t.QuotaMilli)
		}
		rows = append(rows, fmt.Sprintf("%s\t%.4g\t%s\t%.4g", t.Name, cmp.Or(t.Weight, 1), quota, t.UsedGPUSeconds/3600))
	}
	return columns(w, "TENANT\tWEIGHT\tQUOTA\tGPU-HOURS USED (DECAYED)", rows, len(rows))
}

func devices(milli int64) string { return fmt.Sprintf("%.4g", float64(milli)/models.WholeGPU) }

// age is a duration with two units at most.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
