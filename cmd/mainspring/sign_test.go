package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSignAndVerify(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("model", 0o700); err != nil {
		t.Fatal(err)
	}
	write("model/MLmodel", "{}")
	want := func(code int, words string, args ...string) {
		t.Helper()
		got := mainspring(t, args...)
		if got.code != code || !strings.Contains(got.stdout+got.stderr, words) {
			t.Errorf("%v: exit %d, %q; want %d and %q", args, got.code, got.stdout+got.stderr, code, words)
		}
	}
	want(0, "wrote release.pem", "keygen", "--out", "release")
	want(1, "is there already", "keygen", "--out", "release")
	if info, err := os.Stat("release.pem"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key has the mode %v, %v", info.Mode(), err)
	}
	if err := os.Remove("release.pem"); err != nil { // half a pair is none
		t.Fatal(err)
	}
	want(1, "release.pub.pem is there already", "keygen", "--out", "release")
	if _, err := os.Stat("release.pem"); err == nil {
		t.Error("a private key without its public key was left")
	}
	want(0, "wrote", "keygen", "--out", "own")
	want(0, "signed model with key", "sign", "model", "--key", "file:own.pem", "--signature", "model/model.sig")
	want(0, `verified: 1 files of model, signed as "model"`, "verify", "model", "--signature", "model/model.sig", "--public-key", "own.pub.pem")
	want(1, "not trusted", "verify", "model", "--signature", "model/model.sig", "--public-key", "release.pub.pem")
	want(0, "verified", "verify", "model", "--signature", "model/model.sig", "--public-key", "release.pub.pem", "--public-key", "own.pub.pem")
	want(1, "scheme", "sign", "model", "--key", "own.pem", "--signature", "m.sig")
	want(2, "required flag", "sign", "model")
	write("model/MLmodel", "changed")
	want(1, "changed since it was signed: MLmodel", "verify", "model", "--signature", "model/model.sig", "--public-key", "own.pub.pem")
	want(1, "changed since it was signed: MLmodel", "serve", "--model-dir", "model", "--name", "m", "--version", "1",
		"--signature", filepath.Join(dir, "model/model.sig"), "--public-key", "own.pub.pem")
	want(2, "--public-key", "serve", "--model-dir", "model", "--name", "m", "--version", "1", "--signature", "model/model.sig")
}
