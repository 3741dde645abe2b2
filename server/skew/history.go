package skew

import (
	"slices"
	"sort"
	"time"
)

// record appends to a node's history when its state or the revision that it
// runs changed. Ages are judged exactly: a state that began between two ticks
// is dated to when it began.
func (t *Tracker) record(n *node, at time.Time) {
	v := t.judge(n, at)
	if v.quiet {
		return
	}
	rev := n.runsRevision()
	if len(n.history) > 0 {
		last := n.history[len(n.history)-1]
		if last.State == v.state && last.Revision == rev {
			return
		}
		if last.State == v.state {
			v.since = at // the same state goes on; only the revision moved
		} else {
			n.since = latest(v.since, last.At)
		}
		v.since = latest(v.since, last.At)
	} else {
		n.since = v.since
	}
	n.state = v.state
	if last := len(n.history) - 1; last >= 0 && !v.since.After(n.history[last].At) {
		n.history = n.history[:last] // it took no time
	}
	n.history = append(n.history, Transition{At: v.since, State: v.state, Revision: rev, Note: v.brief})
	n.history = trimHistory(n.history, at.Add(-t.opt.History), t.opt.Transitions)
}

// trimHistory drops what lies wholly before from. Over the bound, healthy
// pushes go first: what went wrong an hour ago must not be pushed out by
// endpoints that come and go.
func trimHistory(h []Transition, from time.Time, bound int) []Transition {
	h = h[beginBefore(h, from):]
	if len(h) <= bound {
		return h
	}
	kept := make([]Transition, 0, len(h))
	for i, tr := range h {
		old := i > 0 && i < len(h)-bound/4
		healthy := tr.State == Synced || tr.State == InFlight
		if old && healthy && len(kept) > 0 && kept[len(kept)-1].State == Synced {
			continue
		}
		kept = append(kept, tr)
	}
	if over := len(kept) - bound; over > 0 {
		kept = slices.Delete(kept, 0, over)
	}
	return kept
}

// beginBefore gives the index of the transition that holds at from.
func beginBefore(h []Transition, from time.Time) int {
	i := sort.Search(len(h), func(i int) bool { return h[i].At.After(from) })
	return max(i-1, 0)
}

// History gives a node's transitions of the last window, oldest first; the
// first may begin before.
func (t *Tracker) History(nodeID string, window time.Duration, at time.Time) ([]Transition, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil {
		return nil, false
	}
	t.record(n, at)
	return n.historySince(at.Add(-window)), true
}

func (n *node) historySince(from time.Time) []Transition {
	return append([]Transition{}, n.history[beginBefore(n.history, from):]...)
}
