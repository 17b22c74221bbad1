package activities

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/signing"
	"github.com/mainspring-ml/mainspring/models"
)

// signingBench is a worker with a key, and a model among a run's artifacts in a
// bucket of its own.
type signingBench struct {
	*testing.T
	*Signing
	runs  artifact.Store // MLflow's bucket
	trust signing.Trust
	req   models.SignModelRequest
}

const runRoot = "1/run/artifacts/"

func newSigningBench(t *testing.T) *signingBench {
	t.Helper()
	store := artifact.NewMemory("mainspring")
	key := drawKey(t)
	b := &signingBench{T: t, runs: store.InBucket("mlflow"), trust: trusting(t, key), Signing: &Signing{
		Store: store, Version: "v1", Key: func(context.Context) (signing.Key, error) { return key, nil },
	}}
	manifest := b.put(map[string]string{"MLmodel": "{}", "model.onnx": "weights"})
	at := time.Date(2013, 8, 4, 1, 2, 3, 0, time.UTC)
	b.req = models.SignModelRequest{Model: "delay", At: at, Candidate: models.Candidate{
		Lifecycle: "lifecycle/delay/2013-08-04", LifecycleRun: "r1", RunID: "mlrun", Snapshot: "5a5a",
		SnapshotManifest: models.Ref{URI: "s3://mainspring/snapshots/x.json", SHA256: "5a5a"},
		Artifact:         models.ModelArtifact{Manifest: manifest, Source: "s3://mlflow/" + runRoot + "model"},
		Devices:          []string{"GPU-1"}, SpecSHA256: "c0de", Trained: models.TimeSpan{Began: at.Add(-time.Hour), Ended: at},
		Hosts: []models.HostFacts{{Node: "gpu-7", OS: "linux/amd64 6.1.0", Driver: "NVIDIA 550.54.15", Devices: []models.DeviceFact{{UUID: "GPU-1", Model: "H100"}}}},
	}}
	b.req.Spec.Train = models.TrainSpec{
		Command: []string{"python", "train.py"}, Params: map[string]any{"rate": 0.1}, Env: map[string]string{"API_TOKEN": "hush-hush"},
		Code: models.Source{URI: "s3://mainspring/objects/code", SHA256: "c0", Commit: "abc+dirty"},
	}
	return b
}

