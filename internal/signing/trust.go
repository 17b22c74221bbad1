package signing

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Trust is the public keys whose signatures count, by key ID. The zero value
// trusts nobody.
type Trust struct {
	keys map[string]*ecdsa.PublicKey
}

// LoadTrust reads PEM files, each with one public key or more.
func LoadTrust(paths ...string) (Trust, error) {
	var all []*ecdsa.PublicKey
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return Trust{}, badKey("trusted key", "can't be read", err, "name a PEM file with a public key")
		}
		found, err := parsePublic(path, text)
		if err != nil {
			return Trust{}, err
		}
		all = append(all, found...)
	}
	return TrustIn(all...)
}

// TrustIn trusts these keys.
func TrustIn(keys ...*ecdsa.PublicKey) (Trust, error) {
	t := Trust{keys: make(map[string]*ecdsa.PublicKey, len(keys))}
	for _, key := range keys {
		id, err := KeyID(key)
		if err != nil {
			return Trust{}, err
		}
		t.keys[id] = key
	}
	return t, nil
}

// Empty reports whether nobody is trusted.
func (t Trust) Empty() bool { return len(t.keys) == 0 }

// find returns the key that a bundle names.
func (t Trust) find(id string) (*ecdsa.PublicKey, error) {
	if key, ok := t.keys[id]; ok {
		return key, nil
	}
	var known []string
	for own := range t.keys {
		known = append(known, own[:12]+"…")
	}
	slices.Sort(known)
	message := "is not trusted; no key is"
	if len(known) > 0 {
		message = "is not trusted; trusted are " + strings.Join(known, ", ")
	}
	return nil, &Error{
		Subject: fmt.Sprintf("key %.12s…", id), Message: message, Class: ErrUnknownKey,
		Hint: "if the signer is to be trusted, add the public key's PEM file; a key's ID is the SHA-256 of that file",
	}
}

func onePublic(subject string, text []byte) (*ecdsa.PublicKey, error) {
	found, err := parsePublic(subject, text)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, badKey(subject, fmt.Sprintf("there are %d public keys; want one", len(found)), nil, "")
	}
	return found[0], nil
}

func parsePublic(subject string, text []byte) (found []*ecdsa.PublicKey, err error) {
	const hint = "give a PUBLIC KEY in PEM, such as openssl pkey -in key.pem -pubout writes"
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, badKey(subject, "holds a private key", nil, hint)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || block.Type != "PUBLIC KEY" {
			return nil, badKey(subject, fmt.Sprintf("the PEM block %q is no public key", block.Type), err, hint)
		}
		key, ok := parsed.(*ecdsa.PublicKey)
		if !ok {
			return nil, badKey(subject, fmt.Sprintf("is a %T; only elliptic curves are supported", parsed), nil, hint)
		}
		if _, err := hashOf(key); err != nil {
			return nil, badKey(subject, "can't be used", err, hint)
		}
		found = append(found, key)
	}
	if len(found) == 0 {
		return nil, badKey(subject, "holds no PEM text", nil, hint)
	}
	return found, nil
}
