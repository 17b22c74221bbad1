package activities

import (
	"os"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/models"
)

// pseudonymKey resolves the spec's reference on this worker; nil: no column
// needs one. Another worker may have what this one lacks, so that a key that is
// missing is tried again; one that is too short is not.
func (p *Prepare) pseudonymKey(spec models.DataSpec) (division.PseudonymKey, error) {
	if !spec.NeedsPseudonymKey() {
		return nil, nil
	}
	const field = "data.pseudonym_key"
	absent := func(message string) error {
		return &models.Error{Kind: models.KindUnavailable, Subject: field, Message: message, Hint: "give every worker the same key"}
	}
	var secret string
	if name, ok := strings.CutPrefix(spec.PseudonymKey, models.SecretFromEnv); ok {
		if p.Getenv != nil {
			secret = p.Getenv(name)
		}
		if secret == "" {
			return nil, absent(name + " is not set on this worker")
		}
	} else if path, ok := strings.CutPrefix(spec.PseudonymKey, models.SecretFromFile); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, absent("the file " + path + " can't be read on this worker")
		}
		secret = strings.TrimRight(string(content), "\r\n")
	}
	key, err := division.NewPseudonymKey([]byte(secret))
	if err != nil {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: field, Message: "the key can't be used", Cause: err,
			Hint: "make one with `openssl rand -hex 32`",
		}
	}
	return key, nil
}
