package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
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

// Content is what a snapshot holds.
type Content struct {
	Columns     []models.Column
	Train, Test int64                 // rows
	Files       []models.SnapshotFile // in any order
	Profile     models.Ref
}

// NewManifest describes a snapshot. It holds nothing but the spec's window and
// the rows: no clock, no host, no bucket. Files therefore lose their URI; their
// digest says where they lie, see ObjectKey.
func NewManifest(spec models.DataSpec, content Content) (models.SnapshotManifest, error) {
	train, test := Spans(spec)
	train.Rows, test.Rows = content.Train, content.Test
	m := models.SnapshotManifest{
		Format: manifestFormat, Columns: content.Columns, Train: train, Test: test,
		Files: slices.Clone(content.Files), Profile: content.Profile,
	}
	m.Profile.URI = ""
	slices.SortFunc(m.Files, func(a, b models.SnapshotFile) int { return strings.Compare(a.Path, b.Path) })
	for i := range m.Files {
		f := &m.Files[i]
		if i > 0 && f.Path == m.Files[i-1].Path {
			return m, &models.Error{
				Kind:    models.KindInvalidSpec,
				Subject: spec.Source,
				Message: fmt.Sprintf("two partitions would both become %s", f.Path),
				Hint:    "rename one of the files",
			}
		}
		f.URI = ""
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

// PartitionName is a partition's path below the source.
func PartitionName(source string, part models.Partition) string {
	if part.Name != "" {
		return part.Name
	}
	// Partitions' URIs are written in one way, whatever a person wrote.
	if local, err := url.Parse(source); err == nil && local.Scheme == "file" {
		source = (&url.URL{Scheme: local.Scheme, Path: path.Clean(local.Path)}).String()
	}
	name := strings.TrimPrefix(part.URI, strings.TrimSuffix(source, "/")+"/")
	if name == part.URI {
		name = path.Base(part.URI)
	}
	return name
}

const (
	// maxFileName leaves room in the 255 bytes that file systems allow.
	maxFileName = 200
	// nameDigits tell apart files whose names would be the same.
	nameDigits = 12
)

// FileNames are the names that partitions' files have on either side: their
// paths below the source, flattened, with the format's ending. No two are the
// same, and each depends on the names alone.
func FileNames(partitions []string) []string {
	plain, taken := make([]string, len(partitions)), make(map[string]int, len(partitions))
	for i, name := range partitions {
		plain[i] = fileName(name)
		taken[plain[i]]++
	}
	for i, name := range partitions {
		if taken[plain[i]] > 1 || len(plain[i]) > maxFileName {
			sum := sha256.Sum256([]byte(name))
			cut := strings.ToValidUTF8(plain[i][:min(len(plain[i]), maxFileName)], "")
			plain[i] = cut + "-" + hex.EncodeToString(sum[:])[:nameDigits]
		}
		plain[i] += ".parquet"
	}
	return plain
}

// fileName drops the format's ending and what no host could hold in a name.
func fileName(partition string) string {
	name := TextName(partition)
	if ending := path.Ext(name); formatOfEnding(ending) != "" {
		name = strings.TrimSuffix(name, ending)
	} else {
		name = partition
	}
	return strings.NewReplacer("/", "__", "\\", "_", ":", "_", "\x00", "_").Replace(name)
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
