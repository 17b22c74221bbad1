package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/runner/affinity"
)

// start starts all processes, each as the leader of a group of its own. When
// one can't start, none stays.
func (s *shim) start() error {
	self, _ := identify(os.Getpid())
	s.state = State{Shim: self, Processes: make([]ProcessState, len(s.job.Processes))}
	for i, p := range s.job.Processes {
		s.state.Processes[i].Name = p.Name
	}
	if err := s.save(); err != nil {
		return err
	}
	for i, p := range s.job.Processes {
		process, err := s.spawn(p)
		if err != nil {
			s.abandon(i, err)
			break
		}
		s.running++
		s.state.Processes[i].ID, _ = identify(process.Pid)
		go func() {
			state, err := process.Wait()
			s.exits <- exited{i, state, err}
		}()
	}
	return s.save()
}

// abandon records why process i did not start, and stops those before it.
func (s *shim) abandon(i int, cause error) {
	now := time.Now().UTC()
	s.state.Processes[i].Exit = &Exit{Error: cause.Error(), At: now}
	for j := i + 1; j < len(s.state.Processes); j++ {
		s.state.Processes[j].Exit = &Exit{Error: errNotStarted.Error(), Asked: true, At: now}
	}
	s.stop("a process could not be started", s.job.Settle)
}

// spawn starts a process on its cores and in the job's cgroup: both are
// inherited at its birth, from this thread and by the kernel's own call, so that
// it never runs elsewhere. Pdeathsig is bound to this thread, too.
func (s *shim) spawn(p Process) (*os.Process, error) {
	program, err := lookUp(p.Argv[0], p.Dir, p.Env)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	if s.group != nil {
		attributes.UseCgroupFD, attributes.CgroupFD = true, int(s.group.Fd())
	}
	if len(p.Cores) > 0 {
		restore, err := affinity.Bind(p.Cores)
		if err != nil {
			fmt.Fprintln(os.Stderr, p.Name, "runs on any core:", err)
		} else {
			defer func() {
				if err := restore(); err != nil {
					fmt.Fprintln(os.Stderr, "the shim stays bound:", err)
				}
			}()
		}
	}
	process, err := os.StartProcess(program, p.Argv, &os.ProcAttr{
		Dir: p.Dir, Env: p.Env, Files: []*os.File{null, log, log}, Sys: attributes,
	})
	return process, explainStart(err, program, p.Dir)
}

// explainStart says what the kernel means: it reports a missing interpreter, or
// a missing directory, as if the program itself were missing.
func explainStart(err error, program, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%s is not a program of this kind of host, and its first line names no interpreter (#!): %w", program, err)
	case !errors.Is(err, unix.ENOENT):
		return err
	}
	if _, missing := os.Stat(dir); missing != nil {
		return fmt.Errorf("its working directory is missing: %w", missing)
	}
	interpreter := "its interpreter"
	if file, open := os.Open(program); open == nil {
		defer file.Close()
		first := make([]byte, 256)
		n, _ := file.Read(first) // an unreadable line is not quoted
		if line, _, _ := strings.Cut(string(first[:n]), "\n"); strings.HasPrefix(line, "#!") {
			interpreter += " " + strings.TrimSpace(line[2:])
		}
	}
	return fmt.Errorf("%s is there, but %s is not: %w", program, interpreter, err)
}

// lookUp finds a program as the process itself would: a name with a slash is a
// path, relative to its directory; any other is searched in its own PATH.
func lookUp(name, dir string, env []string) (string, error) {
	if strings.ContainsRune(name, '/') {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		return path, executable(path)
	}
	var search string
	for _, variable := range env {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			search = value
		}
	}
	for _, folder := range filepath.SplitList(search) {
		path := filepath.Join(folder, name)
		if filepath.IsAbs(path) && executable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w (PATH is %s)", name, exec.ErrNotFound, search)
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}

// signal sends a signal to the groups of all processes that have not ended.
func (s *shim) signal(signal syscall.Signal) {
	for _, p := range s.state.Processes {
		if p.Exit == nil && p.ID.PID > 0 {
			// ESRCH: it has ended and its exit is on its way.
			_ = unix.Kill(-p.ID.PID, signal)
		}
	}
}

// reapOrphans collects descendants that ended after their own parent, while
// leaving the job's processes to the goroutines that wait for them.
func (s *shim) reapOrphans() {
	for _, pid := range s.children() {
		if stat, ok := readStat(pid); ok && stat.state == "Z" {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// reapAll kills what the processes have left behind. Being the parent of all
// orphans, the shim sees each of them sooner or later as its own child.
func (s *shim) reapAll() {
	for {
		orphans := s.children()
		if len(orphans) == 0 {
			return
		}
		for _, pid := range orphans {
			_ = unix.Kill(pid, unix.SIGKILL)
			for {
				_, err := unix.Wait4(pid, nil, 0, nil)
				if !errors.Is(err, unix.EINTR) {
					break
				}
			}
		}
	}
}

// children lists this process's children other than running processes of the
// job.
func (s *shim) children() []int {
	own := make(map[int]bool, len(s.state.Processes))
	for _, p := range s.state.Processes {
		if p.Exit == nil {
			own[p.ID.PID] = true
		}
	}
	var found []int
	for _, pid := range processes() {
		if stat, ok := readStat(pid); ok && stat.parent == os.Getpid() && !own[pid] {
			found = append(found, pid)
		}
	}
	return found
}
