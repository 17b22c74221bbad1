package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// Job is what to run.
type Job struct {
	Key     string   `json:"key"` // letters, digits, '.', '_' and '-'
	Token   int64    `json:"token"`
	Devices []string `json:"devices"` // UUIDs, fenced by Token
	// Shares are the job's parts of devices in thousandths. A device that is
	// missing here is the job's alone.
	Shares map[string]int64 `json:"shares,omitempty"`

	Processes []Process `json:"processes"`
	// Cores is how many cores the processes have to themselves, split evenly; 0:
	// none, they go where the kernel puts them, next to what Near says. The
	// runner chooses which.
	Cores int `json:"cores,omitempty"`
	// MemoryMiB limits all processes together where cgroup v2 allows. 0: no limit.
	MemoryMiB int64 `json:"memory_mib,omitempty"`
	// Cgroup is where, set by the runner. Empty: nowhere.
	Cgroup string `json:"cgroup,omitempty"`
	// Grace is the time between SIGTERM and SIGKILL.
	Grace time.Duration `json:"grace"`
	// Settle is how long the others may go on by themselves after one process
	// has failed. Default: 5 s.
	Settle time.Duration `json:"settle"`
	// Orphan is how long the job goes on when nobody touches it. Default: 15 min.
	Orphan time.Duration `json:"orphan"`
}

// Process is one member of a job.
type Process struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"` // Argv[0] is looked up in Env's PATH
	Dir  string   `json:"dir"`
	Log  string   `json:"log"` // receives stdout and stderr
	// Near are the cores next to the process's device, such as "0-15,32-47".
	Near string `json:"near,omitempty"`
	// Cores are those it is bound to, set by the runner. None: all.
	Cores []int `json:"cores,omitempty"`
	// Env is the whole environment. It reaches the shim through a pipe and is
	// never written to disk.
	Env []string `json:"-"`
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (j Job) validate() error {
	if !keyPattern.MatchString(j.Key) {
		return fmt.Errorf("job key %q: write letters, digits, '.', '_' and '-'", j.Key)
	}
	if len(j.Processes) == 0 {
		return fmt.Errorf("job %s has no processes", j.Key)
	}
	for _, p := range j.Processes {
		if len(p.Argv) == 0 || p.Name == "" || p.Log == "" {
			return fmt.Errorf("job %s: process %q lacks a name, a command or a log", j.Key, p.Name)
		}
	}
	return nil
}

func (j Job) withDefaults() Job {
	if j.Settle == 0 {
		j.Settle = 5 * time.Second
	}
	if j.Orphan == 0 {
		j.Orphan = 15 * time.Minute
	}
	j.Devices = slices.Sorted(slices.Values(j.Devices))
	return j
}

// State is what a shim has done so far.
type State struct {
	Shim      ProcessID      `json:"shim"`
	Processes []ProcessState `json:"processes"` // in the job's order
	// Stopping says why the shim ends the job; empty while it does not.
	Stopping string `json:"stopping,omitempty"`
	// Lost says that the shim was killed, and the processes with it.
	Lost bool `json:"lost,omitempty"`
	// Finished: every process and every descendant has ended.
	Finished bool `json:"finished"`
}

// ProcessState is the state of one process; ID is zero until it has started,
// Exit nil until it has ended.
type ProcessState struct {
	Name string    `json:"name"`
	ID   ProcessID `json:"id"`
	Exit *Exit     `json:"exit,omitempty"`
}

// Exit says how a process ended.
type Exit struct {
	Code   int    `json:"code"`             // exit status; 0 when Signal or Error is set
	Signal string `json:"signal,omitempty"` // the signal that ended it, such as "killed"
	// Asked: the shim had sent a signal before.
	Asked bool `json:"asked,omitempty"`
	// OOM: the kernel killed it for want of memory.
	OOM OOM `json:"oom,omitempty"`
	// Lost: the shim was killed before it saw the end.
	Lost bool `json:"lost,omitempty"`
	// Error says why the process could not start.
	Error string    `json:"error,omitempty"`
	At    time.Time `json:"at"`
}

// Failed reports whether the process ended otherwise than with status 0.
func (e Exit) Failed() bool { return e.Code != 0 || e.Signal != "" || e.Error != "" }

// Names of the files in a job's directory.
const (
	jobFile   = "job.json"
	stateFile = "state.json"
	lockFile  = "lock"
	aliveFile = "alive"
	stopFile  = "stop"
	shimLog   = "shim.log"
)

func readState(dir string) (state State, found bool, err error) {
	found, err = readJSON(filepath.Join(dir, stateFile), &state)
	return state, found, err
}

func readJSON(path string, into any) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}

// writeJSON replaces path in one step; a reader sees the old or the new
// content, and so does the next boot.
func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(data)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
