package activities

import (
	"strings"

	"github.com/mainspring-ml/mainspring/internal/signing"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// provenanceType names the page that explains the parameters. Nobody fetches
	// it to verify anything.
	provenanceType = "https://github.com/mainspring-ml/mainspring/docs/provenance/lifecycle@v1"
	builderID      = "https://github.com/mainspring-ml/mainspring/worker"
)

// provenanceOf says how a candidate came about. It depends on the request and
// the version alone, so that every attempt makes the same bytes. Variables of
// the environment are left out, names included: they may hold secrets.
func provenanceOf(req models.SignModelRequest, version string) signing.Provenance {
	candidate, train := req.Candidate, req.Spec.Train
	params := train.Params
	if params == nil {
		params = map[string]any{}
	}
	external := map[string]any{
		"model": req.Model, "command": train.Command, "params": params, "spec_sha256": candidate.SpecSHA256,
		"data": rowsOf(req.Spec.Data),
	}
	return signing.Provenance{
		BuildDefinition: signing.BuildDefinition{
			BuildType: provenanceType, ExternalParameters: external,
			InternalParameters:   map[string]any{"hosts": candidate.Hosts, "devices": candidate.Devices},
			ResolvedDependencies: dependencies(candidate, train),
		},
		RunDetails: signing.RunDetails{
			Builder: signing.Builder{ID: builderID, Version: map[string]string{"mainspring": version}},
			Metadata: signing.BuildMetadata{
				InvocationID: strings.TrimSuffix(candidate.Lifecycle+"/"+candidate.LifecycleRun, "/"),
				StartedOn:    candidate.Trained.Began.UTC(), FinishedOn: candidate.Trained.Ended.UTC(),
			},
			Byproducts: []signing.Resource{{Name: "mlflow-run", Annotations: map[string]any{"run_id": candidate.RunID}}},
		},
	}
}

// rowsOf says which rows a model was trained and judged on.
func rowsOf(data models.DataSpec) map[string]any {
	rows := map[string]any{"source": data.Source, "as_of": data.AsOf, "window": data.Window.String()}
	if data.Split.By == models.SplitByHash {
		rows["split"] = data.WithDefaults().Split
	} else {
		rows["holdout"] = data.Holdout.String()
	}
	return rows
}

// dependencies are the bytes that went into the model.
func dependencies(candidate models.Candidate, train models.TrainSpec) []signing.Resource {
	snapshot := candidate.SnapshotManifest
	if snapshot.SHA256 == "" {
		snapshot.SHA256 = candidate.Snapshot
	}
	all := []signing.Resource{{Name: "snapshot", URI: snapshot.URI, Digest: sha256Of(snapshot.SHA256)}}
	if !train.Code.IsZero() {
		code := signing.Resource{Name: "code", URI: train.Code.URI, Digest: sha256Of(train.Code.SHA256)}
		if train.Code.Commit != "" {
			code.Annotations = map[string]any{"git_commit": train.Code.Commit}
		}
		all = append(all, code)
	}
	if requirements := train.Environment.Requirements; !requirements.IsZero() {
		all = append(all, signing.Resource{Name: "requirements", URI: requirements.URI, Digest: sha256Of(requirements.SHA256)})
	}
	return all
}

func sha256Of(digest string) map[string]string {
	if digest == "" {
		return nil
	}
	return map[string]string{"sha256": digest}
}
