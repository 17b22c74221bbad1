package division

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// draw puts values on a side by their text, which is the same in all formats.
type draw struct {
	salt  []byte
	below uint64
	last  string // rows of one value often follow each other
	side  bool
	any   bool
}

func newDraw(split models.SplitSpec) *draw {
	return &draw{
		// The salt ends with a byte that no text holds, so that salt and text can't
		// be divided in another way.
		salt:  append([]byte(split.Salt), 0xff),
		below: uint64(math.Ldexp(split.Fraction, 64)),
	}
}

// tests reports whether the first 64 bits of the SHA-256 of salt and text, as a
// fraction of all there are, lie below the split's.
func (d *draw) tests(text string) bool {
	if d.any && text == d.last {
		return d.side
	}
	sum := sha256.Sum256(append(d.salt[:len(d.salt):len(d.salt)], text...))
	d.last, d.side, d.any = text, binary.BigEndian.Uint64(sum[:]) < d.below, true
	return d.side
}
