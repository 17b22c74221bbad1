package clouds

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
	"github.com/mainspring-ml/mainspring/internal/copying"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/models"
)

// A profile's store is a store like any other.
func TestTheSuiteThroughAProfile(t *testing.T) {
	w := newWorld(t)
	lake := w.both.InBucket("lake")
	artifacttest.Run(t, func(testing.TB) artifact.Store { return lake })
}

func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

// snapshot stores one with files of these sizes and returns its digest.
func (w *world) snapshot(sizes ...int) string {
	w.Helper()
	m := models.SnapshotManifest{Format: 1}
	for i, size := range sizes {
		ref, err := artifact.PutObjectBytes(w.Context(), w.both, noise(size))
		require.NoError(w, err)
		ref.URI = ""
		m.Files = append(m.Files, models.SnapshotFile{Path: fmt.Sprintf("train/%03d.parquet", i), Ref: ref})
	}
	encoded, digest, err := dataset.Encode(m)
	require.NoError(w, err)
	_, err = artifact.PutBytes(w.Context(), w.both, dataset.ManifestKey(digest), encoded, artifact.PutOptions{})
	require.NoError(w, err)
	return digest
}

func (w *world) manifest(digest string) string {
	return artifact.URI(w.both, dataset.ManifestKey(digest))
}

// start runs a copy as a process of its own.
func (w *world) start(source, destination string) (*exec.Cmd, *bytes.Buffer) {
	w.Helper()
	self, err := os.Executable()
	require.NoError(w, err)
	command := exec.Command(self, "copy", source, destination)
	for _, name := range slices.Sorted(maps.Keys(w.env)) {
		command.Env = append(command.Env, name+"="+w.env[name])
	}
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	require.NoError(w, command.Start())
	return command, &out
}

// complete looks whether everything that a copied manifest names is there; a
// copy without a manifest promises nothing.
func (w *world) complete(digest, prefix string, want bool) {
	w.Helper()
	lake := w.farStore
	encoded, _, err := artifact.GetBytes(w.Context(), lake, prefix+dataset.ManifestKey(digest), 1<<20)
	if errors.Is(err, artifact.ErrNotFound) && !want {
		return
	}
	require.NoError(w, err)
	m, err := dataset.Decode(encoded)
	require.NoError(w, err)
	for _, f := range m.Files {
		b, _, err := artifact.GetBytes(w.Context(), lake, prefix+dataset.ObjectKey(f.SHA256), 1<<30)
		require.NoError(w, err, "a manifest came before its files")
		require.Equal(w, f.SHA256, artifact.Digest(b))
	}
}

func TestACopyThatIsKilledGoesOn(t *testing.T) {
	w := newWorld(t)
	between := w.newProxy(w.far.Endpoint)
	w.profiles("- {prefix: s3://lake/, endpoint: \"" + between.endpoint + "\", access_key: env:LAKE_KEY, secret_key: env:LAKE_SECRET}\n")
	const large = 160 << 20
	sizes := []int{large}
	for range 60 {
		sizes = append(sizes, 300_000)
	}
	digest := w.snapshot(sizes...)
	total := int64(large + 60*300_000)
	began := time.Now()
	whole, out := w.start(w.manifest(digest), "s3://lake/whole/")
	require.NoError(t, whole.Wait(), out)
	took := time.Since(began)
	w.complete(digest, "whole/", true)
	once := between.sent.Swap(0)
	t.Logf("%d MB in %v; %d MB on the wire", total/1e6, took.Round(time.Millisecond), once/1e6)
	require.Less(t, once, total+total/10)
	kills := 0
	for i := 1; ; i++ {
		command, out := w.start(w.manifest(digest), "s3://lake/killed/")
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		// Each run is killed after a while of its own; the last one finds little left
		// to send.
		started, limit := between.sent.Load(), int64(4+i*17%31)*1e6
		killed := false
		for running := true; running; {
			select {
			case err := <-ended:
				if !killed {
					require.NoError(t, err, out)
				}
				running = false
			case <-time.After(time.Millisecond):
				if between.sent.Load()-started > limit && !killed {
					killed = command.Process.Kill() == nil
				}
			}
		}
		if killed {
			kills++
			w.complete(digest, "killed/", false)
			require.Less(t, i, 50)
			continue
		}
		var objects, sent, skipped int64
		_, err := fmt.Sscan(out.String(), &objects, &sent, &skipped)
		require.NoError(t, err, out)
		wire := between.sent.Load()
		t.Logf("killed %d times; the last run sent %d objects and found %d; %d MB on the wire for %d MB", kills, objects, skipped, wire/1e6, total/1e6)
		// What was under way is lost, which is bounded by the memory of uploads.
		const underWay = 64<<20 + 2*8<<20
		require.Less(t, wire, total+int64(kills)*underWay)
		require.Greater(t, kills, 3)
		require.Greater(t, skipped, int64(30), "what was complete was sent again")
		break
	}
	w.complete(digest, "killed/", true)
	again, out := w.start(w.manifest(digest), "s3://lake/killed/")
	require.NoError(t, again.Wait())
	require.Equal(t, "0 0 62\n", out.String(), "the same copy again sends nothing")
}

