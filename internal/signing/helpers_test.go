package signing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is exported here is for the tests in package signing_test, which import
// what imports this package.

// WriteModel makes a model directory whose order by string differs from that by
// component, with files that git would leave there.
func WriteModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	for name, text := range map[string]string{
		"MLmodel": "flavors: {}\n", "sub/a": "x", "sub-b": "y", "sub/deep/ü & <c>": "z", ".gitignore": "*.tmp", ".hidden": "h", "empty": "",
		"docs/.gitattributes": "deeper ones count",
	} {
		Write(t, filepath.Join(dir, name), text)
	}
	return dir
}

// Write writes a file and makes its directory.
func Write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// NewKey writes a key pair beside each other and opens it.
func NewKey(t *testing.T, curve elliptic.Curve) (Key, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(t.TempDir(), "key")
	Write(t, prefix+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
	public, err := PublicPEM(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	Write(t, prefix+".pub.pem", string(public))
	key, err := OpenKey(t.Context(), "file:"+prefix+".pem", os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return key, prefix
}

// Trusting trusts these keys.
func Trusting(t *testing.T, keys ...Key) Trust {
	t.Helper()
	var public []*ecdsa.PublicKey
	for _, k := range keys {
		public = append(public, k.Public())
	}
	trust, err := TrustIn(public...)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// WantError wants an error of a class, with these words.
func WantError(t *testing.T, err, class error, words ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got %v; want %v", err, class)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}
