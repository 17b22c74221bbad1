package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// predict gets one model's answers from what its spec names: the worker's own
// runtime, a program on a host, or either on leased devices.
func (e *evaluating) predict(ctx workflow.Context, request models.PredictRowsRequest) (models.Predictions, error) {
	if builtIn := request.Predict.Runtime == models.RuntimeONNX || request.Predict.Runtime == ""; builtIn && request.Predict.Resources == nil {
		e.waitFor(ctx, "", "the answers of the "+request.Who)
		return call(heavy(ctx, "Predict with the "+request.Who), models.Scoring.PredictRows, request)
	}
	request.ArtifactURI = e.input.ArtifactURI
	return runOnHost(ctx, e.desk, hostProgram[models.Predictions]{
		name: "predict " + request.Who, who: request.Who, wanted: "the answers of the " + request.Who,
		purpose:   fmt.Sprintf("evaluate %s: %s", e.input.Model, request.Who),
		resources: request.Predict.Resources,
		pool:      models.Resources{Pool: request.Train.Resources.Pool, NodeLabels: request.Train.Resources.NodeLabels}, // those that the training could have had
		run: func(ctx workflow.Context, at hostPlace) future[models.Predictions] {
			request.Key, request.Token, request.Node = at.key, at.token, at.node
			host := at.node.Node
			limit := cmp.Or(request.Predict.Timeout.Std(), time.Hour) // a champion's spec may be older than the field
			return start(longOnHost(ctx, host, "Predict with the "+request.Who+" on "+host, limit+agentAbsent), models.Hosts.PredictOnHost, request)
		},
	})
}
