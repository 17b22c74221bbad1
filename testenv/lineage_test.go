package testenv_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/openlineage"
	"github.com/mainspring-ml/mainspring/internal/openlineage/official"
	"github.com/mainspring-ml/mainspring/models"
)

// lineageTold reads a file of run events, each of which OpenLineage's own client
// must accept.
func lineageTold(ctx context.Context, t *testing.T, path string) (told []openlineage.RunEvent) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	python, err := devstack.SetupOpenLineage(ctx, nil)
	require.NoError(t, err)
	answers, err := official.Events(ctx, python, text)
	require.NoError(t, err)
	for line := range bytes.Lines(text) {
		var event openlineage.RunEvent
		require.NoError(t, json.Unmarshal(line, &event))
		told = append(told, event)
	}
	require.Len(t, answers, len(told))
	for i, complaints := range answers {
		require.Empty(t, complaints, "%+v", told[i])
	}
	return told
}

// toldOfEverything wants events of every job that a lifecycle has, and of every
// way in which one ends.
func toldOfEverything(ctx context.Context, t *testing.T, path string) {
	told := lineageTold(ctx, t, path)
	seen := map[string]bool{}
	for _, event := range told {
		seen[event.Job.Name], seen[event.EventType] = true, true
	}
	for _, want := range []string{"lifecycle", "prepare", "train", "evaluate"} {
		require.Contains(t, seen, flights(t).Model.Name+"/"+want)
	}
	for _, want := range []models.LineageEventType{models.LineageStart, models.LineageComplete, models.LineageFail, models.LineageAbort} {
		require.Contains(t, seen, string(want))
	}
	t.Logf("%d events", len(told))
}
