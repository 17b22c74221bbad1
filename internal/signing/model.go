package signing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Verified says what a signature was found to prove.
type Verified struct {
	Name  string // of the model's directory when it was signed
	KeyID string
	Files int
}

// SignDir signs every file of a directory, as `model_signing sign key` does,
// and returns the bundle. signature is where the bundle will be written: a file
// inside of the directory does not sign itself; "" if nowhere.
func SignDir(ctx context.Context, key Key, dir, signature string) ([]byte, error) {
	ignore := gitPaths()
	if inside, ok := within(dir, signature); ok {
		ignore = append(ignore, inside)
	}
	files, err := readDir(ctx, dir, ignore)
	if err != nil {
		return nil, err
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	statement, err := modelStatement(filepath.Base(full), files, ignore)
	if err != nil {
		return nil, err
	}
	return Seal(ctx, key, statement)
}

// VerifyDir reads every file of a directory and holds it against a bundle.
// signature is where the bundle lies, which may be inside.
func VerifyDir(ctx context.Context, bundle []byte, trust Trust, dir, signature string) (Verified, error) {
	signed, id, err := openModel(bundle, trust)
	if err != nil {
		return Verified{}, err
	}
	ignore := append(gitPaths(), signed.ignore...)
	if inside, ok := within(dir, signature); ok {
		ignore = append(ignore, inside)
	}
	files, err := readDir(ctx, dir, ignore)
	if err != nil {
		return Verified{}, err
	}
	return Verified{Name: signed.name, KeyID: id, Files: len(signed.files)}, compare(dir, signed.files, files)
}

// VerifyFiles holds files whose bytes the caller has read against a bundle. It
// is stricter than VerifyDir: the model must have been signed under that name,
// and of what the signer chose to ignore only upstream's own list counts.
func VerifyFiles(bundle []byte, trust Trust, name string, files []File) (Verified, error) {
	signed, id, err := openModel(bundle, trust)
	if err != nil {
		return Verified{}, err
	}
	if signed.name != name {
		return Verified{}, &Error{
			Subject: "signature", Message: fmt.Sprintf("it is of a model called %q; want %q", signed.name, name), Class: ErrDiffers,
			Hint: "it belongs to another model; sign this one",
		}
	}
	kept, err := clean(files, gitPaths())
	if err != nil {
		return Verified{}, err
	}
	return Verified{Name: signed.name, KeyID: id, Files: len(signed.files)}, compare(name, signed.files, kept)
}

// openModel is what a trusted key has signed, and the key's ID.
func openModel(bundle []byte, trust Trust) (signed signedModel, keyID string, err error) {
	payload, keyID, err := Open(bundle, trust)
	if err == nil {
		signed, err = parseModel(payload)
	}
	return signed, keyID, err
}

// compare names every kind of difference, each with some of its files. Both
// lists are sorted.
func compare(subject string, signed, found []File) error {
	want := make(map[string]string, len(signed))
	for _, f := range signed {
		want[f.Path] = f.SHA256
	}
	var changed, extra, missing []string
	for _, f := range found {
		digest, ok := want[f.Path]
		switch {
		case !ok:
			extra = append(extra, f.Path)
		case digest != f.SHA256:
			changed = append(changed, f.Path)
		}
		delete(want, f.Path)
	}
	for _, f := range signed {
		if _, ok := want[f.Path]; ok {
			missing = append(missing, f.Path)
		}
	}
	var parts []string
	for _, kind := range []struct {
		what  string
		paths []string
	}{{"changed since it was signed", changed}, {"missing", missing}, {"not signed", extra}} {
		if len(kind.paths) > 0 {
			parts = append(parts, kind.what+": "+some(kind.paths))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return &Error{
		Subject: subject, Message: strings.Join(parts, "; "), Class: ErrDiffers,
		Hint: "fetch the model again; sign it anew only if you know why it differs",
	}
}

func some(paths []string) string {
	const most = 5
	if more := len(paths) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), more)
	}
	return strings.Join(paths, ", ")
}

// within returns the path of a file relative to a directory that it lies in.
func within(dir, file string) (string, bool) {
	if file == "" {
		return "", false
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	inside, err := filepath.Rel(root, full)
	return filepath.ToSlash(inside), err == nil && filepath.IsLocal(inside)
}

// readDir digests the files of a directory, sorted. Symbolic links are refused:
// what they lead to may change without any signed file changing.
func readDir(ctx context.Context, dir string, ignore []string) (files []File, err error) {
	root, err := filepath.EvalSymlinks(dir) // the directory itself may be a link
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil || relative == "." {
			if err == nil && !entry.IsDir() {
				err = fmt.Errorf("%s is no directory", dir)
			}
			return err
		}
		relative = filepath.ToSlash(relative)
		if ignored(relative, ignore) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return ctx.Err()
		}
		if !entry.Type().IsRegular() {
			return &Error{
				Subject: name, Message: "it is no regular file, but " + kindOf(entry), Class: ErrDiffers,
				Hint: "replace it by a copy of the file, or remove it",
			}
		}
		sum, err := digestFile(name)
		files = append(files, File{Path: relative, SHA256: sum})
		return err
	})
	sortFiles(files)
	return slices.Clip(files), err
}

func kindOf(entry fs.DirEntry) string {
	if entry.Type()&fs.ModeSymlink != 0 {
		return "a symbolic link"
	}
	return "a socket, pipe or device"
}

func digestFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
