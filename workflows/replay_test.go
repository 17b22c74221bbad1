package workflows_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/workflows"
)

// TestReplay runs histories of real runs against the present code. A failure
// means that runs in flight would break on the upgrade; see CONTRIBUTING.md.
func TestReplay(t *testing.T) {
	types := map[string]bool{}
	for _, path := range histories(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			require.NoError(t, workflows.Replay(path, claimcheck.Converter(&claimcheck.Codec{})))
		})
		types[strings.SplitN(filepath.Base(path), "-", 2)[0]] = true
	}
	require.Len(t, types, 11, "every workflow type has a recorded history")
}

// histories are the recorded ones' files, long ones unpacked.
func histories(t *testing.T) []string {
	paths, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	packed, err := filepath.Glob("testdata/histories/*.json.gz")
	require.NoError(t, err)
	for _, path := range packed {
		file, err := os.Open(path)
		require.NoError(t, err)
		unpacked, err := gzip.NewReader(file)
		require.NoError(t, err)
		data, err := io.ReadAll(unpacked)
		require.NoError(t, errors.Join(err, file.Close()))
		plain := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(path), ".gz"))
		require.NoError(t, os.WriteFile(plain, data, 0o644))
		paths = append(paths, plain)
	}
	return paths
}

// TestReplayNoticesAChange proves that the replayer is awake: a history whose
// first activity had another name must not pass.
func TestReplayNoticesAChange(t *testing.T) {
	data, err := os.ReadFile("testdata/histories/PrepareData-1.json")
	require.NoError(t, err)
	changed := strings.ReplaceAll(string(data), `"ListPartitions"`, `"ListTables"`)
	require.NotEqual(t, string(data), changed)
	path := filepath.Join(t.TempDir(), "changed.json")
	require.NoError(t, os.WriteFile(path, []byte(changed), 0o644))
	require.Error(t, workflows.Replay(path, claimcheck.Converter(&claimcheck.Codec{})))
}

// TestHistoriesCarryNoLargePayload holds promise 7: references and summaries
// only, nothing above 32 KiB.
func TestHistoriesCarryNoLargePayload(t *testing.T) {
	for _, path := range histories(t) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var history any
		require.NoError(t, json.Unmarshal(data, &history))
		walk(history, func(payload string) {
			require.Less(t, len(payload), 32<<10*4/3, "%s has a payload of %d base64 characters", path, len(payload))
		})
	}
}

// walk visits every payload's data.
func walk(node any, visit func(string)) {
	switch node := node.(type) {
	case map[string]any:
		if data, ok := node["data"].(string); ok {
			visit(data)
		}
		for _, child := range node {
			walk(child, visit)
		}
	case []any:
		for _, child := range node {
			walk(child, visit)
		}
	}
}
