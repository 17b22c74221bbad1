package models

import "strings"

// Nearest returns the candidate that is fewest edits away from name, the first
// of several, whatever the letters' case; empty when all of them differ in more
// than half of their letters.
func Nearest(name string, candidates []string) string {
	best, fewest := "", 0
	for _, candidate := range candidates {
		n := edits(strings.ToLower(name), strings.ToLower(candidate))
		if 2*n > max(len(name), len(candidate)) {
			continue
		}
		if best == "" || n < fewest {
			best, fewest = candidate, n
		}
	}
	return best
}

// edits counts insertions, deletions, substitutions and swaps of neighbours
// (the optimal string alignment distance).
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	table := make([][]int, len(x)+1)
	for i := range table {
		table[i] = make([]int, len(y)+1)
		table[i][0] = i
	}
	for j := range table[0] {
		table[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			table[i][j] = min(table[i-1][j]+1, table[i][j-1]+1, table[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				table[i][j] = min(table[i][j], table[i-2][j-2]+1)
			}
		}
	}
	return table[len(x)][len(y)]
}
