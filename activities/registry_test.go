package activities

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
	"github.com/mainspring-ml/mainspring/models"
)

// tripCounter counts round trips.
type tripCounter struct{ n atomic.Int64 }

func (c *tripCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// registryOf is the registry as a steward of a namespace has it.
func registryOf(t *testing.T, url, namespace string, through http.RoundTripper) *Registry {
	t.Helper()
	c, err := mlflow.New(mlflow.Config{BaseURL: url, HTTPClient: &http.Client{Transport: through}})
	require.NoError(t, err)
	return &Registry{
		MLflow: c, NamespaceID: func(context.Context) (string, error) { return namespace, nil },
		WorkflowPage: func(id, run string) string { return "http://ui/" + id + "/" + run },
	}
}

func candidateOf(owner, model, key string) models.CreateModelVersionRequest {
	return models.CreateModelVersionRequest{
		Key: key, Model: model, Source: "s3://b/model", RunID: "r", Description: "**pass**", Owner: owner,
		Tags: map[string]string{"mainspring.gate": "pass"}, Lifecycle: "lifecycle/m/1", LifecycleRun: "run1",
	}
}

// A registration is what a steward does for a candidate: the claim, when it has
// not made it yet, the version, and the challenger's alias.
func TestRegistrationTakesTwelveRoundTripsAtMost(t *testing.T) {
	url := os.Getenv("MAINSPRING_TEST_MLFLOW_URI")
	if url == "" {
		url = mlflowtest.NewServer("s3://b").Start(t)
	}
	register := func(model, steward, key string, challenger string) (trips int64) {
		t.Helper()
		var trip tripCounter
		registry := registryOf(t, url, "ns", &trip)
		claim, err := registry.ClaimModel(t.Context(), models.ClaimModelRequest{Model: model, Steward: steward})
		require.NoError(t, err)
		version, err := registry.CreateModelVersion(t.Context(), candidateOf(claim.Owner, model, key))
		require.NoError(t, err)
		require.NoError(t, registry.MoveAliases(t.Context(), models.MoveAliasesRequest{
			Model: model, Owner: claim.Owner, Aliases: map[string]string{models.AliasChallenger: version.Version},
			Expected: map[string]string{models.AliasChallenger: challenger},
		}))
		return trip.n.Load()
	}
	setUp := registryOf(t, url, "ns", nil).MLflow
	fresh, existing := "fresh-"+rand.Text(), "existing-"+rand.Text()
	require.NoError(t, setUp.EnsureRegisteredModel(t.Context(), existing, "", nil))
	for _, tt := range []struct {
		name                            string
		model, steward, key, challenger string
	}{
		{"first version of a new model", fresh, "model/m/run1", "aaaaaaaaaaaaaaaa", ""},
		{"later version", fresh, "model/m/run1", "bbbbbbbbbbbbbbbb", "1"},
		{"first version of a new steward", fresh, "model/m/run2", "cccccccccccccccc", "2"},
		{"first version of a model that was there", existing, "model/m/run1", "dddddddddddddddd", ""},
	} {
		trips := register(tt.model, tt.steward, tt.key, tt.challenger)
		t.Logf("%s: %d round trips", tt.name, trips)
		require.LessOrEqual(t, trips, int64(12), tt.name)
	}
}

func TestAVersionIsLinkedToItsLifecycle(t *testing.T) {
	registry := registryOf(t, mlflowtest.NewServer("s3://b").Start(t), "ns", nil)
	claim, err := registry.ClaimModel(t.Context(), models.ClaimModelRequest{Model: "m", ModelNote: "delays", Steward: "model/m/run1"})
	require.NoError(t, err)
	require.Equal(t, models.ClaimModelResult{Owner: "ns/model/m/run1", Aliases: map[string]string{}}, claim)
	request := candidateOf(claim.Owner, "m", "aaaaaaaaaaaaaaaa")
	request.Description = strings.Repeat("ü", 6000)
	created, err := registry.CreateModelVersion(t.Context(), request)
	require.NoError(t, err)
	version, err := registry.MLflow.GetModelVersion(t.Context(), "m", created.Version)
	require.NoError(t, err)
	require.Equal(t, "http://ui/lifecycle/m/1/run1", version.Tags["mainspring.workflow_url"])
	require.True(t, strings.HasSuffix(version.Description, "[lifecycle/m/1](http://ui/lifecycle/m/1/run1)."), "the link survives the cut")
	require.Len(t, []rune(version.Description), mlflow.MaxDescription)

	tag := models.TagModelVersionRequest{Model: "m", Version: created.Version, Tags: map[string]string{"a": "b", "empty": ""}, Description: "new"}
	require.NoError(t, registry.TagModelVersion(t.Context(), tag))
	version, err = registry.MLflow.GetModelVersion(t.Context(), "m", created.Version)
	require.NoError(t, err)
	require.Equal(t, "bnew", version.Tags["a"]+version.Description)
	require.NoError(t, registry.MLflow.DeleteModelVersion(t.Context(), "m", created.Version))
	requireKind(t, models.KindNotFound, registry.TagModelVersion(t.Context(), tag))
}

func TestALifecyclesIDCanNotForgeALink(t *testing.T) {
	require.Equal(t, `Made by the lifecycle [a\](http://evil) \[b](http://ui/a%28b%29).`, madeBy("a](http://evil) [b", "http://ui/a(b)"))
}

func requireKind(t *testing.T, kind models.ErrorKind, err error) *models.Error {
	t.Helper()
	var failed *models.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, kind, failed.Kind, "%v", err)
	return failed
}

