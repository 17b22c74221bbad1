package pyenv

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// run runs uv in a process group of its own, so that cancelling ends its
// children too. What it says goes to the log while it says it.
func run(ctx context.Context, log *os.File, uv string, args ...string) error {
	began := time.Now()
	fmt.Fprintf(log, "%s $ uv %s\n", began.UTC().Format(time.RFC3339), strings.Join(args, " "))
	command := exec.CommandContext(ctx, uv, args...)
	command.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	command.Cancel = func() error { return unix.Kill(-command.Process.Pid, unix.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	output := &lastBytes{}
	// The same writer for both: exec then copies from one pipe, in order.
	say := teeing{log, output}
	command.Stdout, command.Stderr = say, say
	err := command.Run()
	result := "done"
	if err != nil {
		result = err.Error()
	}
	fmt.Fprintf(log, "%s %s after %s\n", time.Now().UTC().Format(time.RFC3339), result, time.Since(began).Round(time.Millisecond))
	if err != nil {
		return explain(ctx, "train.environment", "uv "+strings.Join(args[:2], " ")+" failed", output.String(), err)
	}
	return nil
}

// teeing writes to the log and remembers the end. A log that can't be written
// is no reason to fail a build.
type teeing struct {
	log  *os.File
	last *lastBytes
}

func (t teeing) Write(p []byte) (int, error) {
	_, _ = t.log.Write(p)
	return t.last.Write(p)
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct{ bytes.Buffer }

func (l *lastBytes) Write(p []byte) (int, error) {
	const keep = 64 << 10
	n, err := l.Buffer.Write(p)
	if l.Len() > 2*keep {
		l.Next(l.Len() - keep)
	}
	return n, err
}

// explain ends the message with the installer's last lines and says what they
// ask for.
func explain(ctx context.Context, subject, message, output string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	const keep = 15
	lines := strings.Split(strings.TrimSpace(output), "\n")
	tail := strings.Join(lines[max(len(lines)-keep, 0):], "\n")
	what, hint := diagnose(output)
	if what != "" {
		message += ": " + what
	}
	return failed(subject, message+":\n"+tail+"\n", hint, err)
}

// diagnoses are what uv says when it fails, the most telling first: a failure
// to resolve may only be the consequence of an index that is not reached.
func diagnoses() []diagnosis {
	return []diagnosis{
		{[]string{"no space left on device"}, "the disk is full",
			"make room on the cache's disk; environments are below envs in the cache directory"},
		{[]string{"hash mismatch", "hashes are required", "--require-hashes"}, "a package's hash is not the one that was pinned",
			"pin again from an index you trust, with hashes for every requirement: uv pip compile --generate-hashes"},
		{[]string{"network was disabled", "network connectivity is disabled", "dns error", "failed to lookup address", "connection refused",
			"error sending request", "failed to fetch", "client error (connect)", "network is unreachable", "operation timed out"},
			"the package index is not reached from this host",
			"see whether this host reaches the index (UV_DEFAULT_INDEX, HTTPS_PROXY in the agent's environment), or give the agent packages of its own with UV_FIND_LINKS"},
		{[]string{"no solution found", "not found in the package registry", "no matching distribution", "no such package"},
			"the requirements can't be resolved",
			"correct the requirements file: a package or version in it does not exist, or not for this interpreter and platform"},
		{[]string{"couldn't parse requirement", "expected package name", "expected one of"}, "the requirements file can't be read",
			"correct the line that uv names"},
		{[]string{"failed to build", "build backend"}, "a package has no wheel for this interpreter and does not build from source",
			"pin a version with a wheel for this interpreter, or install a compiler on the host"},
	}
}

// diagnosis is what a phrase of uv means, and what to do about it.
type diagnosis struct {
	says       []string // any of them, in lower case
	what, hint string
}

func diagnose(output string) (what, hint string) {
	text := strings.ToLower(output)
	for _, d := range diagnoses() {
		for _, says := range d.says {
			if strings.Contains(text, says) {
				return d.what, d.hint
			}
		}
	}
	return "", "correct the requirements file, or see whether this host reaches the package index"
}
