package main

import "syscall"

// endWithParent has the kernel end a process with this one.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
