//go:build linux

package devstack

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyMarkedProcessesAreEnded(t *testing.T) {
	dir := t.TempDir()
	ours := start(t, "sleep", nil, dirMark+dir, idMark+"one")
	otherStack := start(t, "sleep", nil, dirMark+dir+"-other", idMark+"two")
	stranger := start(t, "sleep", nil)

	ended, err := endMarked(within(t, 20*time.Second), 5*time.Second, dirMark+dir)

	require.NoError(t, err)
	require.Equal(t, 1, ended)
	require.False(t, alive(ours.Process.Pid))
	require.True(t, alive(otherStack.Process.Pid))
	require.True(t, alive(stranger.Process.Pid))
}

func TestAllMarksAreNeeded(t *testing.T) {
	block := "A=1\x00" + idMark + "one\x00B=2\x00"
	require.True(t, carries(block, []string{idMark + "one"}))
	require.False(t, carries(block, []string{idMark + "on"}))
	require.False(t, carries(block, []string{idMark + "one", partMark}))
	require.False(t, carries(block, nil))
}

func TestMarkedProcessIsKilledWhenItStays(t *testing.T) {
	dir := t.TempDir()
	stubborn := exec.Command("sh", "-c", `trap "" TERM; while :; do sleep 0.05; done`)
	stubborn.Env = []string{"PATH=" + os.Getenv("PATH"), dirMark + dir}
	require.NoError(t, stubborn.Start())
	go func() { _ = stubborn.Wait() }()
	time.Sleep(100 * time.Millisecond) // for the trap; too short a wait only makes the test easier

	_, err := endMarked(within(t, 20*time.Second), 200*time.Millisecond, dirMark+dir)

	require.NoError(t, err)
	require.False(t, alive(stubborn.Process.Pid))
}

func TestOwnLineageIsSpared(t *testing.T) {
	require.Contains(t, lineage(), os.Getpid())
	require.Contains(t, lineage(), os.Getppid())
}

func TestWatchdogEndsWhatTheStackLeft(t *testing.T) {
	stray := start(t, "sleep", nil, idMark+"watched")
	stranger := start(t, "sleep", nil, idMark+"unwatched")
	s := &Stack{id: "watched", config: Config{StateDir: t.TempDir(), Watchdog: []string{"/usr/bin/env", roleVariable + "=watchdog", os.Args[0]}}}
	require.NoError(t, s.startWatchdog())
	time.Sleep(50 * time.Millisecond)
	require.True(t, alive(stray.Process.Pid), "the stack still runs")

	s.watchdog.dismiss()

	require.False(t, alive(stray.Process.Pid))
	require.True(t, alive(stranger.Process.Pid))
}

func TestWatchdogNeedsAStack(t *testing.T) {
	t.Setenv("MAINSPRING_STACK_ID", "")
	require.ErrorIs(t, RunWatchdog(nil), ErrUnsuitable)
}

func TestEndMarkedGivesUpWithItsContext(t *testing.T) {
	dir := t.TempDir()
	start(t, "sleep", nil, dirMark+dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := endMarked(ctx, time.Minute, dirMark+dir)
	require.ErrorIs(t, err, context.Canceled)
}
