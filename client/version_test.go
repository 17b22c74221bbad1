package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func TestVersionsAreFoundByNumberAndAlias(t *testing.T) {
	status := models.StewardStatus{StewardState: models.StewardState{
		Champion: "2", Previous: "1", Versions: []models.ModelVersion{{Version: "1"}, {Version: "2"}},
	}}
	c := newTestClient(t, withSteward(status))
	for name, want := range map[string]string{"1": "1", "2": "2", "champion": "2", "previous": "1"} {
		got, err := c.Version(t.Context(), "delay", name)
		require.NoError(t, err)
		require.Equal(t, want, got.Version)
	}
	for name, want := range map[string]string{
		"challenger": "delay has no challenger: its champion is version 2",
		"3":          "delay has no version 3; its steward knows 1, 2",
		"best":       "delay has no version best; its steward knows 1, 2",
	} {
		_, err := c.Version(t.Context(), "delay", name)
		require.ErrorContains(t, err, want)
	}
}
