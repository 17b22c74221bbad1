package devstack

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/internal/signing"
)

// The key pair of a state directory. Models that were signed with it are among
// the directory's data, so it lives as long as they do.
const (
	signingKeyFile = "signing-key.pem"
	trustedKeyFile = "signing-key.pub.pem"
)

// drawSigningKey makes the key pair unless it is there, and returns the public
// key's file.
func drawSigningKey(stateDir string) (string, error) {
	private, public := filepath.Join(stateDir, signingKeyFile), filepath.Join(stateDir, trustedKeyFile)
	if _, err := os.Stat(private); err == nil {
		return public, nil // it is written last
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", describe("look for the signing key", private, err)
	}
	privatePEM, publicPEM, err := signing.GenerateKey()
	if err != nil {
		return "", describe("draw a signing key", private, err)
	}
	part := private + ".part"
	return public, describe("keep the signing key", private, errors.Join(
		os.WriteFile(public, publicPEM, 0o644), os.WriteFile(part, privatePEM, 0o600), os.Rename(part, private)))
}
