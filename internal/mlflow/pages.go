package mlflow

import "net/url"

// The pages of MLflow's UI are fragments of its start page.

// ExperimentURL is the page of an experiment.
func (c *Client) ExperimentURL(experimentID string) string {
	return c.page("experiments", experimentID)
}

// RunURL is the page of a run.
func (c *Client) RunURL(experimentID, runID string) string {
	return c.page("experiments", experimentID, "runs", runID)
}

// ModelURL is the page of a registered model.
func (c *Client) ModelURL(model string) string { return c.page("models", model) }

// ModelVersionURL is the page of a model version.
func (c *Client) ModelVersionURL(model, version string) string {
	return c.page("models", model, "versions", version)
}

func (c *Client) page(segments ...string) string {
	address := c.base.String() + "/#"
	for _, s := range segments {
		address += "/" + url.PathEscape(s)
	}
	return address
}
