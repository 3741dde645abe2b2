package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Of ten thousand sidecars a collector remembers gigabytes. That as much again
// may be garbage, as is usual, would be the most of what the process takes, and
// collecting sooner costs little there: the heap may grow by a fixed amount and
// a fifth of what lives, and at most by what lives.
const (
	heapRoom  = 256 << 20
	heapShare = 20 // percent
	heapPace  = 2 * time.Second
)

// heapGrowth is by how many percent of what lives the heap grows before it is
// collected.
func heapGrowth(live uint64) int {
	return int(min(100, heapShare+100*heapRoom/max(live, 1)))
}

// paceHeap adapts the growth to what lives, until ctx ends.
func paceHeap(ctx context.Context) {
	tick := time.NewTicker(heapPace)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := 100; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		// A change stops the world for a moment: small ones are not worth it.
		if next := heapGrowth(live[0].Value.Uint64()); next < percent*9/10 || next > percent*11/10 {
			percent = next
			debug.SetGCPercent(percent)
		}
	}
}
