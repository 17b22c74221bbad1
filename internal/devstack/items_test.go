package devstack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// script puts an executable into a directory that becomes the whole PATH.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	t.Setenv("PATH", filepath.Dir(path))
	return path
}

func temporalItem(t *testing.T) item {
	t.Helper()
	t.Setenv("MAINSPRING_TEMPORAL", "")
	items := kitchen{python: interpreter{version: "3.11.2"}}.items()
	require.Equal(t, itemTemporal, items[1].name)
	return items[1]
}

func TestTemporalOnPathIsUsedIfItIsNewEnough(t *testing.T) {
	it, c := temporalItem(t), cache{root: t.TempDir()}

	path := script(t, "temporal", "echo 'temporal version 1.10.2 (Server 1.33.0, UI 2.60.0)'")
	found, err := it.locate(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, Located{Path: path, Version: "1.10.2", Source: FromPath}, found)

	script(t, "temporal", "echo 'temporal version 1.8.3 (Server 1.31.0)'")
	found, err = it.locate(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, Located{Version: "1.9.1", Source: Missing}, found)
}

func TestNamedProgramMustBeSuitable(t *testing.T) {
	it, c := temporalItem(t), cache{root: t.TempDir()}

	old := script(t, "temporal", "echo 'temporal version 1.8.3'")
	t.Setenv("MAINSPRING_TEMPORAL", old)
	_, err := it.locate(t.Context(), c)
	require.ErrorIs(t, err, ErrUnsuitable)
	require.ErrorContains(t, err, "MAINSPRING_TEMPORAL")
	require.ErrorContains(t, err, "1.8.3 is older than 1.9")

	t.Setenv("MAINSPRING_TEMPORAL", filepath.Join(t.TempDir(), "missing"))
	_, err = it.locate(t.Context(), c)
	require.ErrorContains(t, err, "no such file")
}

func TestMissingPythonNamesThePackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(pythonVariable, "")
	_, err := findPython(t.Context())
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "apt install python3 python3-venv")
}

func TestPythonWithoutVenvNamesThePackage(t *testing.T) {
	t.Setenv(pythonVariable, "")
	script(t, "python3", `printf '3.11.2\n/usr\n/usr/bin/python3\nNo module named ensurepip\n'`)
	_, err := findPython(t.Context())
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "No module named ensurepip")
	require.ErrorContains(t, err, "apt install python3-venv")
}

func TestOldPythonIsRefused(t *testing.T) {
	t.Setenv(pythonVariable, "")
	script(t, "python3", `printf '3.10.12\n/usr\n/usr/bin/python3\ncomplete\n'`)
	_, err := findPython(t.Context())
	require.ErrorIs(t, err, ErrUnsuitable)
	require.ErrorContains(t, err, "3.10.12 is older than 3.11")
}

func TestMissingGoIsNamedWhenTheS3ServerMustBeBuilt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := buildS3Server(t.Context(), t.TempDir())
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "look for go")
	require.ErrorContains(t, err, "apt install golang")
}

func TestEverythingIsPinned(t *testing.T) {
	k, versions := kitchen{python: interpreter{version: "3.11.2"}}, map[string]string{}
	for _, it := range k.items() {
		versions[it.name] = it.version
		require.NotContains(t, it.entry, "unpinned")
	}
	require.Equal(t, map[string]string{
		itemUV: "0.13.9", itemTemporal: "1.9.1", itemS3: "1.8.0", itemMLflow: "3.17.2", itemONNX: "1.32.0",
	}, versions)
	for version, it := range map[string]item{"1.1.1": k.modelSigning(), "1.54.0": k.openLineage()} {
		require.Equal(t, version, it.version)
	}
	// The package that repacks the Temporal CLI was examined in this form.
	require.Contains(t, temporalLock, "sha256:3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a")
}

func TestEntryNameChangesWithEveryIngredient(t *testing.T) {
	name := entryName("a", "1", "x", "yz")
	require.Equal(t, name, entryName("a", "1", "x", "yz"))
	require.NotEqual(t, name, entryName("a", "1", "xy", "z"))
	require.NotEqual(t, name, entryName("a", "1", "x"))
	require.Regexp(t, `^a-1-[0-9a-f]{12}$`, name)
}

func TestDoctorSaysWhatIsMissing(t *testing.T) {
	t.Setenv(cacheVariable, t.TempDir())
	t.Setenv("PATH", t.TempDir())
	t.Setenv(pythonVariable, "")
	findings, err := Doctor(t.Context())
	require.NoError(t, err)
	hints := map[string]string{}
	for _, f := range findings {
		require.False(t, f.OK)
		require.Equal(t, Missing, f.Source)
		hints[f.What] = f.Hint
	}
	require.Contains(t, hints["gcc"], "apt install gcc")
	require.Contains(t, hints["make"], "apt install make")
	require.Contains(t, hints["go"], "apt install golang")
	require.Contains(t, hints["python3"], "python3-venv")
}
