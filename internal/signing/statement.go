package signing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	modelType     = "https://model_signing/signature/v1.0"
)

// File is one file of a model.
type File struct {
	Path   string // slash-separated, relative to the model's directory
	SHA256 string // hexadecimal
}

// statement is an in-toto Statement v1.
type statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is what a statement is about.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"` // algorithm → hexadecimal digest
}

// modelPredicate is that of OpenSSF Model Signing v1.0.
type modelPredicate struct {
	Serialization serialization `json:"serialization"`
	Resources     []resource    `json:"resources"`
}

type serialization struct {
	Method        string   `json:"method"`
	HashType      string   `json:"hash_type"`
	AllowSymlinks bool     `json:"allow_symlinks"`
	IgnorePaths   []string `json:"ignore_paths"`
}

type resource struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
}

// gitPaths are what upstream leaves out at the root of a model, unless told
// otherwise.
func gitPaths() []string { return []string{".git", ".gitattributes", ".github", ".gitignore"} }

// ignored reports whether a path is one of those to ignore, or below one.
func ignored(name string, ignore []string) bool {
	for _, i := range ignore {
		if name == i || strings.HasPrefix(name, i+"/") {
			return true
		}
	}
	return false
}

// sortFiles sorts by components, as upstream does: "a/b" comes before "a-b".
func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int {
		return slices.CompareFunc(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"), cmp.Compare[string])
	})
}

// ModelStatement is the statement that a model of that name consists of these
// files, less those that upstream ignores. Its bytes depend on nothing else.
func ModelStatement(name string, files []File) ([]byte, error) {
	return modelStatement(name, files, gitPaths())
}

func modelStatement(name string, files []File, ignore []string) ([]byte, error) {
	kept, err := clean(files, ignore)
	if err != nil {
		return nil, err
	}
	predicate := modelPredicate{Serialization: serialization{Method: "files", HashType: "sha256", IgnorePaths: ignore}}
	for _, f := range kept {
		predicate.Resources = append(predicate.Resources, resource{Name: f.Path, Algorithm: "sha256", Digest: f.SHA256})
	}
	encoded, err := json.Marshal(predicate)
	if err != nil {
		return nil, err
	}
	return json.Marshal(statement{
		Type: statementType, PredicateType: modelType, Predicate: encoded,
		Subject: []Subject{{Name: name, Digest: map[string]string{"sha256": root(kept)}}},
	})
}

// RootDigest is the digest of a model of these files, which names it in
// statements.
func RootDigest(files []File) (string, error) {
	kept, err := clean(files, gitPaths())
	return root(kept), err
}

// root is the digest of the files' digests in their order.
func root(files []File) string {
	h := sha256.New()
	for _, f := range files {
		raw, _ := hex.DecodeString(f.SHA256) // clean has decoded it
		h.Write(raw)                         // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// clean returns the files that count, sorted.
func clean(files []File, ignore []string) ([]File, error) {
	kept := make([]File, 0, len(files))
	for _, f := range files {
		if raw, err := hex.DecodeString(f.SHA256); err != nil || len(raw) != sha256.Size {
			return nil, malformed(fmt.Sprintf("%q has the digest %q, which is no SHA-256", f.Path, f.SHA256), nil)
		}
		if !fs.ValidPath(f.Path) || f.Path == "." {
			return nil, malformed(fmt.Sprintf("the path %q leaves the model", f.Path), nil)
		}
		if !ignored(f.Path, ignore) {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return nil, malformed("the model has no files", nil)
	}
	sortFiles(kept)
	for i := 1; i < len(kept); i++ {
		if kept[i].Path == kept[i-1].Path {
			return nil, malformed(fmt.Sprintf("%q is listed twice", kept[i].Path), nil)
		}
	}
	return kept, nil
}

// signedModel is what a statement says about a model.
type signedModel struct {
	name   string
	files  []File   // sorted
	ignore []string // paths inside of the model that the signer left out
}

func parseModel(text []byte) (m signedModel, err error) {
	var s statement
	if err := json.Unmarshal(text, &s); err != nil {
		return m, malformed("the statement is not in-toto's JSON", err)
	}
	switch {
	case s.Type != statementType:
		return m, malformed(fmt.Sprintf("the statement's type is %q; want %q", s.Type, statementType), nil)
	case s.PredicateType != modelType:
		return m, malformed(fmt.Sprintf("the statement says %q, which does not list a model's files; want %q", s.PredicateType, modelType), nil)
	case len(s.Subject) != 1:
		return m, malformed(fmt.Sprintf("the statement has %d subjects; want one", len(s.Subject)), nil)
	}
	var p modelPredicate
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		return m, malformed("the list of files can't be read", err)
	}
	if p.Serialization.Method != "files" || p.Serialization.HashType != "sha256" {
		return m, malformed(fmt.Sprintf("the files are signed as %q with %q; want \"files\" with \"sha256\"", p.Serialization.Method, p.Serialization.HashType), nil)
	}
	m.name = s.Subject[0].Name
	for _, i := range p.Serialization.IgnorePaths {
		if i = path.Clean(i); fs.ValidPath(i) && i != "." {
			m.ignore = append(m.ignore, i) // what lies outside of the model does not matter
		}
	}
	listed := make([]File, len(p.Resources))
	for i, r := range p.Resources {
		if r.Algorithm != "sha256" {
			return m, malformed(fmt.Sprintf("%q has a digest of %q; want sha256", r.Name, r.Algorithm), nil)
		}
		listed[i] = File{Path: r.Name, SHA256: strings.ToLower(r.Digest)}
	}
	if m.files, err = clean(listed, nil); err != nil {
		return m, err
	}
	if got, want := root(m.files), s.Subject[0].Digest["sha256"]; got != want {
		return m, malformed(fmt.Sprintf("the statement contradicts itself: its files have the digest %s, its subject %s", got, want), nil)
	}
	return m, nil
}
