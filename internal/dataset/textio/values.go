package textio

import (
	"bytes"
	"math"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
)

// parseInt reads a whole number. A fraction of zeros is allowed: programs that
// know no missing whole number write 5 as 5.0.
func parseInt(text []byte) (int64, bool) {
	digits := text
	negative := len(digits) > 0 && digits[0] == '-'
	if negative || len(digits) > 0 && digits[0] == '+' {
		digits = digits[1:]
	}
	if i := bytes.IndexByte(digits, '.'); i > 0 && len(bytes.Trim(digits[i+1:], "0")) == 0 {
		digits = digits[:i]
	}
	if len(digits) == 0 {
		return 0, false
	}
	var v uint64
	for _, c := range digits {
		d := c - '0'
		if d > 9 || v > (math.MaxUint64-9)/10 {
			return 0, false
		}
		v = 10*v + uint64(d)
	}
	switch {
	case negative && v <= 1<<63:
		return -int64(v), true
	case !negative && v <= math.MaxInt64:
		return int64(v), true
	}
	return 0, false
}

// parseFloat reads a number as JSON or a person writes it, NaN and infinities
// too. One beyond what a float64 holds is none.
func parseFloat(text []byte) (float64, bool) {
	if v, ok := flatjson.ParseNumber(text); ok {
		return v, true
	}
	unsigned := text
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		unsigned = text[1:]
	}
	if len(unsigned) == 0 || len(text) > maxNumber {
		return 0, false
	}
	if c := unsigned[0]; c != '.' && (c < '0' || c > '9') && !isWord(unsigned, "nan", "inf", "infinity") ||
		bytes.ContainsAny(unsigned, "xX_") {
		return 0, false // what Go reads and nobody else
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// maxNumber is longer than any number that somebody meant.
const maxNumber = 1024

func isWord(text []byte, words ...string) bool {
	for _, word := range words {
		if len(text) == len(word) && bytes.EqualFold(text, []byte(word)) {
			return true
		}
	}
	return false
}

// parseBool reads 1 for true and 0 for false.
func parseBool(text []byte) (int64, bool) {
	switch {
	case isWord(text, "true", "t", "1"):
		return 1, true
	case isWord(text, "false", "f", "0"):
		return 0, true
	}
	return 0, false
}

// typeOf is the narrowest type that a value without a declared type has. What
// would not come back as it was written is a string: digits beyond an int64, or
// with zeros in front of them, as codes have.
func typeOf(text []byte) string {
	if len(text) == 0 {
		return dataset.TypeString
	}
	switch c := text[0]; {
	case c >= '0' && c <= '9' && len(text) >= 10 && text[4] == '-':
		if _, ok := ParseISO(text); ok {
			return dataset.TypeTimestamp
		}
	case c == '-' || c == '.' || c >= '0' && c <= '9':
		return typeOfNumber(text)
	case isWord(text, "true", "false"):
		return dataset.TypeBool
	case isWord(text, "nan", "inf", "infinity"):
		return dataset.TypeFloat64
	}
	return dataset.TypeString
}

func typeOfNumber(text []byte) string {
	digits := text
	if digits[0] == '-' {
		digits = digits[1:]
	}
	whole := 0
	for whole < len(digits) && digits[whole]-'0' <= 9 {
		whole++
	}
	switch {
	case whole > 1 && digits[0] == '0':
		return dataset.TypeString
	case whole > 0 && whole == len(digits):
		if _, ok := parseInt(text); ok {
			return dataset.TypeInt64
		}
		return dataset.TypeString
	case isWord(digits, "inf", "infinity"):
		return dataset.TypeFloat64
	}
	if len(digits) > 1 && (whole > 0 || digits[0] == '.') {
		if _, ok := parseFloat(text); ok {
			return dataset.TypeFloat64
		}
	}
	return dataset.TypeString
}
