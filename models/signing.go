package models

import (
	"context"
	"time"
)

// Signature says who vouches for a version's files, and for where they come
// from. Both files lie beside the model among the run's artifacts.
type Signature struct {
	// KeyID is the hex SHA-256 of the public key as PEM.
	KeyID string `json:"key_id"`
	// Bundle is an OpenSSF Model Signing v1 bundle over the model's files.
	Bundle Ref `json:"bundle"`
	// Provenance is a signed in-toto statement with SLSA provenance.
	Provenance Ref       `json:"provenance"`
	SignedAt   time.Time `json:"signed_at"`
}

// SignModelRequest asks for a candidate's signature.
type SignModelRequest struct {
	Model     string        `json:"model"`
	Candidate Candidate     `json:"candidate"`
	Spec      LifecycleSpec `json:"spec"`
	At        time.Time     `json:"at"`
}

// SignModelResult has the signature, or nil and why there is none.
type SignModelResult struct {
	Signature *Signature `json:"signature,omitempty"`
	Unsigned  string     `json:"unsigned,omitempty"`
}

// Signing signs models with the worker's key.
type Signing interface {
	// SignModel reads every file of the model again. It fails with
	// KindModelRejected when one does not have the digest it was stored with.
	SignModel(context.Context, SignModelRequest) (SignModelResult, error)
}
