package devstack

import (
	"io"
	"os/exec"
	"syscall"
)

// watchdog is the process that outlives a killed stack, see RunWatchdog. It
// has a session of its own, so that neither Ctrl-C nor the death of the
// terminal reaches it.
type watchdog struct {
	command *exec.Cmd
	pipe    io.WriteCloser // its closing, by whatever cause, wakes the watchdog
}

func (s *Stack) startWatchdog() error {
	if len(s.config.Watchdog) == 0 {
		return nil
	}
	argv := s.config.Watchdog
	command := exec.Command(argv[0], argv[1:]...)
	command.Env = s.markedEnv()
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return describe("start the watchdog", argv[0], err)
	}
	s.watchdog = &watchdog{command: command, pipe: pipe}
	return nil
}

// dismiss lets the watchdog make its round, which finds nothing, and waits.
func (w *watchdog) dismiss() {
	_ = w.pipe.Close()
	_ = w.command.Wait()
}
