package app

import (
	"math"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	var all tally
	now := time.Now()
	for i, step := range []struct {
		process string
		value   float64
		want    uint64
	}{
		{"a", 10, 10},
		{"b", 5, 15},
		{"b", 7, 17}, // a is not there
		{"a", 12, 19},
		{"a", 3, 22}, // began anew
		{"a", 3, 22},
		{"a", math.NaN(), 22},
	} {
		all.see(step.process, step.value, now)
		if got := all.sum(now); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	later := now.Add(2 * forgetAfter)
	if got := all.sum(later); got != 22 || len(all.last) != 0 {
		t.Errorf("after a day: %d of %d processes", got, len(all.last))
	}
}
