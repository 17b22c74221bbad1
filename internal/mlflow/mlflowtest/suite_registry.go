package mlflowtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

// must2 turns the two results of a call into its value, or a failed test.
func must2[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		return must(t, v, err)
	}
}

func (s suite) model(t *testing.T) string {
	t.Helper()
	name := unique("model")
	ok(t, s.c.EnsureRegisteredModel(s.ctx, name, "made by the suite", map[string]string{"kind": "test"}))
	return name
}

func (s suite) newVersion(t *testing.T, model string) mlflow.ModelVersion {
	t.Helper()
	return must2(s.c.EnsureModelVersion(s.ctx, mlflow.EnsureModelVersionRequest{
		Key: newKey(), Model: model, Source: "s3://mainspring/mlflow/1/abc/artifacts/model"}))(t)
}

func (s suite) versionsOf(t *testing.T, model string) string {
	t.Helper()
	var numbers []string
	for _, v := range must2(s.c.SearchModelVersions(s.ctx, "name = '"+model+"'"))(t) {
		numbers = append(numbers, v.Version)
	}
	return fmt.Sprint(numbers)
}

func testRegisteredModel(t *testing.T, s suite) {
	name := s.model(t)
	ok(t, s.c.EnsureRegisteredModel(s.ctx, name, "another note", nil))
	got := must2(s.c.GetRegisteredModel(s.ctx, name))(t)
	equal(t, "description", got.Description, "made by the suite")
	equal(t, "tag", got.Tags["kind"], "test")
	equal(t, "aliases", len(got.Aliases), 0)
	for _, bad := range []string{"", "  ", "a/b", "a:b", "it's"} {
		wantClass(t, s.c.EnsureRegisteredModel(s.ctx, bad, "", nil), mlflow.ErrInvalid)
	}
	raced := unique("raced")
	race(t, func() (struct{}, error) { return struct{}{}, s.c.EnsureRegisteredModel(s.ctx, raced, "", nil) })
}

func testEnsureModelVersion(t *testing.T, s suite) {
	run := s.ensureRun(t)
	req := mlflow.EnsureModelVersionRequest{Key: newKey(), Model: s.model(t), Source: run.ArtifactURI + "/model",
		RunID: run.ID, Description: "**bold**", Tags: map[string]string{"verdict": "pass"}}
	first := must2(s.c.EnsureModelVersion(s.ctx, req))(t)
	equal(t, "version", first.Version, "1")
	equal(t, "second version", must2(s.c.EnsureModelVersion(s.ctx, req))(t).Version, "1")
	got := must2(s.c.GetModelVersion(s.ctx, req.Model, "1"))(t)
	equal(t, "source", got.Source, req.Source)
	equal(t, "run", got.RunID, run.ID)
	equal(t, "description", got.Description, "**bold**")
	equal(t, "tag", got.Tags["verdict"], "pass")
	equal(t, "key", got.Tags[mlflow.KeyTag], req.Key)
	if got.Created.IsZero() {
		t.Error("the version has no creation time")
	}
	req.Key = newKey()
	equal(t, "version of another key", must2(s.c.EnsureModelVersion(s.ctx, req))(t).Version, "2")
	req.Model = unique("unknown")
	_, err := s.c.EnsureModelVersion(s.ctx, req)
	wantClass(t, err, mlflow.ErrNotFound)
	req.Source = ""
	_, err = s.c.EnsureModelVersion(s.ctx, req)
	wantClass(t, err, mlflow.ErrInvalid)
}

func testEnsureModelVersionRace(t *testing.T, s suite) {
	req := mlflow.EnsureModelVersionRequest{Key: newKey(), Model: s.model(t), Source: "s3://mainspring/mlflow/m"}
	versions := race(t, func() (mlflow.ModelVersion, error) { return s.c.EnsureModelVersion(s.ctx, req) })
	for _, v := range versions {
		equal(t, "version", v.Version, versions[0].Version)
	}
	equal(t, "versions left", s.versionsOf(t, req.Model), "["+versions[0].Version+"]")
}

