package reliability

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
)

// sparePool has three hosts that nobody starts again.
const sparePool = "spare"

// spareHost is an agent outside the stack's supervision.
type spareHost struct {
	name, dir string
	agent     *exec.Cmd
	log       *os.File
}

func startSpareHosts(ctx context.Context, s *scene) error {
	for _, name := range []string{"spare-a", "spare-b", "spare-c"} {
		h := &spareHost{name: name, dir: filepath.Join(s.m.laptop.StateDir(), "agents", name)}
		log, err := os.Create(filepath.Join(s.m.laptop.StateDir(), "logs", "agent-"+name+".log"))
		if err != nil {
			return err
		}
		h.log = log
		h.agent = s.m.laptop.Exec(ctx, "mainspring", "agent", "--node", name, "--pool", sparePool,
			"--virtual-devices", "1", "--virtual-memory", "16GiB", "--state-dir", h.dir)
		h.agent.Env = append(h.agent.Env, "MAINSPRING_STACK_DIR="+s.m.laptop.StateDir())
		h.agent.Stdout, h.agent.Stderr = log, log
		h.agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := h.agent.Start(); err != nil {
			return errors.Join(err, log.Close())
		}
		s.hosts = append(s.hosts, h)
	}
	return laptop.Eventually(laptop.Patience, func() (bool, any) {
		var pool models.PoolStatus
		err := s.m.laptop.Query(ctx, models.PoolID(sparePool), &pool)
		return err == nil && pool.Counts.Nodes == len(s.hosts), []any{pool.Counts, err}
	})
}

// loseHost kills the agent that has rank 1, and then all that it had started.
func loseHost(_ context.Context, s *scene) (time.Time, error) {
	for _, r := range s.ranks() {
		if r.rank != 1 {
			continue
		}
		for _, h := range s.hosts {
			if bytes.Contains(r.environment, []byte(h.dir+"/")) {
				return time.Now(), h.kill()
			}
		}
	}
	return time.Time{}, errors.New("rank 1 is on none of the spare hosts")
}

// kill ends the host's processes, the agent first, so that it sees nothing of
// the others' end.
func (h *spareHost) kill() error {
	if h.agent == nil {
		return nil
	}
	agent := h.agent
	h.agent = nil
	err := syscall.Kill(-agent.Process.Pid, syscall.SIGKILL)
	_ = agent.Wait() // it was killed, which is an error
	for range 3 {    // a shim may start another process meanwhile
		for _, pid := range processesWith(h.dir + "/") {
			if killed := syscall.Kill(pid, syscall.SIGKILL); killed != nil && !errors.Is(killed, syscall.ESRCH) {
				err = errors.Join(err, fmt.Errorf("kill process %d: %w", pid, killed))
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.Join(err, h.log.Close())
}

// processesWith are those that name the text in their environment or command.
func processesWith(text string) (pids []int) {
	directories, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, dir := range directories {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		for _, name := range []string{"environ", "cmdline"} {
			if block, err := os.ReadFile(filepath.Join(dir, name)); err == nil && bytes.Contains(block, []byte(text)) {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
