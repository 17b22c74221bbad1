package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// unserved is a version whose spec has no deploy section.
func unserved(name string) models.ModelVersion {
	v := version(name)
	v.Spec.Deploy, v.Spec.Monitor = nil, nil
	return v
}

func TestStewardCrownsInTheRegistryWhatIsServedNowhere(t *testing.T) {
	h := newHouse(t)
	state := models.StewardState{Model: "m", Champion: "1", Versions: []models.ModelVersion{unserved("1"), unserved("2")}}
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "2"})
	h.runSteward(h.holding(state), time.Minute)

	answer := replies[models.RollOutReply](h, models.SignalRolledOut)[0]
	require.True(t, answer.Promoted)
	require.Contains(t, answer.Reason, "no deploy section")
	require.Equal(t, "2", h.aliases[models.AliasChampion])
	require.Equal(t, "1", h.aliases[models.AliasPrevious])
	require.Empty(t, h.routes, "no route")
	require.Empty(t, h.sent(models.SignalStop), "no servers")
	require.Empty(t, h.monitor)
}

func TestStewardKeepsAServedChampionFromOneWithoutEndpoint(t *testing.T) {
	h := newHouse(t)
	state := models.StewardState{Model: "m", Champion: "1", Versions: []models.ModelVersion{version("1"), unserved("2")}}
	h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "2"})
	h.runSteward(h.holding(state), time.Minute)

	answer := replies[models.RollOutReply](h, models.SignalRolledOut)[0]
	require.False(t, answer.Promoted)
	require.Contains(t, answer.Reason, "the champion answers on endpoint flights")
	require.Equal(t, "1", h.aliases[models.AliasChampion])
	require.Empty(t, h.routes)
}
