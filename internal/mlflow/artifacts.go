package mlflow

import (
	"context"
	"net/url"
)

// ArtifactList is one directory of a run's artifacts.
type ArtifactList struct {
	RootURI string         `json:"root_uri"`
	Files   []ArtifactFile `json:"files"`
}

// ArtifactFile is a file or directory; Path is relative to the run's root.
type ArtifactFile struct {
	Path  string `json:"path"`
	IsDir bool   `json:"is_dir"`
	Size  int64  `json:"file_size"` // bytes; 0 for directories
}

// ListArtifacts lists one directory of a run, its root for "". The server
// reads the artifact store itself, so this also proves that its UI can.
func (c *Client) ListArtifacts(ctx context.Context, runID, dir string) (ArtifactList, error) {
	query := url.Values{"run_id": {runID}}
	if dir != "" {
		query.Set("path", dir)
	}
	var out ArtifactList
	err := c.do(ctx, get("list artifacts", dir+" of run "+runID, "artifacts/list", query), &out)
	return out, err
}
