package activities

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/signing"
	"github.com/mainspring-ml/mainspring/models"
)

// signedReplica is a request for a signed model, and the key that signed it.
func (b *hostBench) signedReplica() (models.StartReplicaRequest, signing.Key) {
	b.Helper()
	key := drawKey(b.T)
	req := b.replicaRequest("3", 1)
	worker := &Signing{Store: b.memory, Key: func(context.Context) (signing.Key, error) { return key, nil }}
	result, err := worker.SignModel(b.Context(), models.SignModelRequest{Candidate: models.Candidate{Artifact: req.Artifact}})
	if err != nil {
		b.Fatal(err)
	}
	req.Signature = result.Signature
	return req, key
}

func (b *hostBench) overwrite(uri, text string) {
	b.Helper()
	_, key, err := artifact.ParseURI(uri)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.memory.Put(b.Context(), key, strings.NewReader(text), int64(len(text)), artifact.PutOptions{}); err != nil {
		b.Fatal(err)
	}
}

func TestServingRefusesChangedFiles(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.replicaRequest("3", 1)
	dir, err := b.trustedModel(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	// Damage on this host is mended from the store, an addition as well.
	cached := filepath.Join(dir, "MLmodel")
	writeText(t, cached, "changed")
	writeText(t, filepath.Join(dir, "evil.py"), "")
	if _, err := b.trustedModel(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(cached); err != nil || string(text) != "{}" {
		t.Errorf("%q is served, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "evil.py")); !os.IsNotExist(err) {
		t.Errorf("the added file is there: %v", err)
	}
	// Damage in the store is not.
	writeText(t, cached, "changed")
	b.overwrite("s3://mainspring/models/m/MLmodel", "changed")
	_, err = b.StartReplica(t.Context(), req)
	wantKind(t, err, models.KindNotTrusted, "flights/late version 3", "not those that were registered", "MLmodel")

	// Nor is a manifest that fits the changed file.
	changed := t.TempDir()
	writeText(t, filepath.Join(changed, "MLmodel"), "changed")
	if _, err := artifact.PutTree(t.Context(), b.memory, changed, "models/m"); err != nil {
		t.Fatal(err)
	}
	_, err = b.StartReplica(t.Context(), req)
	wantKind(t, err, models.KindNotTrusted, "models/m.json")
	if _, found, err := b.Runner.Attach(replicaKey(req.Endpoint, req.Version, 0, 1)); found || err != nil {
		t.Errorf("a server was started: %v", err)
	}
}

func TestServingWantsTheSignatureOfATrustedKey(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req, key := b.signedReplica()
	unsigned := req
	unsigned.Signature = nil
	demanding := func(r models.StartReplicaRequest) models.StartReplicaRequest { r.RequireSignature = true; return r }
	other := req
	other.Signature = new(*req.Signature)
	other.Signature.Bundle = req.Signature.Provenance
	trust, stranger := trusting(t, key), trusting(t, drawKey(t))
	for name, c := range map[string]struct {
		policy ServingPolicy
		req    models.StartReplicaRequest
		words  []string // nil: it is served
	}{
		"signed":                       {ServingPolicy{Trust: trust, Require: true}, demanding(req), nil},
		"signed, nobody asks":          {ServingPolicy{}, req, nil},
		"unsigned, nobody asks":        {ServingPolicy{Trust: trust}, unsigned, nil},
		"unsigned, the host asks":      {ServingPolicy{Trust: trust, Require: true}, unsigned, []string{"not signed", "MAINSPRING_REQUIRE_SIGNATURE of host n"}},
		"unsigned, the spec asks":      {ServingPolicy{Trust: trust}, demanding(unsigned), []string{"not signed", "deploy.require_signature"}},
		"signed by a stranger":         {ServingPolicy{Trust: stranger}, req, []string{"does not verify on host n", "is not trusted"}},
		"the spec asks, no key is set": {ServingPolicy{}, demanding(req), []string{"trusts no key", "MAINSPRING_TRUSTED_KEYS"}},
		"a bundle of something else":   {ServingPolicy{Trust: trust}, other, []string{"does not list a model's files"}},
	} {
		b.Policy = c.policy
		_, err := b.trustedModel(t.Context(), c.req)
		if c.words == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantKind(t, err, models.KindNotTrusted, append(c.words, "flights/late version 3")...)
	}
}

func TestServingWantsTheSignatureOfTheseFiles(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	b.Policy = ServingPolicy{}
	req, key := b.signedReplica()
	b.Policy.Trust = trusting(t, key)
	// Another model of the same run, whose manifest the version names.
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "MLmodel"), "other")
	for prefix, word := range map[string]string{"other/m": "changed since it was signed: MLmodel", "other/n": `of a model called "m"`} {
		manifest, err := artifact.PutTree(t.Context(), b.memory, dir, prefix)
		if err != nil {
			t.Fatal(err)
		}
		swapped := req
		swapped.Artifact.Manifest = manifest
		_, err = b.trustedModel(t.Context(), swapped)
		wantKind(t, err, models.KindNotTrusted, word)
	}
	b.overwrite(req.Signature.Bundle.URI, "{}")
	_, err := b.trustedModel(t.Context(), req)
	wantKind(t, err, models.KindNotTrusted, "not the one that was registered")
}
