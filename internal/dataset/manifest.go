package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// The two directories of a snapshot.
const (
	TrainDir = "train"
	TestDir  = "test"
)

// manifestFormat is the only one so far.
const manifestFormat = 1

// NewManifest describes a snapshot. It holds nothing but the spec's window and
// the rows: no clock, no host, no bucket. Files therefore lose their URI; their
// digest says where they lie, see ObjectKey.
func NewManifest(spec models.DataSpec, summary Summary) (models.SnapshotManifest, error) {
	train, test := Spans(spec)
	train.Rows = summary.Tallies[trainPrefix+spec.Time].Rows
	test.Rows = summary.Tallies[testPrefix+spec.Time].Rows
	m := models.SnapshotManifest{
		Format:  manifestFormat,
		Columns: summary.Columns,
		Train:   train,
		Test:    test,
		Files:   make([]models.SnapshotFile, len(summary.Files)),
	}
	for i, f := range summary.Files {
		if i > 0 && f.Path == summary.Files[i-1].Path {
			return m, &models.Error{
				Kind:    models.KindInvalidSpec,
				Subject: spec.Source,
				Message: fmt.Sprintf("two partitions would both become %s", f.Path),
				Hint:    "rename one of the files",
			}
		}
		f.URI = ""
		m.Files[i] = f
	}
	return m, nil
}

// Encode writes the manifest's canonical bytes and their digest, which is the
// snapshot's identity.
func Encode(m models.SnapshotManifest) (data []byte, digest string, err error) {
	data, err = json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, "", fmt.Errorf("encode the snapshot's manifest: %w", err)
	}
	data = append(data, '\n')
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]), nil
}

// Decode reads a manifest and refuses what a reader could not handle safely:
// paths become file names on hosts.
func Decode(data []byte) (models.SnapshotManifest, error) {
	var m models.SnapshotManifest
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&m); err != nil {
		return m, fmt.Errorf("decode the snapshot's manifest: %w", err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("the snapshot's manifest has format %d, this version reads %d", m.Format, manifestFormat)
	}
	for _, f := range m.Files {
		dir, name := path.Split(f.Path)
		if (dir != TrainDir+"/" && dir != TestDir+"/") || path.Clean(f.Path) != f.Path || strings.ContainsAny(name, "\\:\x00") {
			return m, fmt.Errorf("the snapshot's manifest names a file %q outside of %s/ and %s/", f.Path, TrainDir, TestDir)
		}
		if raw, err := hex.DecodeString(f.SHA256); err != nil || len(raw) != sha256.Size {
			return m, fmt.Errorf("the snapshot's manifest has no SHA-256 for %q", f.Path)
		}
	}
	return m, nil
}

// ManifestKey is where a snapshot's manifest lies in the artifact store.
func ManifestKey(digest string) string { return "snapshots/" + digest + "/manifest.json" }

// ObjectKey is where a file with that digest lies in the artifact store.
func ObjectKey(digest string) string { return "objects/" + digest }

// FileName is the name of a partition's file on either side: its path below
// the source, flattened.
func FileName(source, uri string) string {
	name := strings.TrimPrefix(uri, strings.TrimSuffix(source, "/")+"/")
	if name == uri {
		name = path.Base(uri)
	}
	return strings.ReplaceAll(name, "/", "__")
}

// SplitManifestURI takes apart the URI of a snapshot's manifest: into the root
// below which its files lie at their ObjectKey, and the snapshot's digest.
func SplitManifestURI(uri string) (root, digest string, ok bool) {
	rest, ok := strings.CutSuffix(uri, "/manifest.json")
	at := strings.LastIndex(rest, "/snapshots/")
	if !ok || at < 0 {
		return "", "", false
	}
	digest = rest[at+len("/snapshots/"):]
	raw, err := hex.DecodeString(digest)
	return rest[:at+1], digest, err == nil && len(raw) == sha256.Size
}

// FileURI is where a snapshot's file lies, given the URI of the manifest that
// names its digest: a copied snapshot may have any root.
func FileURI(manifestURI, digest string) string {
	root, _, ok := SplitManifestURI(manifestURI)
	if !ok { // a manifest that was stored under another key: the bucket is the root
		scheme, rest, _ := strings.Cut(manifestURI, "://")
		bucket, _, _ := strings.Cut(rest, "/")
		root = scheme + "://" + bucket + "/"
	}
	return root + ObjectKey(digest)
}
