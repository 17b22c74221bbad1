package signing

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectoryVerifiesUntilAnyFileDiffers(t *testing.T) {
	t.Parallel()
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		dir := WriteModel(t)
		key, _ := NewKey(t, curve)
		trust := Trusting(t, key)
		bundle, err := SignDir(t.Context(), key, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		verify := func() error { _, err := VerifyDir(t.Context(), bundle, trust, dir, ""); return err }
		got, err := VerifyDir(t.Context(), bundle, trust, dir, "")
		if id, _ := KeyID(key.Public()); err != nil || got != (Verified{Name: "model", KeyID: id, Files: 7}) {
			t.Fatalf("got %+v, %v", got, err)
		}

		Write(t, filepath.Join(dir, ".gitignore"), "not signed")
		if err := verify(); err != nil {
			t.Errorf("git's files count: %v", err)
		}
		Write(t, filepath.Join(dir, "sub/a"), "X")
		WantError(t, verify(), ErrDiffers, "changed since it was signed: sub/a", dir)
		Write(t, filepath.Join(dir, "sub/a"), "x")
		Write(t, filepath.Join(dir, "sub/extra.py"), "evil")
		WantError(t, verify(), ErrDiffers, "not signed: sub/extra.py")
		if err := errors.Join(os.Remove(filepath.Join(dir, "sub/extra.py")), os.Remove(filepath.Join(dir, "empty"))); err != nil {
			t.Fatal(err)
		}
		WantError(t, verify(), ErrDiffers, "missing: empty")
		if err := os.Symlink("sub-b", filepath.Join(dir, "empty")); err != nil {
			t.Fatal(err)
		}
		WantError(t, verify(), ErrDiffers, "symbolic link", "empty")
		_, err = SignDir(t.Context(), key, dir, "")
		WantError(t, err, ErrDiffers, "symbolic link")
	}
}

