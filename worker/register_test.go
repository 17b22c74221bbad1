package worker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/workflows"
)

// TestNamesAreUnique registers everything as the processes do: a real worker
// panics when two adapters have a method of the same name.
func TestNamesAreUnique(t *testing.T) {
	c, err := client.NewLazyClient(client.Options{})
	require.NoError(t, err)
	defer c.Close()
	w := worker.New(c, models.TaskQueue, Options())
	everything := &adapters{
		preparation: &activities.Prepare{}, tracking: &activities.Tracking{}, checkpoints: &activities.Checkpoints{},
		scoring: &activities.Scoring{}, registry: &activities.Registry{}, routing: &activities.Routing{},
		blocks: &activities.Blocks{}, drift: &activities.Drift{}, entities: &activities.Entities{},
		lineage: &activities.Lineage{},
	}
	require.NotPanics(t, func() {
		workflows.Register(w)
		RegisterActivities(w, everything)
		w.RegisterActivity(&activities.Hosts{}) // another queue, and names are unique all the same
	})
	require.Panics(t, func() { w.RegisterActivity(&activities.Routing{}) }, "a second adapter with the same names is noticed")
}

func TestContractErrorsBecomeApplicationErrors(t *testing.T) {
	for kind, final := range map[models.ErrorKind]bool{
		models.KindNoRows: true, models.KindTrainingFailed: true, models.KindUnavailable: false, "SomethingNewer": false,
	} {
		err := ApplicationError(&models.Error{Kind: kind, Subject: "data.window", Message: "holds no rows", Hint: "widen it"})
		var application *temporal.ApplicationError
		require.ErrorAs(t, err, &application)
		require.Equal(t, string(kind), application.Type())
		require.Equal(t, final, application.NonRetryable(), kind)
		require.Equal(t, "data.window: holds no rows (widen it)", application.Message())
	}
	require.NoError(t, ApplicationError(nil))
}
