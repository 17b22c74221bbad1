package spec

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// memoryStore is an Uploader that keeps what it is given.
type memoryStore struct {
	objects map[string]string
	uploads int
	err     error
}

func (m *memoryStore) URI(key string) string { return "s3://bucket/" + key }

func (m *memoryStore) Upload(_ context.Context, key string, content Content) error {
	if m.err != nil {
		return m.err
	}
	if _, ok := m.objects[key]; ok {
		return nil
	}
	in, err := content.Open()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		return err
	}
	m.objects[key] = string(text)
	m.uploads++
	return nil
}

const localSpec = `model: {name: delay}
data:
  source: data
  time: t
  key: k
  label: y
  features: [x]
  window: 60d
  holdout: 14d
train:
  command: [python, train.py]
  code: src
  environment:
    requirements: requirements.txt
`

// project writes a spec and files beside it.
func project(t *testing.T, spec string, files map[string]string) *Document {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "lifecycle.yaml")
	if err := os.WriteFile(path, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	document, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func projectFiles() map[string]string {
	return map[string]string{"src/train.py": "train()", "requirements.txt": "xgboost==2\n",
		"data/2013-01.parquet": "jan", "data/sub/2013-02.parquet": "feb", "data/README.md": "no", "data/.cache/x.parquet": "no"}
}

func TestResolve(t *testing.T) {
	document := project(t, localSpec, projectFiles())
	store := &memoryStore{objects: map[string]string{}}
	got, err := Resolve(t.Context(), document, store)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := artifact.PackDir(filepath.Join(filepath.Dir(document.file), "src"), 0)
	if err != nil || archive.Files != 1 {
		t.Fatalf("%d files, error %v", archive.Files, err)
	}
	if !strings.HasPrefix(got.Data.Source, "s3://bucket/data/") || !strings.HasSuffix(got.Data.Source, "/") {
		t.Errorf("data.source = %s", got.Data.Source)
	}
	prefix := strings.TrimPrefix(got.Data.Source, "s3://bucket/")
	want := map[string]string{
		"objects/" + got.Train.Code.SHA256:                     string(archive.Bytes),
		"objects/" + got.Train.Environment.Requirements.SHA256: "xgboost==2\n",
		prefix + "2013-01.parquet":                             "jan",
		prefix + "sub/2013-02.parquet":                         "feb",
	}
	if !maps.Equal(store.objects, want) {
		t.Errorf("stored %v\nwant %v", store.objects, want)
	}
	if got.Train.Code.SHA256 != archive.SHA256 || got.Train.Code.Size != int64(len(archive.Bytes)) || got.Train.Code.Path != "" || got.Train.Code.URI != "s3://bucket/objects/"+got.Train.Code.SHA256 {
		t.Errorf("train.code = %+v", got.Train.Code)
	}
	if err := got.ValidateResolved(); err != nil {
		t.Error(err)
	}

	again, err := Resolve(t.Context(), project(t, localSpec, projectFiles()), store)
	if err != nil || store.uploads != 4 {
		t.Errorf("%d uploads after a second resolution, error %v; want 4", store.uploads, err)
	}
	if again.Data.Source != got.Data.Source || again.Train.Code.SHA256 != got.Train.Code.SHA256 {
		t.Errorf("the same files elsewhere resolve to %s and %s", again.Data.Source, again.Train.Code.SHA256)
	}

	changed := projectFiles()
	changed["data/2013-01.parquet"] = "JAN"
	other, err := Resolve(t.Context(), project(t, localSpec, changed), store)
	if err != nil || other.Data.Source == got.Data.Source {
		t.Errorf("changed data resolve to %s, error %v", other.Data.Source, err)
	}
}

func TestResolvePacksTheServersFiles(t *testing.T) {
	const server = `deploy:
  endpoint: delay
  server:
    command: [python, server.py, "{port}"]
    code: server
    environment: {requirements: server.txt}
`
	files := projectFiles()
	files["server/server.py"], files["server.txt"] = "serve()", "fastapi==1\n"
	store := &memoryStore{objects: map[string]string{}}
	document := project(t, localSpec+server, files)
	resolved, err := Resolve(t.Context(), document, store)
	if err != nil {
		t.Fatal(err)
	}
	got := resolved.Deploy.Server
	if got.Code.URI == "" || got.Code.Path != "" || got.Code.URI == resolved.Train.Code.URI ||
		store.objects[strings.TrimPrefix(got.Environment.Requirements.URI, "s3://bucket/")] != "fastapi==1\n" {
		t.Errorf("got %+v", got)
	}
	if document.Spec.Deploy.Server.Code.Path != "server" {
		t.Error("resolving changed the document")
	}
	delete(files, "server.txt")
	_, err = Resolve(t.Context(), project(t, localSpec+server, files), store)
	if err == nil || !strings.Contains(err.Error(), "deploy.server.environment.requirements") {
		t.Errorf("got %v", err)
	}
}

func TestResolvePacksWhatTheServerSharesOnce(t *testing.T) {
	store := &memoryStore{objects: map[string]string{}}
	resolved, err := Resolve(t.Context(), project(t, localSpec+"deploy: {endpoint: delay, server: {command: [server]}}\n", projectFiles()), store)
	if err != nil {
		t.Fatal(err)
	}
	if got := resolved.Deploy.Server; !got.Code.IsZero() || store.uploads != 4 {
		t.Errorf("%d uploads, and the server has %+v", store.uploads, got)
	}
	if got := resolved.WithDefaults().Deploy.Server; got.Code != resolved.Train.Code || got.Environment != resolved.WithDefaults().Train.Environment {
		t.Errorf("by default the server has %+v", got)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	store := &memoryStore{objects: map[string]string{}}
	dry, err := Resolve(t.Context(), project(t, localSpec, projectFiles()), DryRun(store))
	if err != nil || store.uploads != 0 {
		t.Fatalf("%d uploads, error %v", store.uploads, err)
	}
	real, err := Resolve(t.Context(), project(t, localSpec, projectFiles()), store)
	if err != nil || real.Data.Source != dry.Data.Source || real.Train.Code != dry.Train.Code {
		t.Errorf("dry %+v, real %+v, error %v", dry.Train.Code, real.Train.Code, err)
	}
}

func TestResolveLeavesURIsAlone(t *testing.T) {
	digest := strings.Repeat("0a", 32)
	resolved := strings.NewReplacer("source: data", "source: s3://x/y/", "code: src",
		"code: {uri: s3://x/z, sha256: "+digest+", size: 1}", "  environment:\n    requirements: requirements.txt\n", "").Replace(localSpec)
	store := &memoryStore{objects: map[string]string{}}
	got, err := Resolve(t.Context(), project(t, resolved, nil), store)
	if err != nil || store.uploads != 0 {
		t.Fatalf("%d uploads, error %v", store.uploads, err)
	}
	if want := (models.Source{URI: "s3://x/z", SHA256: digest, Size: 1}); got.Train.Code != want || got.Data.Source != "s3://x/y/" {
		t.Errorf("code %+v, data %s", got.Train.Code, got.Data.Source)
	}
}

func TestResolveMissingPaths(t *testing.T) {
	document := project(t, localSpec, map[string]string{"src": "a file", "data/README.md": "no"})
	store := &memoryStore{objects: map[string]string{}}
	_, err := Resolve(t.Context(), document, store)
	dir := filepath.Dir(document.file)
	want := strings.Join([]string{
		"FILE:3:3: data.source: DIR/data holds no partition (partitions end with .parquet, .csv, .tsv, .jsonl, .ndjson or .json (the texts with or without .gz); paths are relative to the spec file)",
		"    3 |   source: data",
		"      |   ^",
		"FILE:12:3: train.code: DIR/src is a file; it must be a directory (name the directory it is in)",
		"   12 |   code: src",
		"      |   ^",
		"FILE:14:5: train.environment.requirements: there is no DIR/requirements.txt (paths are relative to the spec file)",
		"   14 |     requirements: requirements.txt",
		"      |     ^",
	}, "\n")
	want = strings.NewReplacer("FILE", document.file, "DIR", dir).Replace(want)
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	if store.uploads != 0 {
		t.Errorf("%d uploads before the check of all paths", store.uploads)
	}
}

func TestResolveEmptyCode(t *testing.T) {
	files := projectFiles()
	files["src/.gitignore"] = "*\n"
	document := project(t, localSpec, files)
	_, err := Resolve(t.Context(), document, &memoryStore{objects: map[string]string{}})
	want := "resolve train.code: " + filepath.Join(filepath.Dir(document.file), "src") + " holds no file, or .gitignore names them all"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestResolveUploadFails(t *testing.T) {
	store := &memoryStore{err: errors.New("no answer")}
	_, err := Resolve(t.Context(), project(t, localSpec, projectFiles()), store)
	if !errors.Is(err, store.err) || err.Error() != "resolve data.source: no answer" {
		t.Errorf("error = %v", err)
	}
}

func TestResolveRecordsTheCommit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED: git is not installed; the recorded commit is not tested")
	}
	document := project(t, localSpec, projectFiles())
	dir := filepath.Dir(document.file)
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@localhost"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	store := &memoryStore{objects: map[string]string{}}
	commit := func() string {
		t.Helper()
		spec, err := Resolve(t.Context(), document, store)
		if err != nil {
			t.Fatal(err)
		}
		return spec.Train.Code.Commit
	}
	if got := commit(); got != "" {
		t.Errorf("commit %q without a repository", got)
	}
	run("init", "-q")
	run("add", ".")
	run("commit", "-q", "-m", "first")
	head := run("rev-parse", "HEAD")
	if got := commit(); got != head {
		t.Errorf("commit %q, want %q", got, head)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "new.parquet"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := commit(); got != head {
		t.Errorf("commit %q after a change outside the code, want %q", got, head)
	}
	if err := os.WriteFile(filepath.Join(dir, "src", "train.py"), []byte("other()"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := commit(); got != head+"+dirty" {
		t.Errorf("commit %q after a change of the code, want %q", got, head+"+dirty")
	}
}

// Whoever is handed the code is not handed the rows, sensitive columns and all.
func TestResolveLeavesTheDataOutOfTheCode(t *testing.T) {
	digest := func(rows string) string {
		files := projectFiles()
		for name := range files {
			if strings.HasPrefix(name, "data/") {
				files[name] = rows
			}
		}
		got, err := Resolve(t.Context(), project(t, strings.Replace(localSpec, "code: src", "code: .", 1), files), &memoryStore{objects: map[string]string{}})
		if err != nil {
			t.Fatal(err)
		}
		return got.Train.Code.SHA256
	}
	if digest("some rows") != digest("other rows") {
		t.Error("the code changed with the data")
	}
}

func TestResolvePacksThePreparingProgram(t *testing.T) {
	files := projectFiles()
	files["prep/prepare.py"], files["prep/needs.txt"] = "prepare()", "polars==1\n"
	text := strings.Replace(localSpec, "  time: t\n", `  prepare:
    command: [python, prepare.py]
    code: prep
    environment: {requirements: prep/needs.txt}
  time: t
`, 1)
	document := project(t, text, files)
	store := &memoryStore{objects: map[string]string{}}
	got, err := Resolve(t.Context(), document, store)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := artifact.PackDir(filepath.Join(filepath.Dir(document.file), "prep"), 0)
	if err != nil {
		t.Fatal(err)
	}
	prepare := got.Data.Prepare
	if prepare.Code.SHA256 != archive.SHA256 || store.objects["objects/"+archive.SHA256] != string(archive.Bytes) || prepare.Code.Path != "" {
		t.Errorf("data.prepare.code = %+v", prepare.Code)
	}
	if needs := prepare.Environment.Requirements; store.objects["objects/"+needs.SHA256] != "polars==1\n" {
		t.Errorf("data.prepare.environment.requirements = %+v", needs)
	}
	if document.Spec.Data.Prepare.Code.Path != "prep" {
		t.Errorf("the document's own code became %+v", document.Spec.Data.Prepare.Code)
	}
	if err := got.ValidateResolved(); err != nil {
		t.Error(err)
	}
	unpacked := document.Spec
	unpacked.Train, unpacked.Data.Source = got.Train, got.Data.Source
	if err := unpacked.ValidateResolved(); err == nil || !strings.Contains(err.Error(), "data.prepare.code") {
		t.Errorf("code that is not packed is accepted: %v", err)
	}

	delete(files, "prep/needs.txt")
	_, err = Resolve(t.Context(), project(t, text, files), store)
	if err == nil || !strings.Contains(err.Error(), "data.prepare.environment.requirements: there is no ") {
		t.Errorf("got %v", err)
	}
}

func TestPartitions(t *testing.T) {
	files := projectFiles()
	for _, name := range []string{"a.CSV.gz", "b.jsonl", "c.txt", "_temporary/d.csv", "e.parquet.gz", "f.json"} {
		files["data/"+name] = "x"
	}
	document := project(t, localSpec, files)
	for format, want := range map[models.DataFormat][]string{
		"":                   {"2013-01.parquet", "a.CSV.gz", "b.jsonl", "f.json", "sub/2013-02.parquet"},
		models.FormatCSV:     {"a.CSV.gz", "c.txt"},
		models.FormatParquet: {"2013-01.parquet", "c.txt", "sub/2013-02.parquet"},
	} {
		got, err := partitions(filepath.Join(filepath.Dir(document.file), "data"), format)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("format %q: files %v, error %v; want %v", format, got, err, want)
		}
	}
}
