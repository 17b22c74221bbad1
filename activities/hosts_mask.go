package activities

import (
	"bytes"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// minSecret is the length from which a value is masked: shorter ones occur in
// any text.
const minSecret = 8

// masker replaces secret values by as many asterisks, so that offsets in a log
// stay what they were.
type masker struct {
	secrets [][]byte
	// blind: some secret's value is not known here, so that nothing may be shown.
	blind bool
}

// maskerOf knows the secrets that a program with these variables is given.
func (h *Hosts) maskerOf(env map[string]string) masker {
	var m masker
	resolved, err := h.resolveSecrets("", env) // how it fails is for those who start a program
	m.blind = err != nil
	for name, value := range resolved {
		if strings.HasPrefix(env[name], models.SecretFromEnv) || strings.HasPrefix(env[name], models.SecretFromFile) {
			m.add(value)
		}
	}
	for _, variable := range h.Environ {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN":
			m.add(value)
		}
	}
	return m
}

func (m *masker) add(value string) {
	if len(value) >= minSecret {
		m.secrets = append(m.secrets, []byte(value))
	}
}

// longest is the length of the longest secret.
func (m masker) longest() (longest int) {
	for _, secret := range m.secrets {
		longest = max(longest, len(secret))
	}
	return longest
}

// mask returns the beginning of data that is safe to show whatever follows it:
// unless it is final, nothing that may be the beginning of a secret, and no part
// of a secret without its rest. data stays as it is.
func (m masker) mask(data []byte, final bool) []byte {
	type span struct{ from, to int }
	var spans []span
	end := len(data)
	for _, secret := range m.secrets {
		for at := 0; ; at++ { // occurrences may overlap
			i := bytes.Index(data[at:], secret)
			if i < 0 {
				break
			}
			at += i
			spans = append(spans, span{at, at + len(secret)})
		}
		if !final {
			end = min(end, len(data)-begun(data, secret))
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return b.from - a.from })
	for _, s := range spans { // the last first: moving the end may split another
		if s.from < end && end < s.to {
			end = s.from
		}
	}
	shown := slices.Clone(data[:end])
	for _, s := range spans {
		for i := s.from; i < min(s.to, end); i++ {
			shown[i] = '*'
		}
	}
	return shown
}

// begun is the length of the longest end of data that is a true beginning of
// the secret.
func begun(data, secret []byte) int {
	for n := min(len(secret)-1, len(data)); n > 0; n-- {
		if bytes.HasSuffix(data, secret[:n]) {
			return n
		}
	}
	return 0
}

// text masks a whole text.
func (m masker) text(s string) string { return string(m.mask([]byte(s), true)) }
