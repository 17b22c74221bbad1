package accel

import "testing"

func TestCPUList(t *testing.T) {
	for want, words := range map[string][]uint{
		"": {0, 0}, "0": {1}, "0-15,32-47": {0xffff_0000_ffff}, "63-64": {1 << 63, 1}, "0-127": {^uint(0), ^uint(0)}, "1,3,127": {0b1010, 1 << 63},
	} {
		if got := cpuList(words); got != want {
			t.Errorf("%x: got %q, want %q", words, got, want)
		}
	}
}
