package metric

// scored is a row with what ranking needs of it, in 16 bytes.
type scored struct {
	key uint64 // the bits of a probability: they sort as it does
	row int32
	tag uint32 // block × 2 + label
}

// digit is how many bits one pass of the sort looks at.
const digit = 8

// sortByKey sorts rows by key and keeps the order of equal keys: radix sort,
// lowest digit first, leaving out digits that all keys share, such as the lower
// half of a mantissa that came from a float32. It returns either rows or spare.
func sortByKey(rows, spare []scored) []scored {
	var counts [64 / digit][1 << digit]int32
	for i := range rows {
		key := rows[i].key
		for d := range counts {
			counts[d][key>>(d*digit)&(1<<digit-1)]++
		}
	}
	for d := range counts {
		places, shift := &counts[d], d*digit
		if len(rows) == 0 || places[rows[0].key>>shift&(1<<digit-1)] == int32(len(rows)) {
			continue
		}
		at := int32(0)
		for v, n := range places {
			places[v], at = at, at+n
		}
		for i := range rows {
			v := rows[i].key >> shift & (1<<digit - 1)
			spare[places[v]] = rows[i]
			places[v]++
		}
		rows, spare = spare, rows
	}
	return rows
}