// testEnsureModelVersionSettles leaves twelve versions with one key behind, so
// that numbers with one and with two digits are compared.
func testEnsureModelVersionSettles(t *testing.T, s suite) {
	model, key := s.model(t), newKey()
	first := s.newVersion(t, model)
	for i := 2; i <= 12; i++ {
		v := s.newVersion(t, model)
		equal(t, "version", v.Version, strconv.Itoa(i))
		ok(t, s.c.SetModelVersionTags(s.ctx, model, v.Version, map[string]string{mlflow.KeyTag: key}))
	}
	kept := must2(s.c.EnsureModelVersion(s.ctx, mlflow.EnsureModelVersionRequest{Key: key, Model: model, Source: first.Source}))(t)
	equal(t, "kept version", kept.Version, "2")
	equal(t, "versions left", s.versionsOf(t, model), "[1 2]")
	equal(t, "next version", s.newVersion(t, model).Version, "13")
}

func testModelVersionFacts(t *testing.T, s suite) {
	model := s.model(t)
	v := s.newVersion(t, model)
	facts := map[string]string{"verdict": "fail", "gain": "-0.093"}
	ok(t, s.c.SetModelVersionTags(s.ctx, model, v.Version, facts))
	ok(t, s.c.SetModelVersionTags(s.ctx, model, v.Version, facts))
	ok(t, s.c.DescribeModelVersion(s.ctx, model, v.Version, "refused"))
	got := must2(s.c.GetModelVersion(s.ctx, model, v.Version))(t)
	equal(t, "tags", got.Tags["verdict"]+got.Tags["gain"], "fail-0.093")
	equal(t, "description", got.Description, "refused")
}

func testAliases(t *testing.T, s suite) {
	model := s.model(t)
	one, two := s.newVersion(t, model), s.newVersion(t, model)
	_, err := s.c.VersionByAlias(s.ctx, model, "champion")
	wantClass(t, err, mlflow.ErrNotFound)
	ok(t, s.c.SetAlias(s.ctx, model, "champion", one.Version))
	ok(t, s.c.SetAlias(s.ctx, model, "champion", one.Version))
	ok(t, s.c.SetAlias(s.ctx, model, "challenger", two.Version))
	got := must2(s.c.GetRegisteredModel(s.ctx, model))(t)
	equal(t, "aliases", fmt.Sprint(got.Aliases), "map[challenger:2 champion:1]")
	ok(t, s.c.SetAlias(s.ctx, model, "champion", two.Version))
	equal(t, "champion", must2(s.c.VersionByAlias(s.ctx, model, "champion"))(t).Version, "2")
	ok(t, s.c.DeleteAlias(s.ctx, model, "challenger"))
	ok(t, s.c.DeleteAlias(s.ctx, model, "challenger"))
	wantClass(t, s.c.SetAlias(s.ctx, model, "champion", "77"), mlflow.ErrNotFound)
	for _, bad := range []string{"", "latest", "Latest", "v1", "two words"} {
		wantClass(t, s.c.SetAlias(s.ctx, model, bad, one.Version), mlflow.ErrInvalid)
	}
	ok(t, s.c.DeleteModelVersion(s.ctx, model, two.Version))
	equal(t, "aliases of a deleted version", len(must2(s.c.GetRegisteredModel(s.ctx, model))(t).Aliases), 0)
}

func testRegistryTags(t *testing.T, s suite) {
	model := s.model(t)
	v := s.newVersion(t, model)
	ok(t, s.c.SetModelTag(s.ctx, model, "team", "a"))
	ok(t, s.c.SetModelTag(s.ctx, model, "team", "b"))
	equal(t, "model tag", must2(s.c.GetRegisteredModel(s.ctx, model))(t).Tags["team"], "b")
	for range 2 {
		ok(t, s.c.DeleteModelTag(s.ctx, model, "team"))
	}
	_, left := must2(s.c.GetRegisteredModel(s.ctx, model))(t).Tags["team"]
	equal(t, "deleted model tag is there", left, false)
	ok(t, s.c.SetModelVersionTags(s.ctx, model, v.Version, map[string]string{"note": strings.Repeat("n", 50_000)}))
	for range 2 {
		ok(t, s.c.DeleteModelVersionTag(s.ctx, model, v.Version, "note"))
	}
	_, left = must2(s.c.GetModelVersion(s.ctx, model, v.Version))(t).Tags["note"]
	equal(t, "deleted version tag is there", left, false)

	wantClass(t, s.c.SetModelTag(s.ctx, model, "a*b", "x"), mlflow.ErrInvalid)
	wantClass(t, s.c.SetModelTag(s.ctx, model, "long", strings.Repeat("x", 5001)), mlflow.ErrInvalid)
	wantClass(t, s.c.SetModelVersionTags(s.ctx, model, v.Version, map[string]string{"ok": "1", "a//b": "x"}), mlflow.ErrInvalid)
	equal(t, "tag beside a bad one", must2(s.c.GetModelVersion(s.ctx, model, v.Version))(t).Tags["ok"], "")
	wantClass(t, s.c.DescribeModelVersion(s.ctx, model, v.Version, strings.Repeat("x", mlflow.MaxDescription+1)), mlflow.ErrInvalid)
	ok(t, s.c.DescribeModelVersion(s.ctx, model, v.Version, strings.Repeat("ü", mlflow.MaxDescription)))
}

