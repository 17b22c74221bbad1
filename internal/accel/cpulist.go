package accel

import (
	"math/bits"
	"strconv"
	"strings"
)

// cpuList writes a bit mask of cores as the kernel does: "0-15,32-47". Word w
// has the cores from w × the size of a word.
func cpuList(words []uint) string {
	var ranges []string
	first := -1
	for cpu := range len(words)*bits.UintSize + 1 {
		word := cpu / bits.UintSize
		in := word < len(words) && words[word]>>(cpu%bits.UintSize)&1 == 1
		switch {
		case in && first < 0:
			first = cpu
		case !in && first >= 0:
			ranges = append(ranges, cpuRange(first, cpu-1))
			first = -1
		}
	}
	return strings.Join(ranges, ",")
}

func cpuRange(first, last int) string {
	if first == last {
		return strconv.Itoa(first)
	}
	return strconv.Itoa(first) + "-" + strconv.Itoa(last)
}
