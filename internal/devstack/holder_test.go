package devstack

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecondHolderLearnsWhoTheFirstIs(t *testing.T) {
	dir := t.TempDir()
	lock, err := hold(dir, "mainspring demo")
	require.NoError(t, err)

	_, err = hold(dir, "mainspring dev")

	require.ErrorIs(t, err, ErrHeld)
	require.ErrorContains(t, err, "mainspring demo, process "+strconv.Itoa(os.Getpid()))
	require.ErrorContains(t, err, "kill "+strconv.Itoa(os.Getpid()))

	lock.release()
	again, err := hold(dir, "mainspring dev")
	require.NoError(t, err)
	again.release()
}

func TestDiscoverFindsOnlyARunningStack(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	access := Access{TemporalAddress: "127.0.0.1:1", S3: S3Access{AccessKey: "a", SecretKey: "s"}}
	require.NoError(t, access.write(dir))

	_, err := Discover(other, dir) // its stack was killed
	require.ErrorIs(t, err, ErrNotRunning)
	require.ErrorContains(t, err, "mainspring dev")

	lock, err := hold(dir, "mainspring dev")
	require.NoError(t, err)
	defer lock.release()
	found, err := Discover(other, dir)
	require.NoError(t, err)
	require.Equal(t, access, found)

	info, err := os.Stat(dir + "/" + accessFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
