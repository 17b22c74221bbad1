package stores

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// keys reads a profile's references. Files are read again from time to time, as
// whoever renews temporary keys writes them there.
type keys struct {
	profile Profile
	getenv  func(string) string

	mu   sync.Mutex
	read time.Time // zero: never, or in vain
}

var _ credentials.Provider = (*keys)(nil)

// rereadAfter is how long keys from files count.
const rereadAfter = time.Minute

// RetrieveWithCredContext implements credentials.Provider.
func (k *keys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

// Retrieve implements credentials.Provider.
func (k *keys) Retrieve() (credentials.Value, error) {
	value := credentials.Value{SignerType: credentials.SignatureV4}
	for _, field := range []struct {
		name, reference string
		into            *string
	}{
		{"access_key", k.profile.AccessKey, &value.AccessKeyID},
		{"secret_key", k.profile.SecretKey, &value.SecretAccessKey},
		{"session_token", k.profile.SessionToken, &value.SessionToken},
	} {
		if field.reference == "" {
			continue
		}
		secret, problem := k.resolve(field.reference)
		if problem != "" {
			return credentials.Value{}, &artifact.Error{
				Op: "sign", URI: k.profile.Prefix, Message: "the profile's " + field.name + ": " + problem, Class: artifact.ErrDenied,
				Hint: "set it for every process that reads or writes below " + k.profile.Prefix,
			}
		}
		*field.into = secret
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read = time.Now()
	return value, nil
}

// IsExpired implements credentials.Provider.
func (k *keys) IsExpired() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read.IsZero() || k.fromFiles() && time.Since(k.read) > rereadAfter
}

func (k *keys) fromFiles() bool {
	p := k.profile
	return slices.ContainsFunc([]string{p.AccessKey, p.SecretKey, p.SessionToken},
		func(reference string) bool { return strings.HasPrefix(reference, models.SecretFromFile) })
}

// resolve returns the secret, or what is wrong.
func (k *keys) resolve(reference string) (secret, problem string) {
	if name, ok := strings.CutPrefix(reference, models.SecretFromEnv); ok {
		secret = k.getenv(name)
		if secret == "" {
			return "", "the variable " + name + " is not set"
		}
		return secret, ""
	}
	path := strings.TrimPrefix(reference, models.SecretFromFile)
	content, err := os.ReadFile(path)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return "", "the file " + path + " can't be read: " + err.Error()
	}
	secret = strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", "the file " + path + " is empty"
	}
	return secret, ""
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isReference is strict: what does not look like a reference may be a secret.
func isReference(text string) bool {
	if name, ok := strings.CutPrefix(text, models.SecretFromEnv); ok {
		return variableName.MatchString(name)
	}
	path, ok := strings.CutPrefix(text, models.SecretFromFile)
	return ok && filepath.IsAbs(path)
}
