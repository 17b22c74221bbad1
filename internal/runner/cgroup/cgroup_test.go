package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree is a made-up /proc and cgroup2 mount.
type tree struct {
	*testing.T
	dir string
}

func (tr tree) write(path, text string) {
	tr.Helper()
	path = filepath.Join(tr.dir, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		tr.Fatal(err)
	}
}

func (tr tree) read(path string) string {
	data, err := os.ReadFile(filepath.Join(tr.dir, path))
	if err != nil {
		return ""
	}
	return string(data)
}

func newTree(t *testing.T, own string) tree {
	tr := tree{t, t.TempDir()}
	tr.write("proc/self/cgroup", "9:memory:/elsewhere\n0::"+own+"\n")
	tr.write("proc/self/mountinfo", "30 25 0:26 / /elsewhere rw - tmpfs tmpfs rw\n31 25 0:27 / "+filepath.Join(tr.dir, "fs")+" rw,relatime - cgroup2 cgroup2 rw\n")
	tr.write("fs"+own+"/cgroup.controllers", "cpu memory pids\n")
	tr.write("fs"+own+"/cgroup.subtree_control", "")
	return tr
}

func TestBaseMovesTheAgentIntoALeafFirst(t *testing.T) {
	tr := newTree(t, "/system.slice/agent.service")
	own := "fs/system.slice/agent.service/"
	tr.write(own+"cgroup.type", "domain\n")
	tr.write(own+"mainspring-agent/cgroup.procs", "")
	base, err := Base(filepath.Join(tr.dir, "proc"))
	if err != nil || base != filepath.Join(tr.dir, own) {
		t.Fatalf("got %s, %v", base, err)
	}
	if got := tr.read(own + "mainspring-agent/cgroup.procs"); got != strconv.Itoa(os.Getpid()) {
		t.Errorf("moved %q", got)
	}
	if got := tr.read(own + "cgroup.subtree_control"); got != "+memory" {
		t.Errorf("subtree_control is %q", got)
	}
}

func TestBaseOfAnAgentInALeafIsAbove(t *testing.T) {
	tr := newTree(t, "/agent.service/agent")
	tr.write("fs/agent.service/cgroup.controllers", "memory\n")
	tr.write("fs/agent.service/cgroup.subtree_control", "memory\n")
	base, err := Base(filepath.Join(tr.dir, "proc"))
	if err != nil || base != filepath.Join(tr.dir, "fs/agent.service") {
		t.Errorf("got %s, %v", base, err)
	}
}

func TestNoBaseIsExplained(t *testing.T) {
	without := newTree(t, "/a")
	without.write("fs/a/cgroup.controllers", "cpu\n")
	old := newTree(t, "/a")
	old.write("proc/self/cgroup", "9:memory:/elsewhere\n")
	unmounted := newTree(t, "/a")
	unmounted.write("proc/self/mountinfo", "30 25 0:26 / / rw - ext4 /dev/x rw\n")
	for says, tr := range map[string]tree{"memory controller": without, "no cgroup v2": old, "not mounted": unmounted} {
		if base, err := Base(filepath.Join(tr.dir, "proc")); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %s, %v; want it to say %q", base, err, says)
		}
	}
}

func TestGroupLimitsAndCounts(t *testing.T) {
	tr := tree{t, t.TempDir()}
	group := Group(filepath.Join(tr.dir, "job"))
	for _, name := range []string{"memory.max", "memory.oom.group", "memory.swap.max"} {
		tr.write("job/"+name, "max\n")
	}
	if err := group.Create(Limits{MemoryMiB: 3}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.max": "3145728", "memory.oom.group": "1\n", "memory.swap.max": "0\n"} {
		if got := tr.read("job/" + name); strings.TrimSpace(got)[:1] != want[:1] || name == "memory.max" && got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	tr.write("job/memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 1\n")
	if got, err := group.OOM(); err != nil || got != (OOM{Limit: 2, Kills: 1}) {
		t.Errorf("got %+v, %v", got, err)
	}
	tr.write("vmstat", "nr_free_pages 5\noom_kill 7\n")
	if got := HostKills(tr.dir); got != 7 {
		t.Errorf("got %d", got)
	}
}

// A group that can't be limited is no group: the caller must know.
func TestGroupWithoutAControllerIsRefused(t *testing.T) {
	group := Group(filepath.Join(t.TempDir(), "job"))
	if err := group.Create(Limits{MemoryMiB: 1}); err == nil {
		t.Error("a limit that does not exist was set")
	}
	if _, err := os.Stat(string(group)); err == nil {
		t.Error("the group was left behind")
	}
}

// Real cgroups where this user may make them; the kernel's own limit is tested
// when the memory controller is there as well.
func TestRealGroup(t *testing.T) {
	own, err := ownCgroup("/proc")
	if err != nil {
		t.Skip("no cgroup v2:", err)
	}
	group := Group(filepath.Join(own, "mainspring-test-"+strconv.Itoa(os.Getpid())))
	if err := group.Create(Limits{}); err != nil {
		t.Skip("cgroups can't be made here:", err)
	}
	defer func() {
		if err := group.Remove(); err != nil {
			t.Error(err)
		}
	}()
	dir, err := group.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	sleeper := exec.Command("/bin/sleep", "60")
	sleeper.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(sleeper.Process.Pid) + "/cgroup")
	if err != nil || !strings.Contains(string(text), filepath.Base(string(group))+"\n") {
		t.Errorf("the process is in %s, %v", text, err)
	}
	if err := group.Kill(); err != nil {
		t.Error(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sleeper.Wait() }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the process outlived its group")
		_ = sleeper.Process.Kill()
	}
}
