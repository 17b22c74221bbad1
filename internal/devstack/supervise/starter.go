package supervise

import (
	"os/exec"
	"runtime"
)

// starter starts every child from one OS thread that lives as long as it
// does. The kernel's parent-death signal fires when the *thread* that forked
// ends, not the process; Go ends threads at will, so a child started from an
// ordinary goroutine could be killed in the middle of its work.
type starter struct {
	requests chan startRequest
}

type startRequest struct {
	command *exec.Cmd
	started chan error
}

func newStarter() *starter {
	s := &starter{requests: make(chan startRequest)}
	go s.run()
	return s
}

// run never unlocks its thread: the thread ends together with the goroutine,
// when all children have been stopped.
func (s *starter) run() {
	runtime.LockOSThread()
	for request := range s.requests {
		request.started <- request.command.Start()
	}
}

func (s *starter) start(command *exec.Cmd) error {
	request := startRequest{command: command, started: make(chan error, 1)}
	s.requests <- request
	return <-request.started
}

func (s *starter) close() { close(s.requests) }
