package devstack

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func newKeeper(t *testing.T) *portKeeper {
	t.Helper()
	keeper, err := newPortKeeper()
	require.NoError(t, err)
	t.Cleanup(keeper.release)
	return keeper
}

// occupy listens on a port of the system's choice.
func occupy(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func TestFreePortsAreDistinctAndListenable(t *testing.T) {
	ports, err := newKeeper(t).choose(Ports{}, true)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, port := range []int{ports.Temporal, ports.TemporalUI, ports.TemporalMetrics, ports.S3, ports.MLflow, ports.Gateway} {
		require.GreaterOrEqual(t, port, firstFreePort)
		require.False(t, seen[port])
		seen[port] = true
		listener, err := net.Listen("tcp", loopback(port))
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
}

func TestTakenPortIsAnErrorThatNamesIt(t *testing.T) {
	port := occupy(t)
	_, err := newKeeper(t).choose(Ports{MLflow: port}, true)
	require.ErrorIs(t, err, ErrPortTaken)
	require.ErrorContains(t, err, "reserve a port for MLflow")
	require.ErrorContains(t, err, "ss -ltnp")
	require.ErrorContains(t, err, loopback(port)[len("127.0.0.1:"):])
}

func TestPortOfAnotherStackIsTaken(t *testing.T) {
	first, second := newKeeper(t), newKeeper(t)
	port, err := first.free("a test")
	require.NoError(t, err)
	require.ErrorIs(t, second.take(port), ErrPortTaken)
	first.release()
	require.NoError(t, second.take(port))
}

func TestTakenDefaultFallsBackToAFreePort(t *testing.T) {
	other, keeper := newKeeper(t), newKeeper(t)
	_ = other.take(defaultPorts().S3) // taken now, by us or by whoever had it
	ports, err := keeper.choose(Ports{}, false)
	require.NoError(t, err)
	require.NotEqual(t, defaultPorts().S3, ports.S3)
	require.NotZero(t, ports.S3)
}

func TestAFreeAddressIsBelowTheOutgoingPorts(t *testing.T) {
	address, err := FreeAddress()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	require.GreaterOrEqual(t, port, firstFreePort)
	require.Less(t, port, firstFreePort+freePorts)
}
