package profile

import "math/bits"

// Hashes are the same on all machines and in all versions: they are kept in
// profiles and runs. The mixing is wyhash's, by Wang Yi (public domain).
const (
	mixA = 0xa0761d6478bd642f
	mixB = 0xe7037ed1a0b428db
	mixC = 0x8ebc6af09c88c6e3
)

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// hashNumber and hashText spread values evenly over 64 bits. Different numbers
// seldom, and different texts hardly ever, have the same hash under one salt.
func hashNumber(bits, salt uint64) uint64 {
	h := bits ^ salt
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

func hashText(text string, salt uint64) uint64 {
	seed, n := salt^mixA, uint64(len(text))
	for len(text) > 16 {
		seed = mix(word(text)^mixB, word(text[8:])^seed)
		text = text[16:]
	}
	var a, b uint64
	switch {
	case len(text) > 8:
		a, b = word(text), word(text[len(text)-8:])
	case len(text) >= 4:
		a, b = half(text), half(text[len(text)-4:])
	case len(text) > 0:
		a = uint64(text[0])<<16 | uint64(text[len(text)/2])<<8 | uint64(text[len(text)-1])
	}
	return mix(mixB^n, mix(a^mixB, b^seed)^mixC)
}

func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func half(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
