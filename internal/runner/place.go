package runner

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/mainspring-ml/mainspring/internal/runner/affinity"
	"github.com/mainspring-ml/mainspring/internal/runner/cgroup"
)

// coresLock is held from the choice of a job's cores until its shim runs, so
// that the next choice sees them as taken.
const coresLock = "cores.lock"

// place decides where on the host the job goes: which cores its processes are
// bound to, and which cgroup limits its memory. Neither is a reason not to start
// it: what can't be had is said in the log.
func (r Runner) place(ctx context.Context, job *Job) (release func(), err error) {
	release = func() {}
	if job.MemoryMiB > 0 {
		if base, err := r.base(); err == nil {
			// Two roots of one host may have jobs of the same name.
			root := sha256.Sum256([]byte(r.Root))
			job.Cgroup = filepath.Join(base, fmt.Sprintf("mainspring-%s-%x", job.Key, root[:4]))
		}
	}
	host, err := affinity.ReadHost("/sys")
	if err != nil {
		slog.Warn("processes are not bound to cores", "job", job.Key, "error", err)
		return release, nil
	}
	near := make([][]int, len(job.Processes))
	for i, p := range job.Processes {
		cores, err := affinity.Parse(p.Near)
		if err != nil {
			slog.Warn("cores next to a device are not known", "job", job.Key, "error", err)
		}
		near[i] = host.Allowed(cores)
	}
	if job.Cores == 0 {
		for i := range job.Processes {
			job.Processes[i].Cores = near[i]
		}
		return release, nil
	}
	held, err := waitLock(ctx, filepath.Join(r.Root, coresLock))
	if err != nil {
		return nil, err
	}
	used, err := r.coresInUse(job.Key)
	if err != nil {
		held.release()
		return nil, err
	}
	picked, short := host.Pick(job.Cores, near, used)
	if short > 0 || job.Cores > len(host) {
		slog.Warn("the host has fewer cores than its leases say; some are shared", "job", job.Key, "leased", job.Cores, "shared", short, "cores", len(host))
	}
	for i := range job.Processes {
		job.Processes[i].Cores = picked[i]
	}
	return held.release, nil
}

// coresInUse lists the cores that jobs other than the one with a key have to
// themselves.
func (r Runner) coresInUse(key string) (used []int, err error) {
	handles, err := r.list()
	if err != nil {
		return nil, err
	}
	for _, handle := range handles {
		if handle.job.Key == key || handle.job.Cores == 0 {
			continue
		}
		over, err := r.over(handle.job.Key)
		if err != nil {
			return nil, err
		}
		for _, p := range handle.job.Processes {
			if !over {
				used = append(used, p.Cores...)
			}
		}
	}
	return used, nil
}

// base finds where this process may make cgroups, once: finding it may move the
// process.
func (r Runner) base() (string, error) {
	if r.Cgroups != "" {
		return r.Cgroups, nil
	}
	return foundBase()
}

var foundBase = sync.OnceValues(func() (string, error) {
	base, err := cgroup.Base("/proc")
	if err != nil {
		slog.Warn("memory leased with devices is not enforced on this host", "error", err)
	}
	return base, err
})

// limit makes the job's cgroup. Without it the job runs unlimited.
func (s *shim) limit() {
	if s.job.Cgroup == "" {
		return
	}
	group := cgroup.Group(s.job.Cgroup)
	err := group.Create(cgroup.Limits{MemoryMiB: s.job.MemoryMiB})
	if err == nil {
		s.group, err = group.Open()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "memory is not limited:", err)
		s.job.Cgroup = ""
	}
}

// dissolve kills what is left in the job's cgroup and removes it.
func dissolve(dir string) {
	if dir == "" {
		return
	}
	group := cgroup.Group(dir)
	// An older kernel can't: then the processes are found one by one.
	_ = group.Kill()
	if err := group.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, "cgroup left behind:", err)
	}
}

// OOM says whose memory was used up when the kernel killed a process for it.
type OOM string

// The answers.
const (
	// OOMLimit: the job reached the limit of its own lease.
	OOMLimit OOM = "limit"
	// OOMHost: the kernel has killed processes on this host for want of memory,
	// and not because of the job's limit. Without a cgroup it is a guess by the
	// time.
	OOMHost OOM = "host"
)

// groupOOM asks the job's cgroup, which remembers.
func groupOOM(dir string) OOM {
	if dir == "" {
		return ""
	}
	switch seen, err := cgroup.Group(dir).OOM(); {
	case err != nil || seen.Kills == 0:
		return ""
	case seen.Limit > 0:
		return OOMLimit
	default:
		return OOMHost
	}
}

// oomWatch remembers the host's count of killed processes as it was some time
// ago: a process with much memory takes seconds to die.
type oomWatch struct {
	before, now int64
	turns       int
}

func (w *oomWatch) look() {
	const turnsBetween = 5
	if w.turns++; w.turns%turnsBetween == 1 {
		w.before, w.now = w.now, cgroup.HostKills("/proc")
		if w.turns == 1 {
			w.before = w.now
		}
	}
}

func (w *oomWatch) grew() bool { return cgroup.HostKills("/proc") > w.before }
