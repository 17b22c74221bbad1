package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/mainspring-ml/mainspring/internal/accel"
)

// unknown stands where a device does not tell.
const unknown = "-"

// column is one of the device table's. Those that no device has a word for are
// left out.
type column struct {
	title string
	cell  func(surveyed) string
}

func deviceColumns() []column {
	return []column{
		{"UUID", func(d surveyed) string { return d.UUID }},
		{"MODEL", func(d surveyed) string { return d.Model }},
		{"MEMORY", memory},
		{"MIG", func(d surveyed) string { return d.MIGProfile }},
		{"PARENT", func(d surveyed) string { return d.Parent }},
		{"NUMA", func(d surveyed) string { return optional(d.NUMANode, "%d") }},
		{"CPUS", func(d surveyed) string { return d.CPUs }},
		{"LOAD", figure(func(f accel.Figures) string { return optional(f.Utilisation, "%d %%") })},
		{"POWER", figure(power)},
		{"TEMP", figure(func(f accel.Figures) string { return optional(f.TemperatureC, "%d °C") })},
		{"ECC", figure(eccErrors)},
		{"REMAPPED", figure(remappedRows)},
		{"HEALTH", health},
	}
}

func printDeviceTable(w io.Writer, found []surveyed) error {
	columns := slices.DeleteFunc(deviceColumns(), func(c column) bool {
		return !slices.ContainsFunc(found, func(d surveyed) bool { return c.cell(d) != "" })
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var titles []string
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	fmt.Fprintln(table, strings.Join(titles, "\t"))
	for _, d := range found {
		var cells []string
		for _, c := range columns {
			cells = append(cells, cmp.Or(c.cell(d), unknown))
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

func figure(cell func(accel.Figures) string) func(surveyed) string {
	return func(d surveyed) string {
		if d.Figures == nil {
			return ""
		}
		return cell(*d.Figures)
	}
}

func optional[T any](value *T, format string) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf(format, *value)
}

func memory(d surveyed) string {
	if d.MemoryMiB == 0 {
		return ""
	}
	total := fmt.Sprintf("%d MiB", d.MemoryMiB)
	if d.Figures == nil || d.Figures.MemoryUsedMiB == nil {
		return total
	}
	return fmt.Sprintf("%d of %s", *d.Figures.MemoryUsedMiB, total)
}

func power(f accel.Figures) string {
	if f.PowerW != nil && f.PowerLimitW != nil {
		return fmt.Sprintf("%.0f of %.0f W", *f.PowerW, *f.PowerLimitW)
	}
	return optional(f.PowerW, "%.0f W")
}

func eccErrors(f accel.Figures) string {
	switch {
	case f.ECC == nil:
		return ""
	case !f.ECC.Enabled:
		return "off"
	case f.ECC.Uncorrected == nil:
		return "on"
	default:
		return fmt.Sprintf("%d uncorrected", *f.ECC.Uncorrected)
	}
}

func remappedRows(f accel.Figures) string {
	if f.Remapped == nil {
		return ""
	}
	text := strconv.Itoa(f.Remapped.Correctable + f.Remapped.Uncorrectable)
	if f.Remapped.Pending {
		text += ", pending"
	}
	if f.Remapped.Failed {
		text += ", failed"
	}
	return text
}

func health(d surveyed) string {
	if d.Fault == nil {
		return "ok"
	}
	return fmt.Sprintf("%s (%s): %s", d.Fault.Action, d.Fault.Code, d.Fault.Reason)
}

// printLinks draws who reaches whom, when anyone reaches anyone. The columns are
// numbered like the rows: UUIDs are too long to head them.
func printLinks(w io.Writer, found []surveyed) error {
	if !slices.ContainsFunc(found, func(d surveyed) bool { return len(d.Links) > 0 }) {
		return nil
	}
	fmt.Fprintln(w, "\nLinks (NVLink, XGMI or the like):")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var whole []surveyed
	for _, d := range found {
		if d.Parent == "" {
			whole = append(whole, d)
		}
	}
	head := []string{"", ""}
	for i := range whole {
		head = append(head, strconv.Itoa(i))
	}
	fmt.Fprintln(table, strings.Join(head, "\t"))
	for i, d := range whole {
		row := []string{strconv.Itoa(i), d.UUID}
		for _, peer := range whole {
			switch {
			case peer.UUID == d.UUID:
				row = append(row, "·")
			case slices.Contains(d.Links, peer.UUID):
				row = append(row, "x")
			default:
				row = append(row, unknown)
			}
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

func printProcesses(w io.Writer, found []surveyed) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	none := true
	for _, d := range found {
		if d.Figures == nil {
			continue
		}
		for _, p := range d.Figures.Processes {
			if none {
				fmt.Fprintln(w, "\nProcesses:")
				fmt.Fprintln(table, "PID\tNAME\tMEMORY\tDEVICE")
				none = false
			}
			used := unknown
			if p.MemoryMiB > 0 {
				used = fmt.Sprintf("%d MiB", p.MemoryMiB)
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", p.PID, cmp.Or(p.Name, unknown), used, d.UUID)
		}
	}
	return table.Flush()
}
