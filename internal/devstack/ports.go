package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports are TCP ports on the loopback interface. Zero means the default, or
// a free port when the default is taken; any other port is used or it is an
// error that it can't be.
type Ports struct {
	Temporal        int `json:"temporal"`
	TemporalUI      int `json:"temporal_ui"`
	TemporalMetrics int `json:"temporal_metrics"`
	S3              int `json:"s3"`
	MLflow          int `json:"mlflow"`
	Gateway         int `json:"gateway"`
	GatewayGRPC     int `json:"gateway_grpc"`
}

// defaultPorts are the ones that each program's own documentation uses, where
// there is one.
func defaultPorts() Ports {
	return Ports{Temporal: 7233, TemporalUI: 8233, TemporalMetrics: 7234, S3: 7070, MLflow: 5000, Gateway: 8080, GatewayGRPC: 8081}
}

// Free ports are drawn from a range below the one that systems take outgoing
// connections' ports from, so that none of those gets in between.
const (
	firstFreePort = 20000
	freePorts     = 12000
)

// portKeeper holds the ports of one stack. The lock files keep two stacks
// that start at the same time from drawing the same free port.
type portKeeper struct {
	dir   string
	locks []*fileLock
}

func newPortKeeper() (*portKeeper, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("mainspring-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, describe("reserve ports", dir, err)
	}
	return &portKeeper{dir: dir}, nil
}

// choose settles every port: the wanted one, else the default, else a free
// one. With onlyFree the defaults are left alone, as tests want it.
func (k *portKeeper) choose(wanted Ports, onlyFree bool) (Ports, error) {
	defaults := defaultPorts()
	for _, p := range []struct {
		name     string
		port     *int
		standard int
	}{
		{"Temporal", &wanted.Temporal, defaults.Temporal},
		{"the Temporal UI", &wanted.TemporalUI, defaults.TemporalUI},
		{"Temporal's metrics", &wanted.TemporalMetrics, defaults.TemporalMetrics},
		{"S3", &wanted.S3, defaults.S3},
		{"MLflow", &wanted.MLflow, defaults.MLflow},
		{"the gateway", &wanted.Gateway, defaults.Gateway},
		{"the gateway's gRPC", &wanted.GatewayGRPC, defaults.GatewayGRPC},
	} {
		var err error
		switch {
		case *p.port != 0:
			err = k.exact(p.name, *p.port)
		case !onlyFree && k.take(p.standard) == nil:
			*p.port = p.standard
		default:
			*p.port, err = k.free(p.name)
		}
		if err != nil {
			return Ports{}, err
		}
	}
	return wanted, nil
}

func (k *portKeeper) exact(name string, port int) error {
	if err := k.take(port); err != nil {
		return &Error{
			Op: "reserve a port for " + name, Subject: strconv.Itoa(port), Err: err,
			Hint: fmt.Sprintf("see who has it with `ss -ltnp 'sport = :%d'`, or leave the port unset to get a free one", port),
		}
	}
	return nil
}

func (k *portKeeper) free(name string) (int, error) {
	for range 200 {
		port := firstFreePort + rand.IntN(freePorts)
		if k.take(port) == nil {
			return port, nil
		}
	}
	return 0, &Error{Op: "find a free port for " + name, Err: ErrPortTaken, Hint: "200 tries failed; set the port yourself"}
}

// take reserves the port if nobody listens on it and no other stack has it.
func (k *portKeeper) take(port int) error {
	lock, err := tryLock(filepath.Join(k.dir, strconv.Itoa(port)), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("%w: another stack has it", ErrPortTaken)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		lock.release()
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: another program listens on it", ErrPortTaken)
		}
		return err
	}
	_ = listener.Close()
	k.locks = append(k.locks, lock)
	return nil
}

// FreeAddress is a loopback address that nobody listens on at the moment, for
// programs that can't choose a port and tell. It stays free of outgoing
// connections, so that a program that is killed finds its port again.
func FreeAddress() (string, error) {
	for range 200 {
		address := loopback(firstFreePort + rand.IntN(freePorts))
		listener, err := net.Listen("tcp", address)
		if err == nil {
			return address, listener.Close()
		}
	}
	return "", &Error{Op: "find a free port", Err: ErrPortTaken, Hint: "200 tries failed; end some of the programs that listen"}
}

// release gives all ports back.
func (k *portKeeper) release() {
	for _, lock := range k.locks {
		lock.release()
	}
	k.locks = nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
