package signing

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestKeyInAToken signs with a key that never leaves a PKCS#11 token, by the
// program of the examples.
func TestKeyInAToken(t *testing.T) {
	module := softHSM()
	if module == "" {
		t.Skip("NOT TESTED: a key in a PKCS#11 token: install softhsm2, opensc and openssl")
	}
	dir := t.TempDir()
	Write(t, filepath.Join(dir, "softhsm2.conf"), "directories.tokendir = "+dir+"\nobjectstore.backend = file\n")
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))
	t.Setenv("PKCS11_PIN", "1234")
	for _, argv := range [][]string{
		{"softhsm2-util", "--init-token", "--free", "--label", "models", "--pin", "1234", "--so-pin", "5678"},
		{"pkcs11-tool", "--module", module, "--token-label", "models", "--login", "--pin", "1234", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01"},
	} {
		if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, output)
		}
	}
	program, err := filepath.Abs("../../examples/signing/pkcs11-key")
	if err != nil {
		t.Fatal(err)
	}
	key, err := OpenKey(t.Context(), fmt.Sprintf("exec:%s %s models 01", program, module), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	model := WriteModel(t)
	bundle, err := SignDir(t.Context(), key, model, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyDir(t.Context(), bundle, Trusting(t, key), model, ""); err != nil {
		t.Error(err)
	}
	t.Setenv("PKCS11_PIN", "0000")
	_, err = SignDir(t.Context(), key, model, "")
	WantError(t, err, ErrKey)
}

// softHSM returns the library of a token in software, and "" where it or one of
// the programs is missing.
func softHSM() string {
	for _, program := range []string{"softhsm2-util", "pkcs11-tool", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			return ""
		}
	}
	found, err := filepath.Glob("/usr/lib*/softhsm/libsofthsm2.so")
	deeper, err2 := filepath.Glob("/usr/lib*/*/softhsm/libsofthsm2.so")
	if errors.Join(err, err2) != nil || len(found)+len(deeper) == 0 {
		return ""
	}
	return slices.Concat(found, deeper)[0]
}
