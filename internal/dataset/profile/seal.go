package profile

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// seal keys hashes. Those of numbers can be turned back and those of texts tried
// out by anybody; what AES makes of them says only which are the same.
type seal struct {
	cipher  cipher.Block
	in, out [aes.BlockSize]byte
}

// newSeal makes a seal of a secret; nil: there is none.
func newSeal(secret []byte) (*seal, error) {
	if secret == nil {
		return nil, nil
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("seal the hashes of rows: %w", err)
	}
	return &seal{cipher: block}, nil
}

// all seals hashes in their place.
func (s *seal) all(hashes []uint64) {
	if s == nil {
		return
	}
	for i, h := range hashes {
		binary.LittleEndian.PutUint64(s.in[:], h)
		s.cipher.Encrypt(s.out[:], s.in[:])
		hashes[i] = binary.LittleEndian.Uint64(s.out[:])
	}
}