// writeText writes a file and makes its directory.
func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func drawKey(t *testing.T) signing.Key {
	t.Helper()
	private, _, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.OpenKey(t.Context(), "env:KEY", func(string) string { return string(private) })
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func trusting(t *testing.T, keys ...signing.Key) signing.Trust {
	t.Helper()
	public := make([]*ecdsa.PublicKey, len(keys))
	for i, key := range keys {
		public[i] = key.Public()
	}
	trust, err := signing.TrustIn(public...)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// put stores a model as an agent does.
func (b *signingBench) put(files map[string]string) models.Ref {
	b.Helper()
	dir := b.TempDir()
	for name, text := range files {
		writeText(b.T, dir+"/"+name, text)
	}
	manifest, err := artifact.PutTree(b.Context(), b.runs, dir, runRoot+"model")
	if err != nil {
		b.Fatal(err)
	}
	return manifest
}

// overwrite changes an object behind everybody's back.
func (b *signingBench) overwrite(key, text string) {
	b.Helper()
	if _, err := b.runs.Put(b.Context(), key, strings.NewReader(text), int64(len(text)), artifact.PutOptions{}); err != nil {
		b.Fatal(err)
	}
}

func (b *signingBench) signed() models.Signature {
	b.Helper()
	result, err := b.SignModel(b.Context(), b.req)
	if err != nil || result.Signature == nil || result.Unsigned != "" {
		b.Fatalf("got %+v, %v", result, err)
	}
	return *result.Signature
}

func (b *signingBench) read(ref models.Ref) []byte {
	b.Helper()
	text, err := artifact.ReadRef(b.Context(), b.Store, ref, maxBundle)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func TestModelIsSignedBesideItsFiles(t *testing.T) {
	t.Parallel()
	b := newSigningBench(t)
	got := b.signed()
	if got.Bundle.URI != "s3://mlflow/"+runRoot+"signing/model.sig" || got.Provenance.URI != "s3://mlflow/"+runRoot+"signing/provenance.sigstore.json" ||
		len(got.KeyID) != 64 || !got.SignedAt.Equal(b.req.At) {
		t.Errorf("got %+v", got)
	}
	tree, err := artifact.ReadTree(t.Context(), b.Store, b.req.Candidate.Artifact.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing.VerifyFiles(b.read(got.Bundle), b.trust, "model", signedFiles(tree)); err != nil {
		t.Error(err)
	}
	digest, err := signing.RootDigest(signedFiles(tree))
	if err != nil {
		t.Fatal(err)
	}
	text := b.read(got.Provenance)
	subjects, p, err := signing.OpenProvenance(text, b.trust)
	if err != nil || len(subjects) != 3 || subjects[0].Digest["sha256"] != digest {
		t.Fatalf("got %+v, %v", subjects, err)
	}
	written, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"buildType":"https://github.com/mainspring-ml/mainspring/docs/provenance/lifecycle@v1"`, `"rate":0.1`, `"model":"delay"`,
		`"invocationId":"lifecycle/delay/2013-08-04/r1"`, `"NVIDIA 550.54.15"`, `"H100"`, `"git_commit":"abc+dirty"`,
		`"uri":"s3://mainspring/snapshots/x.json","digest":{"sha256":"5a5a"}`, `"run_id":"mlrun"`, `"mainspring":"v1"`,
		`"startedOn":"2013-08-04T00:02:03Z"`, `"spec_sha256":"c0de"`,
	} {
		if !bytes.Contains(written, []byte(want)) {
			t.Errorf("the provenance lacks %s:\n%s", want, written)
		}
	}
	for _, secret := range []string{"hush-hush", "API_TOKEN"} {
		if bytes.Contains(written, []byte(secret)) {
			t.Errorf("the provenance holds %s", secret)
		}
	}
}

func TestSigningAgainKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	b := newSigningBench(t)
	first := b.signed()
	if again := b.signed(); again != first {
		t.Errorf("got %+v, then %+v", first, again)
	}
	// One of the two was lost with the worker that was to write it.
	if err := b.runs.Delete(t.Context(), runRoot+provenanceFile); err != nil {
		t.Fatal(err)
	}
	if again := b.signed(); again.Bundle != first.Bundle || again.Provenance.SHA256 == "" {
		t.Errorf("got %+v after %+v", again, first)
	}
	// What says something else is replaced, and nothing with it.
	before := b.signed()
	b.Version = "v2"
	if again := b.signed(); again.Bundle != first.Bundle || again.Provenance.SHA256 == before.Provenance.SHA256 {
		t.Errorf("got %+v after %+v", again, before)
	}
	// Another key, or damage, is replaced.
	b.overwrite(runRoot+signatureFile, "{}")
	if again := b.signed(); again.Bundle == first.Bundle {
		t.Error("the damaged bundle was kept")
	}
	other := drawKey(t)
	b.Key = func(context.Context) (signing.Key, error) { return other, nil }
	again := b.signed()
	if _, _, err := signing.Open(b.read(again.Bundle), trusting(t, other)); err != nil || again.KeyID == first.KeyID {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestOnlyWhatWasTrainedIsSigned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*signingBench)
		words  []string
	}{
		"changed":          {func(b *signingBench) { b.overwrite(runRoot+"model/model.onnx", "WEIGHTS") }, []string{"not those", "model.onnx"}},
		"missing":          {func(b *signingBench) { _ = b.runs.Delete(b.Context(), runRoot+"model/MLmodel") }, []string{"not those", "MLmodel"}},
		"extra":            {func(b *signingBench) { b.overwrite(runRoot+"model/evil.py", "x") }, []string{"evil.py", "none of them"}},
		"another manifest": {func(b *signingBench) { b.put(map[string]string{"MLmodel": "{}", "model.onnx": "others"}) }, []string{"not those"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSigningBench(t)
			c.change(b)
			_, err := b.SignModel(t.Context(), b.req)
			wantKind(t, err, models.KindModelRejected, c.words...)
			if _, err := b.runs.Stat(t.Context(), runRoot+signatureFile); !errors.Is(err, artifact.ErrNotFound) {
				t.Errorf("a signature was left: %v", err)
			}
		})
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	t.Parallel()
	b := newSigningBench(t)
	b.Key = nil
	result, err := b.SignModel(t.Context(), b.req)
	if err != nil || result.Signature != nil || !strings.Contains(result.Unsigned, "MAINSPRING_SIGNING_KEY") {
		t.Errorf("got %+v, %v", result, err)
	}
	b.Key = func(context.Context) (signing.Key, error) { return nil, errors.New("the token is not plugged in") }
	_, err = b.SignModel(t.Context(), b.req)
	wantKind(t, err, models.KindUnavailable, "MAINSPRING_SIGNING_KEY", "not plugged in")
}

// TestUpstreamVerifiesWhatAWorkerSigned does what a person does who has the
// run's artifacts and OpenSSF's command line.
func TestUpstreamVerifiesWhatAWorkerSigned(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" {
		t.Skip("NOT TESTED against OpenSSF's model_signing: MAINSPRING_TEST_STACK is not set (make test sets it)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	program, err := devstack.SetupModelSigning(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newSigningBench(t)
	key, err := b.Key(ctx)
	if err != nil {
		t.Fatal(err)
	}
	public, err := signing.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "p.pem"), string(public))
	writeText(t, filepath.Join(dir, "model.sig"), string(b.read(b.signed().Bundle)))
	model := filepath.Join(dir, "model")
	if err := artifact.GetTree(ctx, b.Store, b.req.Candidate.Artifact.Manifest, model); err != nil {
		t.Fatal(err)
	}
	verify := func() (string, error) {
		command := exec.CommandContext(ctx, program, "verify", "key", model, "--signature", filepath.Join(dir, "model.sig"), "--public_key", filepath.Join(dir, "p.pem"))
		output, err := command.CombinedOutput()
		return string(output), err
	}
	if output, err := verify(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	writeText(t, filepath.Join(model, "model.onnx"), "WEIGHTS")
	if output, err := verify(); err == nil || !strings.Contains(output, "model.onnx") {
		t.Errorf("accepted a changed file: %v: %s", err, output)
	}
}
