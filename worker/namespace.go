package worker

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
)

// namespace is the one that Dial connects to.
func namespace() (string, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	return cmp.Or(options.Namespace, client.DefaultNamespace), err
}

// namespaceID asks Temporal for the namespace's ID, until it is known.
func namespaceID(c client.Client) func(context.Context) (string, error) {
	var lock sync.Mutex
	known := ""
	return func(ctx context.Context) (string, error) {
		lock.Lock()
		defer lock.Unlock()
		if known != "" {
			return known, nil
		}
		name, err := namespace()
		if err != nil {
			return "", err
		}
		described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
		if err != nil {
			return "", err
		}
		if known = described.GetNamespaceInfo().GetId(); known == "" {
			return "", errors.New("namespace " + name + " has no ID")
		}
		return known, nil
	}
}

// workflowPage is where Temporal's web UI shows a workflow; nil without a UI.
func workflowPage(ui string) func(workflowID, runID string) string {
	name, err := namespace()
	if ui == "" || err != nil {
		return nil
	}
	return func(workflowID, runID string) string {
		page := strings.TrimRight(ui, "/") + "/namespaces/" + url.PathEscape(name) + "/workflows/" + url.PathEscape(workflowID)
		if runID != "" {
			page += "/" + url.PathEscape(runID)
		}
		return page
	}
}
