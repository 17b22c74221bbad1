package activities

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// profiled is a snapshot of three columns whose profile is stored.
func profiled(t *testing.T, store artifact.Store) models.Snapshot {
	t.Helper()
	numbers := func(mean float64) *profile.Numbers {
		return &profile.Numbers{Count: 9, Min: 1, Max: 9, Mean: mean, Sigma: 2, Sum: "0x0", Squares: "0x0", Buckets: []profile.Bucket{}}
	}
	side := func(rows, nulls int64) profile.SideProfile {
		return profile.SideProfile{Rows: rows, Columns: []profile.Column{
			{Name: "id", Type: "string", Role: "key", Rows: rows, Values: &profile.Values{Distinct: rows, Top: []profile.Count{}}},
			{Name: "distance", Type: "float64", Role: "feature", Rows: rows, Nulls: nulls, Numbers: numbers(5)},
			{Name: "age", Type: "int64", Role: "feature", Rows: rows, Nulls: 1, Sensitive: true},
		}}
	}
	p := profile.Profile{Format: 1, Train: side(10, 0), Test: side(3, 2)}
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	ref, err := artifact.PutObjectBytes(t.Context(), store, raw)
	require.NoError(t, err)
	snapshot := runRequest.Snapshot
	snapshot.Profile = ref
	snapshot.Columns = []models.Column{{Name: "id", Type: "string", Role: "key"}, {Name: "distance", Type: "float64", Role: "feature"}, {Name: "age", Type: "int64", Role: "feature"}}
	return snapshot
}

func TestDatasetsSayWhatTheProfileKnows(t *testing.T) {
	store := artifact.NewMemory("data")
	snapshot := profiled(t, store)
	all, err := (&Tracking{Store: store}).datasets(t.Context(), "flight-delay", snapshot)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []string{"training", "evaluation"}, []string{all[0].Context, all[1].Context})
	for i, nulls := range []int{0, 2} {
		require.Equal(t, snapshot.SHA256()[:36], all[i].Digest)
		require.JSONEq(t, fmt.Sprintf(`{"mlflow_colspec":[
			{"name":"id","type":"string","required":true},
			{"name":"distance","type":"double","required":%t},
			{"name":"age","type":"long","required":false}],
			"mainspring_roles":{"id":"key","distance":"feature","age":"feature"}}`, nulls == 0), all[i].Schema)
		require.JSONEq(t, fmt.Sprintf(`{"num_rows":%d,"from":"0001-01-01T00:00:00Z","to":"0001-01-01T00:00:00Z","columns":{
			"id":{"nulls":0,"distinct":%[1]d},
			"distance":{"nulls":%d,"mean":5,"sigma":2,"min":1,"max":9},
			"age":{"nulls":1}}}`, []int{10, 3}[i], nulls), all[i].Profile)
	}
}

func TestDatasetsWithoutAProfile(t *testing.T) {
	snapshot := profiled(t, artifact.NewMemory("data"))
	for name, tracking := range map[string]*Tracking{"no store": {}, "the profile is gone": {Store: artifact.NewMemory("other")}} {
		snapshot.Profile.URI = "s3://other/objects/" + snapshot.Profile.SHA256
		all, err := tracking.datasets(t.Context(), "flight-delay", snapshot)
		require.NoError(t, err, name)
		require.JSONEq(t, `{"num_rows":10,"from":"0001-01-01T00:00:00Z","to":"0001-01-01T00:00:00Z"}`, all[0].Profile, name)
		require.Contains(t, all[0].Schema, `{"name":"id","type":"string","required":true},{"name":"distance","type":"double","required":false}`, name)
	}
}

func TestTheProfileOfManyColumnsIsLeftOut(t *testing.T) {
	side := profile.SideProfile{Rows: 1}
	for i := range 5000 {
		side.Columns = append(side.Columns, profile.Column{Name: fmt.Sprintf("feature-%d", i), Rows: 1})
	}
	text, err := datasetProfile(models.Span{Rows: 1}, side)
	require.NoError(t, err)
	require.Less(t, len(text), 200)
}
