package devstack

import (
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// The names of the servers.
const (
	ServerTemporal = "temporal"
	ServerS3       = "s3"
	ServerMLflow   = "mlflow"
)

func (s *Stack) serverProcess(name string, argv, env []string, ready supervise.Probe) supervise.Process {
	return supervise.Process{
		Name: name, Argv: argv, Env: append(s.markedEnv(), env...), Dir: s.config.StateDir,
		LogFile: s.logFile(name), Ready: ready, Restart: supervise.Restart{Limit: s.config.serverLimit},
	}
}
