package skew

import "time"

// maxOpen bounds the revisions that wait for convergence. Beyond, those in the
// middle are left out: the oldest says since when, the newest what is waited for.
const maxOpen = 256

func (t *Tracker) opened(a acceptance) {
	if len(t.open) == maxOpen {
		t.open = append(t.open[:maxOpen/2], t.open[maxOpen/2+1:]...)
	}
	t.open = append(t.open, a)
}

// converge closes the revisions that every connected node runs now. When that
// came to be is known exactly, however seldom anybody looks: it is the time of
// the last node's account. A revision that no node needed took no time, and is
// no measurement.
func (t *Tracker) converge() {
	if len(t.open) == 0 || t.newest == nil {
		return
	}
	var last time.Time
	touched := uint64(0)
	for _, n := range t.nodes {
		if n.held > 0 {
			return // the roll-out is not over
		}
		if !n.connected() {
			continue
		}
		if !n.prepared || n.lagging() || n.checked < t.newest.Number {
			return
		}
		if p := &n.push; !p.late && p.revision >= t.open[0].revision {
			last, touched = latest(last, p.applied), max(touched, p.revision)
		}
	}
	for _, a := range t.open {
		if a.revision <= touched && !last.Before(a.at) {
			t.opt.Observe(StageConverged, last.Sub(a.at))
		}
	}
	t.open = t.open[:0]
}

// unconverged tells since when a revision is accepted that not every connected
// node runs; zero when there is none, and while a roll-out holds nodes back on
// purpose.
func (t *Tracker) unconverged() time.Time {
	if len(t.open) == 0 {
		return time.Time{}
	}
	for _, n := range t.nodes {
		if n.held > 0 {
			return time.Time{}
		}
	}
	return t.open[0].at
}
