package activities

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/signing"
	"github.com/mainspring-ml/mainspring/models"
)

// ServingPolicy is what a host wants of a model before it serves it.
type ServingPolicy struct {
	// Trust are the keys whose signatures count. A version whose signature does
	// not verify with one of them is refused as soon as there are any.
	Trust signing.Trust
	// Require refuses versions without a signature.
	Require bool
}

// maxBundle bounds what is read of a signature.
const maxBundle = 64 << 20

// trustedModel brings a model to this host and returns its directory. Every
// file has been read and has the digest that the manifest names, the manifest
// has the digest that the version was registered with, and the signature is
// what the policy wants.
func (h *Hosts) trustedModel(ctx context.Context, req models.StartReplicaRequest) (string, error) {
	who := fmt.Sprintf("%s version %s", req.Endpoint, req.Version)
	dir, err := h.cache().model(ctx, req.Artifact.Manifest)
	if damaged(err) {
		dir, err = h.cache().model(ctx, req.Artifact.Manifest) // a transfer may have been cut short
	}
	if damaged(err) {
		return "", &models.Error{
			Kind: models.KindNotTrusted, Subject: who, Message: "its files are not those that were registered", Cause: err,
			Hint: "roll back to another version, and find out who changed the files in the artifact store",
		}
	}
	if err != nil {
		return "", err
	}
	return dir, h.checkSignature(ctx, who, req)
}

// checkSignature says whether the version may be served as far as signatures go.
func (h *Hosts) checkSignature(ctx context.Context, who string, req models.StartReplicaRequest) error {
	required, demand := req.RequireSignature || h.Policy.Require, "deploy.require_signature"
	if h.Policy.Require {
		demand = "MAINSPRING_REQUIRE_SIGNATURE of host " + h.Node
	}
	refuse := func(message, hint string, cause error) error {
		return &models.Error{Kind: models.KindNotTrusted, Subject: who, Message: message, Hint: hint, Cause: cause}
	}
	switch {
	case req.Signature == nil && required:
		return refuse("it is not signed, and "+demand+" wants a signature",
			"set MAINSPRING_SIGNING_KEY for the workers and train again", nil)
	case req.Signature == nil:
		return nil
	case h.Policy.Trust.Empty() && required:
		return refuse("host "+h.Node+" trusts no key, and "+demand+" wants a signature",
			"name the public keys' PEM files in MAINSPRING_TRUSTED_KEYS of the agent", nil)
	case h.Policy.Trust.Empty():
		return nil
	}
	files, err := h.modelFiles(ctx, req.Artifact.Manifest)
	if err != nil {
		return err
	}
	bundle, err := artifact.ReadRef(ctx, h.Store, req.Signature.Bundle, maxBundle)
	if damaged(err) || errors.Is(err, artifact.ErrTooLarge) {
		return refuse("its signature is not the one that was registered", "see who changed the signature in the artifact store", err)
	}
	if err != nil {
		return unavailable(req.Signature.Bundle.URI, "the signature can't be fetched", err)
	}
	if _, err := signing.VerifyFiles(bundle, h.Policy.Trust, modelName(req.Artifact.Manifest), files); err != nil {
		return refuse("its signature does not verify on host "+h.Node, "", err)
	}
	return nil
}

// modelFiles are the files of a model whose manifest verifies.
func (h *Hosts) modelFiles(ctx context.Context, manifest models.Ref) ([]signing.File, error) {
	tree, err := artifact.ReadTree(ctx, h.Store, manifest)
	if err != nil {
		return nil, unavailable(manifest.URI, "the model's manifest can't be read", err)
	}
	return signedFiles(tree), nil
}

func signedFiles(tree artifact.TreeManifest) []signing.File {
	files := make([]signing.File, len(tree.Files))
	for i, f := range tree.Files {
		files[i] = signing.File{Path: f.Path, SHA256: f.SHA256}
	}
	return files
}

// modelName is what a model's directory is called in the store, which is what
// it is signed as.
func modelName(manifest models.Ref) string {
	return path.Base(strings.TrimSuffix(manifest.URI, ".json"))
}
