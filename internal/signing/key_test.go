package signing

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeysByFileAndVariable(t *testing.T) {
	t.Parallel()
	private, public, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	Write(t, filepath.Join(dir, "p.pem"), string(public))
	trust, err := LoadTrust(filepath.Join(dir, "p.pem"))
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"KEY": string(private), "PUBLIC": string(public)}[name]
	}
	key, err := OpenKey(t.Context(), "env:KEY", getenv)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := Seal(t.Context(), key, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(bundle, trust); err != nil {
		t.Error(err)
	}
	Write(t, filepath.Join(dir, "none.pem"), "nothing")
	Write(t, filepath.Join(dir, "broken.pem"), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
	Write(t, filepath.Join(dir, "locked.pem"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for uri, words := range map[string][]string{
		"env:NONE":                    {"NONE", "not set"},
		"env:PUBLIC":                  {"PUBLIC KEY", "PKCS#8"},
		"file:/does/not/exist":        {"/does/not/exist", "keygen"},
		"file:" + dir + "/none.pem":   {"no PEM"},
		"file:" + dir + "/broken.pem": {"no private key"},
		"file:" + dir + "/locked.pem": {"encrypted", "exec:"},
		"pkcs11:object=x":             {"scheme", "exec:PROGRAM"},
		"/etc/key.pem":                {"scheme"},
		"exec:":                       {"scheme"},
	} {
		_, err := OpenKey(t.Context(), uri, getenv)
		WantError(t, err, ErrKey, words...)
	}
	_, err = LoadTrust(filepath.Join(dir, "broken.pem"))
	WantError(t, err, ErrKey, "private key")
	_, err = LoadTrust(filepath.Join(dir, "none.pem"))
	WantError(t, err, ErrKey, "no PEM")
}

// opensslProgram is a key's program as an operator would write one for a token.
const opensslProgram = `#!/bin/sh
set -eu
case "$2" in
public) openssl pkey -in "$1" -pubout ;;
sign) openssl base64 -d -A | openssl pkeyutl -sign -inkey "$1" | openssl base64 -A ;;
*) echo "unknown request $2" >&2; exit 64 ;;
esac
`

func TestKeyBehindAProgram(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("NOT TESTED: a key behind a program: there is no openssl")
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		held, prefix := NewKey(t, curve)
		program := executable(t, opensslProgram)
		key, err := OpenKey(t.Context(), fmt.Sprintf("exec:%s %s.pem", program, prefix), os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := SignDir(t.Context(), key, WriteModel(t), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(bundle, Trusting(t, held)); err != nil {
			t.Error(err)
		}
	}
}

func executable(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	Write(t, path, text)
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramThatMisbehaves(t *testing.T) {
	t.Parallel()
	_, prefix := NewKey(t, elliptic.P256())
	public := "cat " + prefix + ".pub.pem"
	for _, c := range []struct {
		name, public, sign string
		words              []string
	}{
		{"fails", "echo 'token is locked' >&2; exit 3", "", []string{"exit status 3", "token is locked"}},
		{"no key", "echo hello", "", []string{"no PEM"}},
		{"two keys", public + "; " + public, "", []string{"2 public keys"}},
		{"no base64", public, "echo '!!'", []string{"not base64"}},
		{"wrong signature", public, "echo aGVsbG8=", []string{"does not verify", "without hashing it again"}},
	} {
		program := executable(t, "#!/bin/sh\ncase $1 in\npublic) "+c.public+" ;;\nsign) "+c.sign+" ;;\nesac\n")
		key, err := OpenKey(t.Context(), "exec:"+program, os.Getenv)
		if c.sign != "" {
			if err != nil {
				t.Fatal(err)
			}
			_, err = Seal(t.Context(), key, []byte("{}"))
		}
		WantError(t, err, ErrKey, c.words...)
	}
	_, err := OpenKey(t.Context(), "exec:/does/not/exist", os.Getenv)
	if WantError(t, err, ErrKey, "/does/not/exist"); !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}

// TestKeyServiceExample runs the example for a cloud's key service against a
// program that answers as its command line would.
func TestKeyServiceExample(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("NOT TESTED: the example for a key service: there is no openssl")
	}
	held, prefix := NewKey(t, elliptic.P256())
	aws := executable(t, `#!/bin/sh
case "$*" in
"kms get-public-key --key-id alias/release --query PublicKey --output text")
	openssl pkey -in `+prefix+`.pem -pubout -outform DER | openssl base64 -A; echo ;;
"kms sign --key-id alias/release --message fileb://"*" --message-type DIGEST --signing-algorithm ECDSA_SHA_256 --query Signature --output text")
	openssl pkeyutl -sign -inkey `+prefix+`.pem -in "${6#fileb://}" | openssl base64 -A; echo ;;
*) echo "unexpected: $*" >&2; exit 2 ;;
esac
`)
	if err := os.Rename(aws, filepath.Join(filepath.Dir(aws), "aws")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(aws)+":"+os.Getenv("PATH"))
	program, err := filepath.Abs("../../examples/signing/aws-kms-key")
	if err != nil {
		t.Fatal(err)
	}
	key, err := OpenKey(t.Context(), "exec:"+program+" alias/release", os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := Seal(t.Context(), key, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(bundle, Trusting(t, held)); err != nil {
		t.Error(err)
	}
}
