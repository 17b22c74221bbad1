package textio

import (
	"bytes"
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	second = 1_000_000 // in microseconds
	minute = 60 * second
	hour   = 60 * minute
)

// parseTime reads a time in microseconds since 1970. What is finer is rounded
// towards the past, so that no row moves across a boundary into the future.
func parseTime(text []byte, format models.TimeFormat) (int64, bool) {
	switch format {
	case models.TimeUnix:
		return parseScaled(text, 6)
	case models.TimeUnixMillis:
		return parseScaled(text, 3)
	case models.TimeUnixMicros:
		return parseScaled(text, 0)
	default:
		return ParseISO(text)
	}
}

// parseScaled reads a decimal number times a power of ten.
func parseScaled(text []byte, places int) (int64, bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	whole, fraction, pointed := bytes.Cut(text, []byte{'.'})
	v, ok := parseInt(whole)
	if !ok || whole[0] == '-' || whole[0] == '+' || pointed && len(fraction) == 0 {
		return 0, false
	}
	finer := false
	for i := range max(places, len(fraction)) {
		d := byte(0)
		if i < len(fraction) {
			if d = fraction[i] - '0'; d > 9 {
				return 0, false
			}
		}
		if i >= places {
			finer = finer || d != 0
			continue
		}
		if v > (math.MaxInt64-9)/10 {
			return 0, false
		}
		v = 10*v + int64(d)
	}
	if negative {
		v = -v
		if finer {
			v--
		}
	}
	return v, true
}

// ParseISO reads a time in microseconds since 1970: 2013-02-01, 2013-02-01T05:15,
// with a blank for the T, seconds and a fraction of them, and a zone: Z, UTC, +01,
// +0100 or +01:00. Without a zone it is UTC.
func ParseISO(text []byte) (int64, bool) {
	if len(text) < len("2013-02-01") || text[4] != '-' || text[7] != '-' {
		return 0, false
	}
	year, ok1 := digits(text[:4])
	month, ok2 := digits(text[5:7])
	day, ok3 := digits(text[8:10])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	at := daysSince1970(year, month, day) * 24 * hour
	if len(text) == 10 {
		return at, true
	}
	if c := text[10]; c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	clock, rest, ok := parseClock(text[11:])
	if !ok {
		return 0, false
	}
	zone, ok := parseZone(rest)
	return at + clock - zone, ok
}

// parseClock reads 05:15 or 05:15:00.123456 and leaves the rest.
func parseClock(text []byte) (micros int64, rest []byte, ok bool) {
	if len(text) < 5 || text[2] != ':' {
		return 0, nil, false
	}
	hours, ok1 := digits(text[:2])
	minutes, ok2 := digits(text[3:5])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, nil, false
	}
	micros, rest = hours*hour+minutes*minute, text[5:]
	if len(rest) == 0 || rest[0] != ':' {
		return micros, rest, true
	}
	if len(rest) < 3 {
		return 0, nil, false
	}
	seconds, ok := digits(rest[1:3])
	if !ok || seconds > 59 {
		return 0, nil, false
	}
	micros, rest = micros+seconds*second, rest[3:]
	if len(rest) == 0 || rest[0] != '.' && rest[0] != ',' {
		return micros, rest, true
	}
	n := 1
	for scale := int64(second / 10); n < len(rest) && rest[n]-'0' <= 9; n, scale = n+1, scale/10 {
		micros += int64(rest[n]-'0') * scale
	}
	return micros, rest[n:], n > 1
}

// parseZone reads how far a zone is ahead of UTC.
func parseZone(text []byte) (int64, bool) {
	if len(text) > 1 && text[0] == ' ' {
		text = text[1:]
	}
	switch {
	case len(text) == 0 || isWord(text, "Z", "UTC"):
		return 0, true
	case text[0] != '+' && text[0] != '-':
		return 0, false
	}
	sign := int64(1)
	if text[0] == '-' {
		sign = -1
	}
	text = text[1:]
	var hours, minutes int64
	ok, ok2 := false, true
	switch {
	case len(text) == 2:
		hours, ok = digits(text)
	case len(text) == 4:
		hours, ok = digits(text[:2])
		minutes, ok2 = digits(text[2:])
	case len(text) == 5 && text[2] == ':':
		hours, ok = digits(text[:2])
		minutes, ok2 = digits(text[3:])
	}
	return sign * (hours*hour + minutes*minute), ok && ok2 && hours < 24 && minutes < 60
}

func digits(text []byte) (v int64, ok bool) {
	for _, c := range text {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		v = 10*v + int64(d)
	}
	return v, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar, years from March on
// (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = -1 // January and February of the year 0
	}
	of := year - era*400
	return era*146097 + of*365 + of/4 - of/100 + (153*(month-3)+2)/5 + day - 1 - 719468
}
