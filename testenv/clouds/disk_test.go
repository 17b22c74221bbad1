package clouds

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/copying"
)

func TestAFullDiskIsToldAndLosesNothing(t *testing.T) {
	w := newWorld(t)
	digest := w.snapshot(1<<20, 1<<20, 30<<20, 3<<20)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=10m"); err != nil {
		t.Skipf("NOT TESTED: a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	plan, err := copying.At(t.Context(), w.both, w.manifest(digest))
	require.NoError(t, err)
	to, err := copying.Open(w.both, artifact.FileURI(dir))
	require.NoError(t, err)
	for range 2 {
		err = copying.Copier{Source: w.both, To: to, Parallel: 1}.Run(t.Context(), plan, &copying.Progress{})
		require.ErrorIs(t, err, artifact.ErrDiskFull)
		require.ErrorContains(t, err, dir+"/objects/")
		require.ErrorContains(t, err, "run the same command again")
		t.Log(err)
		_, err = to.Read(t.Context(), plan.Seals[0].Key, 1<<20)
		require.ErrorIs(t, err, artifact.ErrNotFound, "there is a manifest")
	}
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=60m"))
	var progress copying.Progress
	require.NoError(t, copying.Copier{Source: w.both, To: to, Parallel: 1}.Run(t.Context(), plan, &progress))
	t.Logf("with more room: %d objects copied, %d were there", progress.Objects.Load(), progress.SkippedObjects.Load())
	for _, item := range plan.Items {
		whole, err := to.Has(t.Context(), item.Key, item.SHA256, item.Size)
		require.NoError(t, err)
		require.True(t, whole, item.Key)
	}
	left, err := artifact.ListURI(t.Context(), w.both, artifact.FileURI(dir))
	require.NoError(t, err)
	require.Len(t, left, 5)
}
