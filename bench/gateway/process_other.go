//go:build !linux

package main

import (
	"syscall"
	"time"
)

// endWithParent is for Linux alone; elsewhere a killed benchmark leaves its
// processes behind.
func endWithParent() *syscall.SysProcAttr { return nil }

// cpuTime is for Linux alone; 0 everywhere else leaves the figure out.
func cpuTime(int) (time.Duration, error) { return 0, nil }
