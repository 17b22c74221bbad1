// Package cgroup limits the memory of a job through cgroup v2 and tells who ran
// out of it.
//
// # Vocabulary
//
//   - A base is a cgroup that this user may make children in, with the memory
//     controller on for them. It has no processes of its own: cgroup v2 wants
//     them in leaves.
//   - A group is one job's child of a base.
//
// Under systemd a base comes with Delegate=memory and DelegateSubgroup=agent in
// the agent's unit, and KillMode=process, so that jobs outlive the agent.
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leaves are names of cgroups that hold an agent beside its jobs: the first is
// made here, the second is what a systemd unit may name.
var leaves = []string{"mainspring-agent", "agent"}

// Base finds this process's base, and makes it one when that is allowed. proc is
// usually "/proc". An error says why there is none; memory is then not limited.
func Base(proc string) (string, error) {
	own, err := ownCgroup(proc)
	if err != nil {
		return "", err
	}
	base := own
	if slices.Contains(leaves, filepath.Base(own)) {
		base = filepath.Dir(own)
	}
	if on, err := hasWord(filepath.Join(base, "cgroup.controllers"), "memory"); err != nil || !on {
		return "", errors.Join(fmt.Errorf("the memory controller is not available in %s", base), err)
	}
	on, err := hasWord(filepath.Join(base, "cgroup.subtree_control"), "memory")
	if err != nil {
		return "", err
	}
	if !on {
		if err := turnOn(base, own); err != nil {
			return "", err
		}
	}
	if err := unix.Access(base, unix.W_OK); err != nil {
		return "", fmt.Errorf("%s is not writable: %w", base, err)
	}
	return base, nil
}

// turnOn gives the children of base the memory controller. The kernel refuses
// while base has processes, so this one moves into a leaf first; others are not
// moved, as nobody asked them.
func turnOn(base, own string) error {
	// The root of the whole hierarchy, which alone has no type, is exempt.
	if _, err := os.Stat(filepath.Join(base, "cgroup.type")); err == nil && own == base {
		leaf := filepath.Join(base, leaves[0])
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a cgroup for the agent: %w", err)
		}
		if err := write(filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
			return fmt.Errorf("move the agent into a cgroup of its own: %w", err)
		}
	}
	if err := write(filepath.Join(base, "cgroup.subtree_control"), "+memory"); err != nil {
		return fmt.Errorf("turn the memory controller on in %s, which must have no processes of its own: %w", base, err)
	}
	return nil
}

// ownCgroup is the directory of this process's cgroup v2.
func ownCgroup(proc string) (string, error) {
	text, err := os.ReadFile(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return "", err
	}
	path, found := "", false
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			path, found = rest, true
		}
	}
	if !found {
		return "", errors.New("this host has no cgroup v2")
	}
	mounts, err := os.ReadFile(filepath.Join(proc, "self/mountinfo"))
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(string(mounts), "\n") {
		// … root mount-point options … - type source options
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if dash < 5 || dash+1 >= len(fields) || fields[dash+1] != "cgroup2" {
			continue
		}
		if root := fields[3]; root != "/" {
			path = strings.TrimPrefix(path, root)
		}
		return filepath.Join(fields[4], path), nil
	}
	return "", errors.New("cgroup v2 is not mounted")
}

func hasWord(path, word string) (bool, error) {
	text, err := os.ReadFile(path)
	return slices.Contains(strings.Fields(string(text)), word), err
}

// write does not create: the kernel's files are there or the feature is not.
func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// Group is one job's cgroup, by its directory.
type Group string

// Limits of a group.
type Limits struct {
	MemoryMiB int64 // 0: none
}

// Create makes the group, or takes over one of the same name. When a process of
// it runs out of memory, all of them are killed: a rank without its peers, or a
// program without its loader, is of no use.
func (g Group) Create(limits Limits) error {
	if err := os.Mkdir(string(g), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if limits.MemoryMiB == 0 {
		return nil
	}
	err := errors.Join(
		write(g.file("memory.max"), strconv.FormatInt(limits.MemoryMiB<<20, 10)),
		write(g.file("memory.oom.group"), "1"),
	)
	if err != nil {
		return errors.Join(fmt.Errorf("limit memory in %s: %w", g, err), os.Remove(string(g)))
	}
	// Swapping would only hide the limit; a kernel without swap has no such file.
	if err := write(g.file("memory.swap.max"), "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (g Group) file(name string) string { return filepath.Join(string(g), name) }

// Open returns the directory, into which a process can be started.
func (g Group) Open() (*os.File, error) { return os.Open(string(g)) }

// OOM counts what the kernel did for want of memory.
type OOM struct {
	Limit int64 // how often the group's own limit was the reason
	Kills int64 // processes killed, for whatever reason
}

// OOM reads the counts.
func (g Group) OOM() (OOM, error) {
	text, err := os.ReadFile(g.file("memory.events"))
	if err != nil {
		return OOM{}, err
	}
	return OOM{Limit: count(text, "oom"), Kills: count(text, "oom_kill")}, nil
}

// HostKills is how many processes the kernel has killed for want of memory since
// boot, in whatever cgroup; 0 when it does not tell.
func HostKills(proc string) int64 {
	text, err := os.ReadFile(filepath.Join(proc, "vmstat"))
	if err != nil {
		return 0
	}
	return count(text, "oom_kill")
}

// count finds "name number" among lines.
func count(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) == 2 && fields[0] == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel writes numbers
			return n
		}
	}
	return 0
}

// Kill kills every process of the group and below. Kernels before 5.14 can't.
func (g Group) Kill() error { return write(g.file("cgroup.kill"), "1") }

// Remove removes the group and those that its processes made below it. A process
// that has just been killed takes a moment to leave.
func (g Group) Remove() error {
	const patience = 2 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := g.removeTree()
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

func (g Group) removeTree() error {
	entries, err := os.ReadDir(string(g))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := Group(g.file(entry.Name())).removeTree(); err != nil {
				return err
			}
		}
	}
	// The kernel's files go with their directory; no other removal is allowed.
	return unix.Rmdir(string(g))
}
