package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
)

const (
	bundleType  = "application/vnd.dev.sigstore.bundle.v0.3+json"
	payloadType = "application/vnd.in-toto+json"

	// maxBundle is far above what a model of a million files needs.
	maxBundle = 256 << 20
)

// bundle is a sigstore bundle that holds a DSSE envelope and names a key.
// Whatever else a bundle may hold (certificates, log entries) is not looked at.
type bundle struct {
	MediaType    string       `json:"mediaType"`
	Verification verification `json:"verificationMaterial"`
	Envelope     *envelope    `json:"dsseEnvelope"`
}

type verification struct {
	PublicKey *keyHint          `json:"publicKey,omitempty"`
	Log       []json.RawMessage `json:"tlogEntries"`
}

type keyHint struct {
	Hint string `json:"hint"` // the key's ID
}

type envelope struct {
	Payload     []byte              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	Signature []byte `json:"sig"`
	KeyID     string `json:"keyid"`
}

// preAuthentication is what DSSE signs: no other protocol can take it for its
// own.
func preAuthentication(payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

func digest(hash crypto.Hash, payload []byte) []byte {
	h := hash.New()
	h.Write(preAuthentication(payload)) // a hash never fails
	return h.Sum(nil)
}

// Seal signs a statement. What the key returned is verified before it leaves: a
// token that hashes once more, or another key behind the same program, would
// show up only where the model is to be served.
func Seal(ctx context.Context, key Key, statement []byte) ([]byte, error) {
	hash, err := hashOf(key.Public())
	if err != nil {
		return nil, err
	}
	id, err := KeyID(key.Public())
	if err != nil {
		return nil, err
	}
	sum := digest(hash, statement)
	signature, err := key.Sign(ctx, sum)
	if err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(key.Public(), sum, signature) {
		return nil, badKey(fmt.Sprintf("key %.12s…", id), "its signature does not verify with its own public key", nil,
			"sign the digest as it is, without hashing it again, in ASN.1 DER")
	}
	return json.Marshal(bundle{
		MediaType:    bundleType,
		Verification: verification{PublicKey: &keyHint{Hint: id}, Log: []json.RawMessage{}},
		Envelope:     &envelope{Payload: statement, PayloadType: payloadType, Signatures: []envelopeSignature{{Signature: signature}}},
	})
}

// Open verifies a bundle's signature and returns the statement and the ID of
// the key that signed it.
func Open(text []byte, trust Trust) (statement []byte, keyID string, err error) {
	b, err := parseBundle(text)
	if err != nil {
		return nil, "", err
	}
	id := b.Verification.PublicKey.Hint
	key, err := trust.find(id)
	if err != nil {
		return nil, "", err
	}
	hash, err := hashOf(key)
	if err != nil {
		return nil, "", err
	}
	if !ecdsa.VerifyASN1(key, digest(hash, b.Envelope.Payload), b.Envelope.Signatures[0].Signature) {
		return nil, "", &Error{
			Subject: "signature", Message: fmt.Sprintf("key %.12s… has not signed this statement: the statement or the signature was changed", id),
			Class: ErrBadSignature, Hint: "do not use the model; sign it anew if you know that its files are good",
		}
	}
	return b.Envelope.Payload, id, nil
}

func parseBundle(text []byte) (bundle, error) {
	var b bundle
	if len(text) > maxBundle {
		return b, malformed(fmt.Sprintf("the bundle has %d bytes; the limit is %d", len(text), maxBundle), nil)
	}
	if err := json.Unmarshal(bytes.TrimSpace(text), &b); err != nil {
		return b, malformed("the bundle is not JSON of a sigstore bundle", err)
	}
	switch {
	case b.MediaType != bundleType:
		return b, malformed(fmt.Sprintf("the bundle's media type is %q; want %q", b.MediaType, bundleType), nil)
	case b.Envelope == nil:
		return b, malformed("the bundle has no DSSE envelope", nil)
	case b.Envelope.PayloadType != payloadType:
		return b, malformed(fmt.Sprintf("the payload's type is %q; want %q", b.Envelope.PayloadType, payloadType), nil)
	case len(b.Envelope.Signatures) != 1:
		return b, malformed(fmt.Sprintf("the envelope has %d signatures; want one", len(b.Envelope.Signatures)), nil)
	case b.Verification.PublicKey == nil || b.Verification.PublicKey.Hint == "":
		return b, malformed("the bundle names no public key: it was signed with a certificate or keyless, or by an early version", nil)
	}
	return b, nil
}
