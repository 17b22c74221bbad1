package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/signing"
	"github.com/mainspring-ml/mainspring/models"
)

// Names among the run's artifacts. They lie beside the model, not in it: a
// directory verifies only if it has the signed files and no other.
const (
	signatureFile  = "signing/model.sig"
	provenanceFile = "signing/provenance.sigstore.json"
)

// Signing signs models with the worker's key.
type Signing struct {
	Store artifact.Store
	// Key opens the worker's key. nil: models are not signed.
	Key func(context.Context) (signing.Key, error)
	// Version is this program's, for the provenance.
	Version string
}

var _ models.Signing = (*Signing)(nil)

// SignModel implements models.Signing. Signatures are never the same twice, so
// an attempt that finds what an earlier one has stored keeps it, if the same
// key has signed the same statement.
func (s *Signing) SignModel(ctx context.Context, req models.SignModelRequest) (models.SignModelResult, error) {
	if s.Key == nil {
		return models.SignModelResult{Unsigned: "the worker has no key: MAINSPRING_SIGNING_KEY is not set"}, nil
	}
	defer pulse(ctx, nothing)()
	key, err := s.Key(ctx)
	if err != nil {
		return models.SignModelResult{}, keyUnavailable(err)
	}
	id, err := signing.KeyID(key.Public())
	if err != nil {
		return models.SignModelResult{}, keyUnavailable(err)
	}
	model, err := s.read(ctx, req.Candidate.Artifact)
	if err != nil {
		return models.SignModelResult{}, err
	}
	statement, err := signing.ModelStatement(model.name, model.files)
	if err != nil {
		return models.SignModelResult{}, notSignable(req.Candidate.Artifact.Source, err)
	}
	provenance, err := signing.ProvenanceStatement(model.name, model.files, provenanceOf(req, s.Version))
	if err != nil {
		return models.SignModelResult{}, notSignable(req.Candidate.Artifact.Source, err)
	}
	signature := models.Signature{KeyID: id, SignedAt: req.At}
	if signature.Bundle, err = seal(ctx, model.store, model.root+signatureFile, key, statement); err != nil {
		return models.SignModelResult{}, err
	}
	if signature.Provenance, err = seal(ctx, model.store, model.root+provenanceFile, key, provenance); err != nil {
		return models.SignModelResult{}, err
	}
	return models.SignModelResult{Signature: &signature}, nil
}

// keyUnavailable is worth waiting for: a token is plugged in again, a service
// comes back, and a wrong configuration is corrected while the lifecycle waits.
func keyUnavailable(err error) error {
	return &models.Error{
		Kind: models.KindUnavailable, Subject: "MAINSPRING_SIGNING_KEY", Message: "the model can't be signed; it is tried again", Cause: err,
		Hint: "correct the variable and start the workers again; without it models are not signed",
	}
}

func notSignable(source string, err error) error {
	return &models.Error{Kind: models.KindModelRejected, Subject: source, Message: "the model can't be signed", Cause: err}
}

// storedModel is a model whose bytes were all read.
type storedModel struct {
	store artifact.Store // of its bucket
	root  string         // key of the run's artifacts, with a slash
	name  string         // of the model's directory
	files []signing.File
}

// read reads every file of the model again. A file that the manifest does not
// list would be fetched with the rest by whoever goes by the directory.
func (s *Signing) read(ctx context.Context, model models.ModelArtifact) (storedModel, error) {
	bucket, key, err := artifact.ParseURI(model.Manifest.URI)
	prefix, ok := strings.CutSuffix(key, ".json")
	if err != nil || !ok {
		return storedModel{}, notSignable(model.Manifest.URI, errors.Join(err, errors.New("it is not the URI of a tree's manifest")))
	}
	m := storedModel{store: s.Store.InBucket(bucket), name: modelName(model.Manifest)}
	m.root = strings.TrimSuffix(prefix, m.name)
	tree, err := artifact.ReadTree(ctx, s.Store, model.Manifest)
	if err == nil {
		err = artifact.VerifyTree(ctx, m.store, prefix, tree)
	}
	if damaged(err) {
		return m, &models.Error{
			Kind: models.KindModelRejected, Subject: model.Source, Message: "its files are not those that the training has stored", Cause: err,
			Hint: "find out who writes to the run's artifacts, and train again",
		}
	}
	if err != nil {
		return m, unavailable(model.Source, "the model can't be read", err)
	}
	m.files = signedFiles(tree)
	there, err := m.store.List(ctx, prefix+"/")
	if err != nil {
		return m, unavailable(model.Source, "the model's files can't be listed", err)
	}
	listed := make(map[string]bool, len(m.files))
	for _, f := range m.files {
		listed[prefix+"/"+f.Path] = true
	}
	for _, object := range there {
		if !listed[object.Key] {
			return m, &models.Error{
				Kind: models.KindModelRejected, Subject: artifact.URI(m.store, object.Key), Message: "it lies among the model's files and is none of them",
				Hint: "log further artifacts beside the model, not in its directory, and train again",
			}
		}
	}
	return m, nil
}

// seal signs a statement and stores the bundle, unless a bundle of the same
// statement and key is there.
func seal(ctx context.Context, store artifact.Store, at string, key signing.Key, statement []byte) (models.Ref, error) {
	uri := artifact.URI(store, at)
	trust, err := signing.TrustIn(key.Public())
	if err != nil {
		return models.Ref{}, keyUnavailable(err)
	}
	there, _, err := artifact.GetBytes(ctx, store, at, maxBundle)
	if err == nil {
		if signed, _, err := signing.Open(there, trust); err == nil && string(signed) == string(statement) {
			return models.Ref{URI: uri, SHA256: artifact.Digest(there), Size: int64(len(there))}, nil
		}
	} else if !errors.Is(err, artifact.ErrNotFound) {
		return models.Ref{}, unavailable(uri, "it is not known whether the model is signed already", err)
	}
	bundle, err := signing.Seal(ctx, key, statement)
	if err != nil {
		return models.Ref{}, keyUnavailable(err)
	}
	if _, err := artifact.PutBytes(ctx, store, at, bundle, artifact.PutOptions{ContentType: "application/json"}); err != nil {
		return models.Ref{}, unavailable(uri, fmt.Sprintf("the signature of %d bytes can't be stored", len(bundle)), err)
	}
	return models.Ref{URI: uri, SHA256: artifact.Digest(bundle), Size: int64(len(bundle))}, nil
}