func TestBundleInsideOfTheModelDoesNotSignItself(t *testing.T) {
	t.Parallel()
	dir := WriteModel(t)
	key, _ := NewKey(t, elliptic.P256())
	file := filepath.Join(dir, "model.sig")
	for range 2 { // the second time it is there
		bundle, err := SignDir(t.Context(), key, dir, file)
		if err != nil {
			t.Fatal(err)
		}
		Write(t, file, string(bundle))
		if _, err := VerifyDir(t.Context(), bundle, Trusting(t, key), dir, file); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyTrustedKeysCount(t *testing.T) {
	t.Parallel()
	dir := WriteModel(t)
	mine, _ := NewKey(t, elliptic.P256())
	other, _ := NewKey(t, elliptic.P256())
	bundle, err := SignDir(t.Context(), mine, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := KeyID(mine.Public())
	_, err = VerifyDir(t.Context(), bundle, Trusting(t, other), dir, "")
	WantError(t, err, ErrUnknownKey, id[:12])
	_, err = VerifyDir(t.Context(), bundle, Trust{}, dir, "")
	WantError(t, err, ErrUnknownKey, "no key is")
	if _, err := VerifyDir(t.Context(), bundle, Trusting(t, other, mine), dir, ""); err != nil {
		t.Error(err)
	}
	// Naming a trusted key does not help who does not have it.
	otherID, _ := KeyID(other.Public())
	_, err = VerifyDir(t.Context(), []byte(strings.Replace(string(bundle), id, otherID, 1)), Trusting(t, other), dir, "")
	WantError(t, err, ErrBadSignature)
}

func TestFilesVerifyStrictly(t *testing.T) {
	t.Parallel()
	key, _ := NewKey(t, elliptic.P256())
	sum := strings.Repeat("ab", 32)
	files := []File{{"b", sum}, {"a/x", sum}, {".gitignore", sum}}
	sign := func(statement []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := Seal(t.Context(), key, statement)
		if err != nil {
			t.Fatal(err)
		}
		return bundle
	}
	trust := Trusting(t, key)
	bundle := sign(ModelStatement("model", files))
	if _, err := VerifyFiles(bundle, trust, "model", files); err != nil {
		t.Error(err)
	}
	_, err := VerifyFiles(bundle, trust, "other", files)
	WantError(t, err, ErrDiffers, `"model"`, `"other"`)
	_, err = VerifyFiles(bundle, trust, "model", append(files, File{"c", sum}))
	WantError(t, err, ErrDiffers, "not signed: c")

	loose := sign(modelStatement("model", files, []string{"a"}))
	_, err = VerifyFiles(loose, trust, "model", files)
	WantError(t, err, ErrDiffers, "not signed: a/x")

	for name, bad := range map[string][]File{
		"leaves": {{"../x", sum}}, "no SHA-256": {{"a", "12"}}, "twice": {{"a", sum}, {"a", sum}}, "no files": {{".gitignore", sum}},
	} {
		_, err := ModelStatement("model", bad)
		WantError(t, err, ErrMalformed, name)
	}
}

func TestMalformedBundlesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	key, _ := NewKey(t, elliptic.P256())
	trust := Trusting(t, key)
	good, err := Seal(t.Context(), key, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"not JSON":            "hello",
		"media type":          `{"mediaType":"x"}`,
		"no DSSE envelope":    `{"mediaType":"` + bundleType + `"}`,
		"payload's type":      strings.Replace(string(good), payloadType, "text/plain", 1),
		"0 signatures":        `{"mediaType":"` + bundleType + `","dsseEnvelope":{"payloadType":"` + payloadType + `"}}`,
		"names no public key": strings.Replace(string(good), `"publicKey"`, `"certificate"`, 1),
	} {
		_, _, err := Open([]byte(text), trust)
		WantError(t, err, ErrMalformed, name)
	}
	_, _, err = Open([]byte(strings.Replace(string(good), `"payload":"e30="`, `"payload":"e30g"`, 1)), trust)
	WantError(t, err, ErrBadSignature)
	for name, statement := range map[string]string{
		"statement's type": `{}`,
		"does not list":    `{"_type":"` + statementType + `","predicateType":"` + provenanceType + `"}`,
		"0 subjects":       `{"_type":"` + statementType + `","predicateType":"` + modelType + `"}`,
		"want \"files\"":   `{"_type":"` + statementType + `","predicateType":"` + modelType + `","subject":[{}],"predicate":{"serialization":{"method":"shards","hash_type":"sha256"}}}`,
		"contradicts":      `{"_type":"` + statementType + `","predicateType":"` + modelType + `","subject":[{}],"predicate":{"serialization":{"method":"files","hash_type":"sha256"},"resources":[{"name":"a","algorithm":"sha256","digest":"` + strings.Repeat("0", 64) + `"}]}}`,
	} {
		bundle, err := Seal(t.Context(), key, []byte(statement))
		if err != nil {
			t.Fatal(err)
		}
		_, err = VerifyFiles(bundle, trust, "model", []File{{"a", strings.Repeat("0", 64)}})
		WantError(t, err, ErrMalformed, name)
	}
}

func TestProvenanceIsSignedAndRepeatable(t *testing.T) {
	t.Parallel()
	key, _ := NewKey(t, elliptic.P384())
	files := []File{{"b", strings.Repeat("ab", 32)}, {"a", strings.Repeat("cd", 32)}}
	p := Provenance{BuildDefinition: BuildDefinition{BuildType: "https://example.org/t", ExternalParameters: map[string]any{"z": 1.0, "a": "b"}}}
	first, err := ProvenanceStatement("model", files, p)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := ProvenanceStatement("model", files, p); string(again) != string(first) {
		t.Error("the bytes differ from one call to the next")
	}
	bundle, err := Seal(t.Context(), key, first)
	if err != nil {
		t.Fatal(err)
	}
	subjects, got, err := OpenProvenance(bundle, Trusting(t, key))
	if err != nil || got.BuildDefinition.ExternalParameters["z"] != 1.0 || len(subjects) != 3 {
		t.Fatalf("got %+v, %+v, %v", subjects, got, err)
	}
	if digest, _ := RootDigest(files); subjects[0].Name != "model" || subjects[0].Digest["sha256"] != digest || subjects[1].Name != "model/a" {
		t.Errorf("got %+v", subjects)
	}
	_, err = VerifyFiles(bundle, Trusting(t, key), "model", files)
	WantError(t, err, ErrMalformed, "does not list a model's files")
}

func FuzzBundle(f *testing.F) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	key := localKey{private}
	statement, err := ModelStatement("model", []File{{"a", strings.Repeat("ab", 32)}})
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := Seal(context.Background(), key, statement)
	if err != nil {
		f.Fatal(err)
	}
	trust, err := TrustIn(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Add(statement)
	f.Add([]byte(`{"mediaType":"` + bundleType + `","dsseEnvelope":{"signatures":[{}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, _, err := Open(text, trust); err == nil && string(got) != string(statement) {
			t.Errorf("%q verifies, and was never signed", got)
		}
		if m, err := parseModel(text); err == nil && (len(m.files) == 0 || len(m.files[0].SHA256) != 64) {
			t.Errorf("%q was read as %+v", text, m)
		}
	})
}
