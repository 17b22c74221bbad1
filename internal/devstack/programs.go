package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// Program is one of Mainspring's own processes.
type Program struct {
	Name  string
	Args  []string // after the executable
	Env   []string // in addition to the stack's
	Ready supervise.Probe
	Grace time.Duration // see supervise.Process
}

// LaptopPrograms are the programs of a laptop: a worker, two agents with
// virtual devices, and the gateway at the stack's gateway address.
func LaptopPrograms(stateDir string, access Access, devicesPerAgent int) []Program {
	agent := func(node string) Program {
		return Program{Name: "agent-" + node, Args: []string{
			"agent", "--node", node, "--virtual-devices", fmt.Sprint(devicesPerAgent), "--virtual-memory", "16GiB",
			"--state-dir", filepath.Join(stateDir, "agents", node),
		}}
	}
	address := access.Gateway
	if gateway, err := url.Parse(access.Gateway); err == nil {
		address = gateway.Host
	}
	return []Program{
		{Name: "worker", Args: []string{"worker"}, Env: []string{"MAINSPRING_SIGNING_KEY=file:" + filepath.Join(stateDir, signingKeyFile)}},
		agent("laptop-a"),
		agent("laptop-b"),
		{Name: "gateway", Ready: supervise.TCPReady(address), Args: []string{"gateway", "--addr", address, "--grpc-addr", access.GatewayGRPC, "--name", "laptop",
			"--flush", "250ms", "--poll", "250ms", "--spool-dir", filepath.Join(stateDir, "gateway")}},
	}
}

// Launch starts programs and returns when all are ready.
func (s *Stack) Launch(ctx context.Context, programs ...Program) error {
	if s.config.Program == "" {
		return errors.New("launch programs: the stack was configured without Mainspring's executable")
	}
	for _, p := range programs {
		err := s.programs.Launch(supervise.Process{
			Name: p.Name, Argv: append([]string{s.config.Program}, p.Args...), Env: append(s.programEnv(), p.Env...),
			LogFile: s.logFile(p.Name), Ready: p.Ready, Grace: p.Grace, Restart: supervise.Restart{Limit: s.config.serverLimit},
		})
		if err != nil {
			return err
		}
	}
	for _, p := range programs {
		if err := s.programs.AwaitReady(ctx, p.Name); err != nil {
			return describe("start "+p.Name, "", err)
		}
	}
	return nil
}