// testDeletedVersions is what is left when somebody deletes versions, and then
// the model, in MLflow's UI.
func testDeletedVersions(t *testing.T, s suite) {
	model := s.model(t)
	key := newKey()
	req := mlflow.EnsureModelVersionRequest{Key: key, Model: model, Source: "s3://mainspring/mlflow/m"}
	first := must2(s.c.EnsureModelVersion(s.ctx, req))(t)
	ok(t, s.c.SetAlias(s.ctx, model, "champion", first.Version))
	for range 2 {
		ok(t, s.c.DeleteModelVersion(s.ctx, model, first.Version))
	}
	_, err := s.c.GetModelVersion(s.ctx, model, first.Version)
	wantClass(t, err, mlflow.ErrNotFound)
	wantClass(t, s.c.SetAlias(s.ctx, model, "champion", first.Version), mlflow.ErrNotFound)
	wantClass(t, s.c.SetModelVersionTags(s.ctx, model, first.Version, map[string]string{"a": "b"}), mlflow.ErrNotFound)
	wantClass(t, s.c.DeleteModelVersionTag(s.ctx, model, first.Version, "a"), mlflow.ErrNotFound)
	wantClass(t, s.c.DescribeModelVersion(s.ctx, model, first.Version, "x"), mlflow.ErrNotFound)
	_, err = s.c.VersionByAlias(s.ctx, model, "champion")
	wantClass(t, err, mlflow.ErrNotFound)
	equal(t, "version that takes the deleted one's place", must2(s.c.EnsureModelVersion(s.ctx, req))(t).Version, "2")

	ok(t, s.c.DeleteRegisteredModel(s.ctx, model))
	wantClass(t, s.c.DeleteRegisteredModel(s.ctx, model), mlflow.ErrNotFound)
	wantClass(t, s.c.SetModelTag(s.ctx, model, "a", "b"), mlflow.ErrNotFound)
	wantClass(t, s.c.DeleteModelTag(s.ctx, model, "a"), mlflow.ErrNotFound)
	_, err = s.c.EnsureModelVersion(s.ctx, req)
	wantClass(t, err, mlflow.ErrNotFound)
}

func testMissing(t *testing.T, s suite) {
	none := unique("none")
	_, err := s.c.GetRun(s.ctx, newKey())
	wantClass(t, err, mlflow.ErrNotFound)
	wantClass(t, s.c.LogBatch(s.ctx, mlflow.Batch{RunID: newKey(), Tags: map[string]string{"a": "b"}}), mlflow.ErrNotFound)
	_, err = s.c.GetRegisteredModel(s.ctx, none)
	wantClass(t, err, mlflow.ErrNotFound)
	_, err = s.c.GetModelVersion(s.ctx, none, "1")
	wantClass(t, err, mlflow.ErrNotFound)
	wantClass(t, s.c.SetModelVersionTags(s.ctx, none, "1", map[string]string{"a": "b"}), mlflow.ErrNotFound)
	wantClass(t, s.c.DescribeModelVersion(s.ctx, none, "1", "x"), mlflow.ErrNotFound)
	wantClass(t, s.c.DeleteAlias(s.ctx, none, "champion"), mlflow.ErrNotFound)
	equal(t, "versions of no model", s.versionsOf(t, none), "[]")
}