func TestOnlyTheOwnerWrites(t *testing.T) {
	url := mlflowtest.NewServer("s3://b").Start(t)
	ours, theirs := registryOf(t, url, "ours", nil), registryOf(t, url, "theirs", nil)
	mine, err := ours.ClaimModel(t.Context(), models.ClaimModelRequest{Model: "m", Steward: "model/m/run1"})
	require.NoError(t, err)
	_, err = theirs.ClaimModel(t.Context(), models.ClaimModelRequest{Model: "m", Steward: "model/m/run1"})
	require.Contains(t, requireKind(t, models.KindNotOwner, err).Error(), mine.Owner)
	version, err := ours.CreateModelVersion(t.Context(), candidateOf(mine.Owner, "m", "aaaaaaaaaaaaaaaa"))
	require.NoError(t, err)

	taken, err := theirs.ClaimModel(t.Context(), models.ClaimModelRequest{Model: "m", Steward: "model/m/run1", TakeOver: true})
	require.NoError(t, err)
	require.Equal(t, mine.Owner, taken.Before)
	_, err = ours.CreateModelVersion(t.Context(), candidateOf(mine.Owner, "m", "bbbbbbbbbbbbbbbb"))
	requireKind(t, models.KindNotOwner, err)
	move := models.MoveAliasesRequest{Model: "m", Owner: mine.Owner, Aliases: map[string]string{models.AliasChampion: version.Version}}
	requireKind(t, models.KindNotOwner, ours.MoveAliases(t.Context(), move))
	move.Owner = ""
	requireKind(t, models.KindNotOwner, ours.MoveAliases(t.Context(), move))
	_, err = ours.CreateModelVersion(t.Context(), candidateOf("", "m", "bbbbbbbbbbbbbbbb"))
	requireKind(t, models.KindNotOwner, err)
	move.Owner = taken.Owner
	require.NoError(t, theirs.MoveAliases(t.Context(), move))
	read, err := ours.ReadAliases(t.Context(), models.ReadAliasesRequest{Model: "m"})
	require.NoError(t, err)
	require.Equal(t, models.ReadAliasesResult{Exists: true, Aliases: map[string]string{models.AliasChampion: "1"}, Owner: taken.Owner}, read)

	require.NoError(t, ours.MLflow.DeleteRegisteredModel(t.Context(), "m"))
	failed := requireKind(t, models.KindNotOwner, theirs.MoveAliases(t.Context(), move))
	require.Contains(t, failed.Message, "nobody holds it")
	read, err = ours.ReadAliases(t.Context(), models.ReadAliasesRequest{Model: "m", Versions: []string{"1"}})
	require.NoError(t, err)
	require.Equal(t, models.ReadAliasesResult{Aliases: map[string]string{}, Deleted: []string{"1"}}, read)
}

