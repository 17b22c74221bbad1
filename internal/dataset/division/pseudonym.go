package division

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// PseudonymKey turns values into pseudonyms: the same key gives the same ones
// on any machine, and without it none can be traced back by trying values. It
// prints as nothing.
type PseudonymKey []byte

const (
	// minPseudonymKey is what a key must have against guessing.
	minPseudonymKey = 16
	// pseudonymBytes keeps a chance of two equal pseudonyms below 1e-18 for
	// twenty-five billion values.
	pseudonymBytes = 16
)

// Format implements fmt.Formatter: a key is in no message.
func (k PseudonymKey) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("(a key)")) }

// MarshalJSON keeps a key out of objects and histories.
func (k PseudonymKey) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("a key is not written") }

// NewPseudonymKey refuses a key that can be guessed.
func NewPseudonymKey(secret []byte) (PseudonymKey, error) {
	if len(secret) < minPseudonymKey {
		return nil, fmt.Errorf("the key has %d bytes; at least %d are needed", len(secret), minPseudonymKey)
	}
	return PseudonymKey(secret), nil
}

// Fingerprint tells keys apart and does not give the key away.
func (k PseudonymKey) Fingerprint() string {
	if k == nil {
		return ""
	}
	// What is hashed holds a zero byte, so that it is no value's pseudonym.
	return newPseudonyms(k).of("mainspring\x00fingerprint")
}

// secret seals hashes that are kept; without a key there is none. It is no part of
// any pseudonym.
func (k PseudonymKey) secret() []byte {
	if k == nil {
		return nil
	}
	sum := newPseudonyms(k)
	_ = sum.of("mainspring\x00seed")
	return sum.mac.Sum(nil)[pseudonymBytes:]
}

// pseudonymise replaces the values of the columns that say so. They are strings
// afterwards, whatever they were; a null stays one.
func (d *Division) pseudonymise(table dataset.Table) {
	for i, s := range table.Series {
		if d.plan.Spec.Columns[s.Name].Sensitive == models.SensitivePseudonymise {
			table.Series[i] = newPseudonyms(d.plan.Key).series(s)
		}
	}
}

// pseudonyms remembers the last value: sorted columns repeat theirs.
type pseudonyms struct {
	mac        hash.Hash
	last, name string
}

func newPseudonyms(key PseudonymKey) *pseudonyms {
	if len(key) < minPseudonymKey {
		panic("pseudonyms without a key") // a programming error; an unkeyed hash would be no protection
	}
	return &pseudonyms{mac: hmac.New(sha256.New, key)}
}

func (p *pseudonyms) of(text string) string {
	if p.name != "" && text == p.last {
		return p.name
	}
	p.mac.Reset()
	_, _ = p.mac.Write([]byte(text)) // never fails
	p.last, p.name = text, hex.EncodeToString(p.mac.Sum(nil)[:pseudonymBytes])
	return p.name
}

func (p *pseudonyms) series(s dataset.Series) dataset.Series {
	out := dataset.Series{Name: s.Name, Type: dataset.TypeString, Nulls: s.Nulls, Strings: make([]string, s.Len())}
	for row := range out.Strings {
		if !s.IsNull(row) {
			out.Strings[row] = p.of(s.Text(row))
		}
	}
	return out
}
