//go:build !linux

package main

import "syscall"

// endWithParent is for Linux alone; elsewhere a killed benchmark leaves its
// processes behind.
func endWithParent() *syscall.SysProcAttr { return nil }
