package main

import "testing"

// A small heap may double, a large one may not.
func TestHeapGrowth(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 100},
		{64 << 20, 100},
		{320 << 20, 100},
		{512 << 20, 70},
		{1 << 30, 45},
		{4 << 30, 26},
		{64 << 30, 20},
	} {
		if got := heapGrowth(tt.live); got != tt.want {
			t.Errorf("%d MB live: %d %%, want %d", tt.live>>20, got, tt.want)
		}
	}
}
