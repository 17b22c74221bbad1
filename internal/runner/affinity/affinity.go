// Package affinity chooses the cores that processes are bound to. The choice is
// arithmetic over what was read from the host before.
//
// # Vocabulary
//
//   - A core is what the kernel schedules on, by number. Siblings are cores that
//     share one physical core.
//   - Near cores are those next to a process's device.
//   - A list names cores as the kernel writes them: "0-3,8".
package affinity

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCore is the largest number the kernel's own sets have room for.
const maxCore = 8191

// Parse reads a list. Duplicates are dropped and the result is sorted.
func Parse(list string) ([]int, error) {
	var cores []int
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		if part == "" {
			continue
		}
		low, high, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(strings.TrimSpace(low))
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(strings.TrimSpace(high))
		}
		if err != nil || first < 0 || last < first || last > maxCore {
			return nil, fmt.Errorf("core list %q: write numbers and ranges, such as 0-3,8", list)
		}
		for core := first; core <= last; core++ {
			cores = append(cores, core)
		}
	}
	slices.Sort(cores)
	return slices.Compact(cores), nil
}

// Format writes sorted cores as a list.
func Format(cores []int) string {
	var parts []string
	for i := 0; i < len(cores); {
		j := i
		for j+1 < len(cores) && cores[j+1] == cores[j]+1 {
			j++
		}
		part := strconv.Itoa(cores[i])
		if j > i {
			part += "-" + strconv.Itoa(cores[j])
		}
		parts, i = append(parts, part), j+1
	}
	return strings.Join(parts, ",")
}

// Core is a core and where it is.
type Core struct {
	ID      int
	Sibling int // the lowest number on the same physical core
	Node    int // NUMA node
}

// Host are the cores a process on this host may use, sorted by ID.
type Host []Core

// ReadHost asks the kernel what this process may use, and sys, usually "/sys",
// where that is. A host that tells less gets the simplest answer: every core its
// own, all on one node.
func ReadHost(sys string) (Host, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("ask which cores may be used: %w", err)
	}
	nodes := readNodes(sys)
	var host Host
	for id := 0; id < maxCore && len(host) < set.Count(); id++ {
		if !set.IsSet(id) {
			continue
		}
		core := Core{ID: id, Sibling: id, Node: nodes[id]}
		path := filepath.Join(sys, "devices/system/cpu", "cpu"+strconv.Itoa(id), "topology/thread_siblings_list")
		if text, err := os.ReadFile(path); err == nil {
			if siblings, err := Parse(string(text)); err == nil && len(siblings) > 0 {
				core.Sibling = siblings[0]
			}
		}
		host = append(host, core)
	}
	return host, nil
}

// readNodes maps cores to NUMA nodes.
func readNodes(sys string) map[int]int {
	nodes := map[int]int{}
	paths, _ := filepath.Glob(filepath.Join(sys, "devices/system/node/node[0-9]*/cpulist")) // the pattern is well-formed
	for _, path := range paths {
		node, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(path)), "node"))
		text, readErr := os.ReadFile(path)
		if err != nil || readErr != nil {
			continue
		}
		cores, _ := Parse(string(text)) // what can't be read is on node 0
		for _, core := range cores {
			nodes[core] = node
		}
	}
	return nodes
}

// OnNode lists the cores of a NUMA node.
func (h Host) OnNode(node int) []int {
	var cores []int
	for _, core := range h {
		if core.Node == node {
			cores = append(cores, core.ID)
		}
	}
	return cores
}

// Allowed returns those of the cores that may be used.
func (h Host) Allowed(cores []int) []int {
	return slices.DeleteFunc(slices.Clone(cores), func(id int) bool {
		return !slices.ContainsFunc(h, func(c Core) bool { return c.ID == id })
	})
}

// Pick chooses count cores for each process: near ones before far ones, cores
// that nobody has before any other, siblings together. near has one list per
// process, empty for no preference. When count cores are not enough for one
// each, all processes share them. Nothing is chosen for a count of 0.
//
// short is how many cores had to be taken that somebody else has: a host that
// was promised twice is still a host.
func (h Host) Pick(count int, near [][]int, used []int) (picked [][]int, short int) {
	picked = make([][]int, len(near))
	count = min(count, len(h))
	if count <= 0 || len(near) == 0 {
		return picked, 0
	}
	taken := map[int]bool{}
	for _, id := range used {
		taken[id] = true
	}
	if count < len(near) {
		cores, short := h.pick(count, slices.Concat(near...), taken)
		for i := range picked {
			picked[i] = cores
		}
		return picked, short
	}
	for i := range near {
		cores, missing := h.pick(Share(count, len(near), i), near[i], taken)
		picked[i], short = cores, short+missing
		for _, id := range cores {
			taken[id] = true
		}
	}
	return picked, short
}

// Share is how many of count cores process i has to itself; 0: it shares them.
func Share(count, processes, i int) int {
	share := count / processes
	if share > 0 && i < count%processes {
		share++
	}
	return share
}

func (h Host) pick(count int, near []int, taken map[int]bool) (cores []int, short int) {
	if len(near) == 0 {
		near = h.emptiestNode(taken)
	}
	rank := func(c Core) int {
		r := 0
		if taken[c.ID] {
			r += 2
		}
		if !slices.Contains(near, c.ID) {
			r++
		}
		return r
	}
	order := slices.Clone(h)
	slices.SortFunc(order, func(a, b Core) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Sibling, b.Sibling), cmp.Compare(a.ID, b.ID))
	})
	for _, core := range order[:count] {
		cores = append(cores, core.ID)
		if taken[core.ID] {
			short++
		}
	}
	slices.Sort(cores)
	return cores, short
}

// emptiestNode is where a process without a device goes.
func (h Host) emptiestNode(taken map[int]bool) []int {
	free, best := map[int]int{}, 0
	for _, core := range h {
		if !taken[core.ID] {
			free[core.Node]++
		}
	}
	for _, core := range h {
		if free[core.Node] > free[best] {
			best = core.Node
		}
	}
	return h.OnNode(best)
}

// Bind binds the calling thread, and what it starts, to cores until the
// returned function is called. The caller has locked its thread.
func Bind(cores []int) (restore func() error, err error) {
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("ask which cores may be used: %w", err)
	}
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("bind to cores %s: %w", Format(cores), err)
	}
	return func() error { return unix.SchedSetaffinity(0, &before) }, nil
}
