package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

// What a steward does not keep any more, MLflow still knows.
func TestMLflowKnowsWhereAVersionsFilesAre(t *testing.T) {
	tags := []map[string]string{{"key": "mainspring.model_sha256", "value": "abc"}, {"key": "mainspring.snapshot_sha256", "value": "def"}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := map[string]any{"name": "delay", "version": r.URL.Query().Get("version"), "run_id": "r1", "source": "s3://b/runs/r1/model", "tags": tags}
		if r.URL.Query().Get("version") == "9" {
			version["tags"] = nil // somebody else's
		}
		answer := map[string]any{"model_version": version, "registered_model": map[string]any{
			"name": "delay", "aliases": []map[string]string{{"alias": "champion", "version": "7"}}}}
		_ = json.NewEncoder(w).Encode(answer) // the test fails anyway
	}))
	t.Cleanup(web.Close)
	tracking, err := mlflow.New(mlflow.Config{BaseURL: web.URL})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"3": "3", "champion": "7"} {
		got, err := registeredVersion(t.Context(), tracking, "delay", name)
		if err != nil {
			t.Fatal(err)
		}
		manifest := got.Candidate.Artifact.Manifest
		if got.Version != want || manifest.URI != "s3://b/runs/r1/model.json" || manifest.SHA256 != "abc" || got.Candidate.Snapshot != "def" || got.Candidate.RunID != "r1" {
			t.Errorf("%s is %+v", name, got)
		}
	}
	if _, err := registeredVersion(t.Context(), tracking, "delay", "9"); err == nil || !strings.Contains(err.Error(), "s3://b/runs/r1/model") {
		t.Errorf("error %v", err)
	}
}
