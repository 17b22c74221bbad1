package devstack

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysAreDrawnOnceAndPrivate(t *testing.T) {
	dir := t.TempDir()
	first, err := loadKeys(dir)
	require.NoError(t, err)
	second, err := loadKeys(dir)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Len(t, string(first.SecretKey), 40)
	require.Len(t, first.AccessKey, 20)

	other, err := loadKeys(t.TempDir())
	require.NoError(t, err)
	require.NotEqual(t, first.SecretKey, other.SecretKey)

	info, err := os.Stat(filepath.Join(dir, credentialsFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestDamagedKeysSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, credentialsFile), []byte(`{"access_key":"a"}`), 0o600))
	_, err := loadKeys(dir)
	require.ErrorContains(t, err, "a key is empty")
	require.ErrorContains(t, err, "remove the file")
}

func TestSecretsAreNeitherPrintedNorLogged(t *testing.T) {
	access := Access{S3: S3Access{AccessKey: "public", SecretKey: "hunter2"}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("keys", "secret", access.S3.SecretKey, "access", access)
	text := fmt.Sprintf("%v %+v %#v %s", access, access, access, access.S3.SecretKey) + log.String()
	require.NotContains(t, text, "hunter2")
	require.Contains(t, text, "[redacted]")
	require.Contains(t, access.Env(), "AWS_SECRET_ACCESS_KEY=hunter2")
}

func TestExternalS3ComesFromTheEnvironment(t *testing.T) {
	variables := map[string]string{}
	getenv := func(name string) string { return variables[name] }
	require.Nil(t, ExternalS3(getenv))
	variables["MAINSPRING_S3_ENDPOINT"] = "https://s3.example.com"
	variables["AWS_ACCESS_KEY_ID"] = "key"
	require.Equal(t, &S3Access{Endpoint: "https://s3.example.com", Bucket: Bucket, Region: region, AccessKey: "key"}, ExternalS3(getenv))

	tools := Tools{Temporal: "t", MLflowPython: "p", MLflowTemplate: "m"}
	_, err := Config{StateDir: t.TempDir(), Tools: tools, ExternalS3: ExternalS3(getenv)}.withDefaults()
	require.ErrorContains(t, err, "AWS_SECRET_ACCESS_KEY") // it is not set
}

func TestEnvironmentLeavesForeignSettingsOut(t *testing.T) {
	t.Setenv("AWS_PROFILE", "work")
	t.Setenv("MLFLOW_TRACKING_URI", "https://elsewhere.example.com")
	t.Setenv("NO_PROXY", "intranet.example.com")
	t.Setenv("DEVSTACK_KEEP", "1")
	env := inheritedEnv()
	require.NotContains(t, env, "AWS_PROFILE=work")
	require.NotContains(t, env, "MLFLOW_TRACKING_URI=https://elsewhere.example.com")
	require.Contains(t, env, "NO_PROXY=127.0.0.1,localhost,intranet.example.com")
	require.Contains(t, env, "DEVSTACK_KEEP=1")
}
