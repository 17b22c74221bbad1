package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha512" // the hash of the larger curves
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// Key signs digests. Implementations are safe for concurrent use.
type Key interface {
	// Public is the key that verifies.
	Public() *ecdsa.PublicKey
	// Sign returns an ASN.1 signature of a digest that was made with the curve's
	// hash.
	Sign(ctx context.Context, digest []byte) ([]byte, error)
}

// OpenKey opens a key by URI: file:PATH and env:NAME hold a PEM private key,
// exec:PROGRAM ARG… runs a program that has it, see [openProgram]. getenv is
// os.Getenv.
func OpenKey(ctx context.Context, uri string, getenv func(string) string) (Key, error) {
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || rest == "" {
		scheme = ""
	}
	switch scheme {
	case "file":
		text, err := os.ReadFile(rest)
		if err != nil {
			return nil, badKey(uri, "can't be read", err, "create one with mainspring keygen")
		}
		return parsePrivate(uri, text)
	case "env":
		text := getenv(rest)
		if text == "" {
			return nil, badKey(uri, "the variable is not set", nil, "put the PEM text of a private key into it")
		}
		return parsePrivate(uri, []byte(text))
	case "exec":
		return openProgram(ctx, uri, strings.Fields(rest))
	default:
		return nil, badKey("", "the key's URI has no scheme that is known", nil, "write file:PATH, env:NAME or exec:PROGRAM")
	}
}

func badKey(subject, message string, cause error, hint string) error {
	if subject == "" {
		subject = "signing key"
	}
	return &Error{Subject: subject, Message: message, Cause: cause, Hint: hint, Class: ErrKey}
}

// localKey is a private key in this process.
type localKey struct{ private *ecdsa.PrivateKey }

// Public implements Key.
func (k localKey) Public() *ecdsa.PublicKey { return &k.private.PublicKey }

// Sign implements Key.
func (k localKey) Sign(_ context.Context, digest []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, k.private, digest)
}

// parsePrivate reads PKCS#8 or SEC1. The error never has a part of the text.
func parsePrivate(subject string, text []byte) (Key, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var parsed any
		var err error
		switch block.Type {
		case "EC PARAMETERS": // openssl ecparam writes them before the key
			continue
		case "EC PRIVATE KEY":
			parsed, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, badKey(subject, "the key is encrypted", nil, "keep encrypted keys behind a program: exec:PROGRAM")
		default:
			return nil, badKey(subject, fmt.Sprintf("holds a PEM block %q", block.Type), nil, "give a PRIVATE KEY (PKCS#8) or an EC PRIVATE KEY (SEC1)")
		}
		if err != nil {
			return nil, badKey(subject, "the PEM block is no private key", err, "create one with mainspring keygen")
		}
		private, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return nil, badKey(subject, fmt.Sprintf("is a %T; only elliptic curves are supported", parsed), nil, "create one with mainspring keygen")
		}
		if _, err := hashOf(&private.PublicKey); err != nil {
			return nil, badKey(subject, "can't be used", err, "create one with mainspring keygen")
		}
		return localKey{private}, nil
	}
	return nil, badKey(subject, "holds no PEM text", nil, "create one with mainspring keygen")
}

// hashOf is the hash that belongs to a key's curve.
func hashOf(public *ecdsa.PublicKey) (crypto.Hash, error) {
	switch public.Curve {
	case elliptic.P256():
		return crypto.SHA256, nil
	case elliptic.P384():
		return crypto.SHA384, nil
	case elliptic.P521():
		return crypto.SHA512, nil
	default:
		return 0, fmt.Errorf("its curve is not P-256, P-384 or P-521: %w", ErrKey)
	}
}

// PublicPEM is a public key as PEM text, byte for byte as other tools write it:
// the key ID is a digest of it.
func PublicPEM(public *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, badKey("", "the public key can't be written", err, "")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// KeyID is the hexadecimal SHA-256 of the public key's PEM text.
func KeyID(public *ecdsa.PublicKey) (string, error) {
	text, err := PublicPEM(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// GenerateKey draws a P-256 key and returns both parts as PEM.
func GenerateKey() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	public, err = PublicPEM(&key.PublicKey)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), public, err
}
