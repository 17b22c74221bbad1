package worker

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/signing"
)

// environment reads variables of a map, as os.Getenv reads the process'.
func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestServingPolicyIsNeverLessThanWasMeant(t *testing.T) {
	_, public, err := signing.GenerateKey()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pub.pem")
	require.NoError(t, os.WriteFile(file, public, 0o600))

	policy, err := servingPolicy(environment(nil))
	require.NoError(t, err)
	require.True(t, policy.Trust.Empty() && !policy.Require)
	policy, err = servingPolicy(environment(map[string]string{trustedVariable: file, requireVariable: "1"}))
	require.NoError(t, err)
	require.True(t, !policy.Trust.Empty() && policy.Require)

	for words, values := range map[string]map[string]string{
		"write 1 or 0":           {trustedVariable: file, requireVariable: "sure"},
		"nothing could ever":     {requireVariable: "1"},
		"can't be read":          {trustedVariable: file + ":/does/not/exist"},
		"MAINSPRING_TRUSTED_KEY": {trustedVariable: os.Args[0]},
	} {
		_, err := servingPolicy(environment(values))
		require.ErrorContains(t, err, words)
	}
}

func TestSigningKeyIsTriedAgainUntilItOpens(t *testing.T) {
	require.Nil(t, signingKey(t.Context(), environment(nil)))
	values := map[string]string{signingKeyVariable: "env:KEY"}
	open := signingKey(t.Context(), environment(values))
	_, err := open(t.Context())
	require.ErrorIs(t, err, signing.ErrKey)
	private, _, err := signing.GenerateKey()
	require.NoError(t, err)
	values["KEY"] = string(private)
	first, err := open(t.Context())
	require.NoError(t, err)
	delete(values, "KEY")
	again, err := open(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again, "an open key is kept")
}

func TestHostFactsOfVirtualDevicesNameNoDriver(t *testing.T) {
	facts := hostFacts(accel.Virtual{Count: 1})(context.Background())
	require.Empty(t, facts.Driver)
	require.Regexp(t, `^linux/\w+ \S+$`, facts.OS)
	require.NotEmpty(t, facts.Software)
}
