package worker

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

// AgentConfig is what an agent is told on its command line; where Temporal, S3
// and MLflow are it reads from the environment.
type AgentConfig struct {
	Node    string
	Pool    string // default: models.DefaultPool
	Address string // other hosts reach this one here. Default: 127.0.0.1
	// StateDir holds the jobs and fences of this host: the next agent finds what
	// this one has started by using the same directory. Default: a directory
	// named after the node in the user's state directory.
	StateDir string
	// CacheDir holds snapshots, models and Python environments; all agents of a
	// user may share it. Default: MAINSPRING_CACHE, or mainspring in the user's
	// cache directory.
	CacheDir string

	// VirtualDevices stand for accelerators where there are none.
	VirtualDevices int
	VirtualModel   string
	VirtualMemory  models.Bytes
	VirtualMIG     []string // layouts, see accel.ParseMIGLayout
	VirtualNUMA    int      // memory nodes that they are spread over. 0: unknown
	VirtualLinks   bool     // they are linked with each other
	VirtualFaults  string   // control file that breaks them

	// Labels are told to the pool; requests may ask for them.
	Labels map[string]string
	// CPUs and Memory are what the host has to lease. 0: what this process may use.
	CPUs   float64
	Memory models.Bytes

	// XIDPolicy are changes to accel.DefaultXIDPolicy, such as "94=quarantine".
	XIDPolicy []string
	// ForgetFaults says that the devices were reset since the last agent.
	ForgetFaults bool

	// Orphan is how long a job goes on without an agent. Default: 15 min.
	Orphan time.Duration
	// EndJobs ends every job when the agent stops. Default: they go on, and the
	// next agent attaches to them.
	EndJobs     bool
	MetricsAddr string // host:port for /metrics; empty: none
}

var nodePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (c AgentConfig) withDefaults() (AgentConfig, error) {
	c.Pool = cmp.Or(c.Pool, models.DefaultPool)
	c.Address = cmp.Or(c.Address, "127.0.0.1")
	c.CacheDir = cmp.Or(c.CacheDir, os.Getenv("MAINSPRING_CACHE"))
	switch {
	case !nodePattern.MatchString(c.Node):
		return c, fmt.Errorf("node name %q: write letters, digits, '.', '_' and '-', at most 63", c.Node)
	case c.VirtualDevices < 0:
		return c, fmt.Errorf("%d virtual devices: there can't be less than none", c.VirtualDevices)
	case c.CPUs < 0 || c.Memory < 0:
		return c, fmt.Errorf("%g cores and %v of memory: there can't be less than none", c.CPUs, c.Memory)
	}
	var err error
	if c.CacheDir == "" {
		if c.CacheDir, err = os.UserCacheDir(); err != nil {
			return c, fmt.Errorf("no cache directory: %w; set MAINSPRING_CACHE", err)
		}
		c.CacheDir = filepath.Join(c.CacheDir, "mainspring")
	}
	if c.StateDir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return c, fmt.Errorf("no state directory: %w; name one with --state-dir", err)
		}
		c.StateDir = filepath.Join(cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state")), "mainspring", "agents", c.Node)
	}
	if c.StateDir, err = filepath.Abs(c.StateDir); err == nil {
		c.CacheDir, err = filepath.Abs(c.CacheDir)
	}
	return c, err
}

// Inventory lists the devices an agent offers: virtual ones where they are
// declared, otherwise what the host has.
func (c AgentConfig) Inventory() (accel.Inventory, error) {
	if c.VirtualDevices > 0 {
		return c.virtual()
	}
	if c.VirtualDevices < 0 || len(c.VirtualMIG) > 0 || c.VirtualNUMA != 0 || c.VirtualLinks || c.VirtualFaults != "" {
		return nil, errors.New("options of virtual devices, but none of them; say how many with --virtual-devices")
	}
	policy := accel.DefaultXIDPolicy()
	for _, entry := range c.XIDPolicy {
		if err := policy.Set(entry); err != nil {
			return nil, err
		}
	}
	return accel.WithXIDPolicy(accel.Detect(c.Node), policy), nil
}

func (c AgentConfig) virtual() (accel.Inventory, error) {
	v := accel.Virtual{
		Node: c.Node, Count: c.VirtualDevices, Model: c.VirtualModel, MemoryMiB: int64(c.VirtualMemory) >> 20,
		NUMANodes: c.VirtualNUMA, Cores: runtime.NumCPU(), Linked: c.VirtualLinks, Faults: c.VirtualFaults,
	}
	if c.VirtualNUMA < 0 || c.VirtualNUMA > v.Cores {
		return nil, fmt.Errorf("%d NUMA nodes for %d cores: each node needs one", c.VirtualNUMA, v.Cores)
	}
	if len(c.VirtualMIG) > c.VirtualDevices {
		return nil, fmt.Errorf("%d MIG layouts for %d virtual devices", len(c.VirtualMIG), c.VirtualDevices)
	}
	for _, text := range c.VirtualMIG {
		layout, err := accel.ParseMIGLayout(text)
		if err != nil {
			return nil, err
		}
		v.MIG = append(v.MIG, layout)
	}
	return v, nil
}

// info is what the agent announces, but for the devices.
func (c AgentConfig) info() (models.NodeInfo, error) {
	info := models.NodeInfo{
		Node: c.Node, Pool: c.Pool, Address: c.Address, Labels: c.Labels, Boot: rand.Text(),
		CPUMilli: int64(c.CPUs * milli), MemoryMiB: int64(c.Memory) >> 20,
	}
	var err error
	if info.CPUMilli == 0 {
		if info.CPUMilli, err = usableCPUMilli(os.DirFS("/"), runtime.NumCPU()); err != nil {
			return info, err
		}
	}
	if info.MemoryMiB == 0 {
		info.MemoryMiB, err = usableMemoryMiB(os.DirFS("/"))
	}
	return info, err
}
