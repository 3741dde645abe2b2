package app

import (
	"maps"
	"math"
	"time"
)

// tally adds up a counter of many processes. One that is out of sight for a
// while, or begins anew, takes nothing back.
type tally struct {
	total float64
	last  map[string]count
}

type count struct {
	value float64
	at    time.Time
}

// forgetAfter is for how long a process may be out of sight before it counts as
// another.
const forgetAfter = 24 * time.Hour

// see takes a process' counter as it is now.
func (t *tally) see(process string, value float64, now time.Time) {
	if t.last == nil {
		t.last = map[string]count{}
	}
	if math.IsNaN(value) {
		return
	}
	since := t.last[process].value
	if value < since { // it began anew
		since = 0
	}
	t.total += value - since
	t.last[process] = count{value, now}
}

// sum gives what all have counted.
func (t *tally) sum(now time.Time) uint64 {
	maps.DeleteFunc(t.last, func(_ string, r count) bool { return now.Sub(r.at) > forgetAfter })
	return uint64(t.total)
}