func TestABadObjectStopsACopy(t *testing.T) {
	w := newWorld(t)
	digest := w.snapshot(1000, 9<<20, 2000)
	plan, err := copying.At(t.Context(), w.both, w.manifest(digest))
	require.NoError(t, err)
	for i, item := range plan.Items {
		_, key, err := artifact.ParseURI(item.From)
		require.NoError(t, err)
		good, _, err := artifact.GetBytes(t.Context(), w.both, key, 1<<30)
		require.NoError(t, err)
		bad := bytes.Clone(good)
		bad[len(bad)-1]++
		_, err = w.both.Put(t.Context(), key, bytes.NewReader(bad), int64(len(bad)), artifact.PutOptions{})
		require.NoError(t, err)
		to, err := copying.Open(w.both, fmt.Sprintf("s3://lake/bad/%d/", i))
		require.NoError(t, err)
		var progress copying.Progress
		err = copying.Copier{Source: w.both, To: to}.Run(t.Context(), plan, &progress)
		require.ErrorIs(t, err, artifact.ErrCorrupt)
		require.ErrorContains(t, err, item.From)
		there, err := w.farStore.List(t.Context(), fmt.Sprintf("bad/%d/", i))
		require.NoError(t, err)
		for _, o := range there {
			require.NotContains(t, o.Key, item.SHA256, "the bad object is shown")
			require.NotContains(t, o.Key, "manifest.json")
		}
		_, err = artifact.PutBytes(t.Context(), w.both, key, good, artifact.PutOptions{})
		require.NoError(t, err)
		require.NoError(t, copying.Copier{Source: w.both, To: to}.Run(t.Context(), plan, &progress), "it goes on when the object is restored")
		w.complete(digest, fmt.Sprintf("bad/%d/", i), true)
	}
}

// What people are told of settings that are wrong: which profile, what, and what
// to do, and never a secret.
func TestBadSettingsAreTold(t *testing.T) {
	w := newWorld(t)
	digest := w.snapshot(100)
	good := w.far
	profile := func(endpoint, key string) string {
		return fmt.Sprintf("- {prefix: s3://lake/, endpoint: %q, access_key: %s, secret_key: env:LAKE_SECRET}\n", endpoint, key)
	}
	w.env["WRONG"] = "somebody"
	for name, tt := range map[string]struct {
		profiles, destination string
		class                 error
		want                  []string
	}{
		"no such bucket":   {strings.ReplaceAll(profile(good.Endpoint, "env:LAKE_KEY"), "lake", "pond"), "s3://pond/x/", artifact.ErrNotFound, []string{"NoSuchBucket", "s3://pond/", "create the bucket"}},
		"wrong key":        {profile(good.Endpoint, "env:WRONG"), "s3://lake/x/", artifact.ErrDenied, []string{"access_key"}},
		"no key":           {profile(good.Endpoint, "env:NONE"), "s3://lake/x/", artifact.ErrDenied, []string{"NONE is not set"}},
		"nobody":           {"- {prefix: s3://lake/, endpoint: \"" + good.Endpoint + "\", anonymous: true}", "s3://lake/x/", artifact.ErrDenied, []string{"AccessDenied"}},
		"unknown endpoint": {profile("http://127.0.0.1:1", "env:LAKE_KEY"), "s3://lake/x/", artifact.ErrUnavailable, []string{"the profile's endpoint"}},
	} {
		w.profiles(tt.profiles)
		plan, err := copying.At(t.Context(), w.both, w.manifest(digest))
		require.NoError(t, err)
		to, err := copying.Open(w.both, tt.destination)
		require.NoError(t, err)
		err = copying.Copier{Source: w.both, To: to}.Run(t.Context(), plan, &copying.Progress{})
		require.ErrorIs(t, err, tt.class, name)
		for _, want := range append(tt.want, "by the profile s3://") {
			require.ErrorContains(t, err, want, name)
		}
		require.NotContains(t, err.Error(), w.env["LAKE_SECRET"])
		t.Logf("%s: %v", name, err)
		found, err := stores.Examine(t.Context(), w.getenv)
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.NoError(t, found[0].Err, "the default store is well")
		require.ErrorIs(t, found[1].Err, tt.class, name)
	}
	w.profiles(profile(good.Endpoint, "env:LAKE_KEY"))
	found, err := stores.Examine(t.Context(), w.getenv)
	require.NoError(t, err)
	require.NoError(t, errors.Join(found[0].Err, found[1].Err))
}
