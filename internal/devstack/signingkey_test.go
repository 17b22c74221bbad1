package devstack

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/signing"
)

func TestSigningKeyStaysWithItsDirectory(t *testing.T) {
	dir := t.TempDir()
	public, err := drawSigningKey(dir)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, signingKeyFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(public)
	require.NoError(t, err)
	again, err := drawSigningKey(dir)
	require.NoError(t, err)
	after, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))

	// What the worker signs, the agents trust; only the worker has the key.
	access := Access{TrustedKeys: public}
	var uri string
	for _, p := range LaptopPrograms(dir, access, 1) {
		for _, variable := range p.Env {
			if value, ok := strings.CutPrefix(variable, "MAINSPRING_SIGNING_KEY="); ok {
				require.Equal(t, "worker", p.Name)
				uri = value
			}
		}
	}
	require.True(t, slices.Contains(access.Env(), "MAINSPRING_TRUSTED_KEYS="+public))
	key, err := signing.OpenKey(t.Context(), uri, os.Getenv)
	require.NoError(t, err)
	bundle, err := signing.Seal(t.Context(), key, []byte("{}"))
	require.NoError(t, err)
	trust, err := signing.LoadTrust(public)
	require.NoError(t, err)
	_, _, err = signing.Open(bundle, trust)
	require.NoError(t, err)
}