// threeVersions is a registry with a model m that has as many.
type threeVersions struct {
	*testing.T
	*Registry
	owner string
}

func newThreeVersions(t *testing.T) threeVersions {
	t.Helper()
	registry := registryOf(t, mlflowtest.NewServer("s3://b").Start(t), "ns", nil)
	claim, err := registry.ClaimModel(t.Context(), models.ClaimModelRequest{Model: "m", Steward: "model/m/run1"})
	require.NoError(t, err)
	for _, key := range []string{"aaaaaaaa", "bbbbbbbb", "cccccccc"} {
		_, err := registry.CreateModelVersion(t.Context(), candidateOf(claim.Owner, "m", key))
		require.NoError(t, err)
	}
	return threeVersions{T: t, Registry: registry, owner: claim.Owner}
}

func (r threeVersions) byHand(alias, version string) {
	r.Helper()
	require.NoError(r, r.MLflow.SetAlias(r.Context(), "m", alias, version))
}

func (r threeVersions) aliases() map[string]string {
	r.Helper()
	read, err := r.ReadAliases(r.Context(), models.ReadAliasesRequest{Model: "m"})
	require.NoError(r, err)
	return read.Aliases
}

func (r threeVersions) move(aliases, expected map[string]string) error {
	return r.MoveAliases(r.Context(), models.MoveAliasesRequest{Model: "m", Owner: r.owner, Aliases: aliases, Expected: expected})
}

func TestAliasesMovedByHandAreNotOverwritten(t *testing.T) {
	r := newThreeVersions(t)
	r.byHand("champion", "1")
	r.byHand("challenger", "2")
	promote := func() error {
		return r.move(map[string]string{"champion": "2", "previous": "1", "challenger": ""}, map[string]string{"champion": "1", "challenger": "2"})
	}
	r.byHand("champion", "3")
	failed := requireKind(t, models.KindAliasMoved, promote())
	require.Equal(t, []models.AliasDifference{{Alias: "champion", Recorded: "1", Found: "3"}}, failed.Details)
	require.Contains(t, failed.Error(), "recorded at version 1 and found at version 3")
	require.Equal(t, map[string]string{"champion": "3", "challenger": "2"}, r.aliases(), "nothing is overwritten")

	r.byHand("champion", "2") // as a call leaves it that died midway
	for range 2 {
		require.NoError(t, promote())
	}
	require.Equal(t, map[string]string{"champion": "2", "previous": "1"}, r.aliases())
	requireKind(t, models.KindNotFound, r.move(map[string]string{"champion": "77"}, nil))
}

func TestAnAliasThatVanishedWithItsVersionBlocksNothing(t *testing.T) {
	r := newThreeVersions(t)
	r.byHand("champion", "2")
	require.NoError(t, r.MLflow.DeleteModelVersion(t.Context(), "m", "2"))
	read, err := r.ReadAliases(t.Context(), models.ReadAliasesRequest{Model: "m", Versions: []string{"3", "2", "2"}})
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, read.Deleted)
	require.NoError(t, r.move(map[string]string{"champion": "3"}, map[string]string{"champion": "2"}))
	require.Equal(t, map[string]string{"champion": "3"}, r.aliases())

	requireKind(t, models.KindNotFound, r.move(map[string]string{"champion": "2"}, map[string]string{"champion": "3"}))
	r.byHand("champion", "1")
	failed := requireKind(t, models.KindAliasMoved, r.move(map[string]string{"champion": "3"}, map[string]string{"champion": "2"}))
	require.Equal(t, []models.AliasDifference{{Alias: "champion", Recorded: "2", Found: "1", Deleted: true}}, failed.Details)
	// Removed by hand, with its version still there, is moved as well.
	require.NoError(t, r.MLflow.DeleteAlias(t.Context(), "m", "champion"))
	failed = requireKind(t, models.KindAliasMoved, r.move(map[string]string{"champion": "3"}, map[string]string{"champion": "1"}))
	require.Equal(t, []models.AliasDifference{{Alias: "champion", Recorded: "1"}}, failed.Details)
}
