package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
)

// runRelay copies bytes between its callers and a server, whole writes at a time
// and without reading them: a request and its answer each fit one read here. It
// is what any process in between costs before it does any work.
func runRelay(ctx context.Context, server string) error {
	to, err := url.Parse(server)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	fmt.Printf("http://%s\n", listener.Addr())
	for {
		caller, err := listener.Accept()
		if err != nil {
			return nil //nolint:nilerr // the listener was closed, which is how it ends
		}
		go relay(caller, to.Host)
	}
}

// relay serves one connection until either side closes its own.
func relay(caller net.Conn, to string) {
	defer caller.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return // the caller sees a closed connection
	}
	defer server.Close()
	chunk := make([]byte, 16<<10)
	for from, into := caller, server; ; from, into = into, from {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		if _, err := into.Write(chunk[:n]); err != nil {
			return
		}
	}
}
