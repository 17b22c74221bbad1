package checks

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mainspring-ml/mainspring/models"
)

// shown bounds the offenders of a result, shortens their values, and masks those
// of sensitive columns, whoever filled them in.
func shown(rows []models.OffendingRow, sensitive bool) []models.OffendingRow {
	rows = firstRows(rows, nil)
	for i := range rows {
		if sensitive && rows[i].Value != "" {
			rows[i].Value = models.Masked
		}
		rows[i].Value = cut(rows[i].Value)
	}
	return rows
}

// firstRows are the first offenders of two lists, in a new one; nil for none.
func firstRows(a, b []models.OffendingRow) []models.OffendingRow {
	rows := slices.Concat(a, b)
	return rows[:min(len(rows), models.MaxOffendingRows)]
}

// cut keeps a value short, and on one line.
func cut(text string) string {
	const longest = 40
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
