package signing_test

import (
	"context"
	"crypto/elliptic"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/signing"
)

// TestUpstream holds what is signed here against OpenSSF's own command line,
// and the other way round.
func TestUpstream(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" {
		t.Skip("NOT TESTED against OpenSSF's model_signing: MAINSPRING_TEST_STACK is not set (make test sets it)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel) // when the parallel tests below have ended
	program, err := devstack.SetupModelSigning(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			t.Parallel()
			key, prefix := signing.NewKey(t, curve)
			u := upstream{T: t, ctx: ctx, program: program, key: prefix}
			u.verifiesOurs(key, curve == elliptic.P256())
			u.isVerifiedHere(key)
		})
	}
}

type upstream struct {
	*testing.T
	ctx     context.Context
	program string
	key     string // prefix of the key's files
}

func (u upstream) run(args ...string) error {
	command := exec.CommandContext(u.ctx, u.program, args...)
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	u.Logf("model_signing %v: %v: %s", args[:2], err, output)
	return err
}

func (u upstream) verify(dir, signature, public string) error {
	return u.run("verify", "key", dir, "--signature", signature, "--public_key", public)
}

// verifiesOurs: upstream accepts our bundle, and, where everything is to be
// tried, rejects what differs from it.
func (u upstream) verifiesOurs(key signing.Key, everything bool) {
	dir := signing.WriteModel(u.T)
	file, public := filepath.Join(dir, "model.sig"), u.key+".pub.pem"
	bundle, err := signing.SignDir(u.ctx, key, dir, file)
	if err != nil {
		u.Fatal(err)
	}
	signing.Write(u.T, file, string(bundle))
	if err := u.verify(dir, file, public); err != nil {
		u.Fatalf("our bundle is refused: %v", err)
	}
	if !everything {
		return
	}
	_, stranger := signing.NewKey(u.T, elliptic.P256())
	rejected := func(what, public string, change, undo func() error) {
		u.Helper()
		if err := change(); err != nil {
			u.Fatal(err)
		}
		if err := u.verify(dir, file, public); err == nil {
			u.Errorf("accepted in spite of %s", what)
		}
		if err := undo(); err != nil {
			u.Fatal(err)
		}
	}
	set := func(name, text string) func() error {
		return func() error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	remove := func(name string) func() error { return func() error { return os.Remove(filepath.Join(dir, name)) } }
	nothing := func() error { return nil }
	rejected("a changed file", public, set("sub/a", "X"), set("sub/a", "x"))
	rejected("an extra file", public, set("extra", ""), remove("extra"))
	rejected("a missing file", public, remove("empty"), set("empty", ""))
	rejected("another key", stranger+".pub.pem", nothing, nothing)
	if err := u.verify(dir, file, public); err != nil {
		u.Errorf("refused at the end, so that the rejections prove nothing: %v", err)
	}
}

// isVerifiedHere: we accept upstream's bundle.
func (u upstream) isVerifiedHere(key signing.Key) {
	dir := signing.WriteModel(u.T)
	file := filepath.Join(dir, "model.sig")
	if err := u.run("sign", "key", dir, "--private_key", u.key+".pem", "--signature", file); err != nil {
		u.Fatal(err)
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		u.Fatal(err)
	}
	if _, err := signing.VerifyDir(u.ctx, bundle, signing.Trusting(u.T, key), dir, file); err != nil {
		u.Errorf("upstream's bundle is refused: %v", err)
	}
	signing.Write(u.T, filepath.Join(dir, "MLmodel"), "changed")
	_, err = signing.VerifyDir(u.ctx, bundle, signing.Trusting(u.T, key), dir, "")
	signing.WantError(u.T, err, signing.ErrDiffers, "changed since it was signed: MLmodel")
}
