package app

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A sidecar's heap may grow by half of what lives before it is collected: there
// is a sidecar for each workload, and most are idle most of the time. Of a busy
// one, whose 5 MB would be collected tens of times a second at a fifth of its
// processor time, the heap may grow to busyHeap while that lasts.
const (
	calmGrowth = 50 // percent
	mostGrowth = 600
	busyHeap   = 24 << 20

	busyInterval = 250 * time.Millisecond // between collections
	calmInterval = 2 * time.Second
)

// softMemoryLimit is where collection becomes eager. It is no hard bound: a
// sidecar with thousands of open streams takes what they need.
const softMemoryLimit = 48 << 20

// paceHeap keeps the sidecar's footprint small at little cost. GOGC and
// GOMEMLIMIT, when set, win.
func paceHeap() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pace{percent: calmGrowth, last: time.Now(), live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	debug.SetGCPercent(p.percent)
	p.rearm()
}

// pace adapts the heap's growth after each collection.
type pace struct {
	percent int
	last    time.Time
	live    []metrics.Sample
}

// rearm leaves an object behind that the next collection finds dead.
func (p *pace) rearm() {
	sentinel := new([16]byte)
	runtime.SetFinalizer(sentinel, func(*[16]byte) {
		metrics.Read(p.live)
		now := time.Now()
		next := growth(p.percent, now.Sub(p.last), p.live[0].Value.Uint64())
		p.last = now
		// A change stops the world for a moment: small ones are not worth it.
		if next < p.percent*3/4 || next > p.percent*4/3 {
			p.percent = next
			debug.SetGCPercent(next)
		}
		p.rearm()
	})
}

// growth is by how many percent the heap may grow now: at calm by little, busy
// up to busyHeap, and in between as before.
func growth(before int, interval time.Duration, live uint64) int {
	switch {
	case interval > calmInterval || live >= busyHeap:
		return calmGrowth
	case interval < busyInterval || before > calmGrowth:
		return int(min(max((busyHeap-live)*100/max(live, 1), calmGrowth), mostGrowth))
	}
	return before
}

// tidyEvery is how often an idle sidecar is looked at.
const tidyEvery = 5 * time.Second

// tidy gives memory back while the sidecar is calm, until ctx ends. What a
// configuration or a burst of connections took on its way in would otherwise
// stay until the next collection, which an idle heap does not cause for minutes.
func tidy(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	now := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}
	var cycles, own uint64 // collections so far, and how many there were after our last
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(now)
		calm := now[0].Value.Uint64() == cycles
		cycles = now[0].Value.Uint64()
		// A collection in the middle of a change found alive what is garbage since:
		// only our own is known to have been at a calm time.
		if calm && (cycles != own || worthTidying(now[1].Value.Uint64(), now[2].Value.Uint64())) {
			debug.FreeOSMemory()
			log.Debug("gave memory back", "file_bytes", dropStartPages())
			metrics.Read(now[:1])
			cycles = now[0].Value.Uint64()
			own = cycles
		}
	}
}

// worthTidying: live is what lived at the last collection, held what is there
// with the garbage since.
func worthTidying(live, held uint64) bool { return held > live+live/8+512<<10 }
