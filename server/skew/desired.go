package skew

import (
	"slices"
	"time"
)

// Desired sets all that a node should run at a revision, in parts: lists that
// nodes share are the same slice for each of them, and one that did not change
// stays the same slice, so that a change costs each node what it changes and no
// more. The caller calls it for every known node after every accepted revision,
// also when nothing changed for that node: only so is it known that the node
// needs nothing of that revision. It may come before Connected.
func (t *Tracker) Desired(nodeID string, revision uint64, parts [][]Resource, at time.Time) {
	t.change(nodeID, at, func(n *node) {
		w := wanting{t: t, n: n, revision: revision, at: at}
		n.checked = revision
		if !n.prepared {
			n.prepared, n.first, w.first = true, revision, true
			w.arrange(parts)
			w.unwanted()
		} else if len(n.parts) != len(parts) {
			w.arrange(parts)
		} else {
			w.exchange(parts)
		}
		if len(w.changed) == 0 && !w.lacked {
			return
		}
		if n.push.revision != w.newest {
			accepted := t.acceptedAt(w.newest, at)
			n.push = push{revision: w.newest, base: latest(accepted, n.connectedAt), late: n.connectedAt.After(accepted)}
		}
		n.push.resources, n.push.prepared = append(n.push.resources, w.changed...), at
		n.push.lacked = n.push.lacked || w.lacked
		n.push.sent, n.push.acked, n.push.applied = time.Time{}, time.Time{}, time.Time{}
	})
}

// wanting collects what becomes of a node's wants.
type wanting struct {
	t        *Tracker
	n        *node
	revision uint64
	at       time.Time
	first    bool        // nothing was desired of the node before
	changed  []*resource // those that differ
	lacked   bool        // and some without a record
	newest   uint64      // revision that made one differ
}

// want gives what is wanted from now on.
func (w *wanting) want(version string, by uint64) want {
	since := latest(w.t.acceptedAt(by, w.at), w.n.known)
	if w.n.held > 0 && by > w.n.held {
		since = w.at // the roll-out kept it back until now: it is not late
	}
	return want{version, by, since}
}

func (w *wanting) set(r *resource, version string, by uint64) {
	r.want(w.want(version, by))
	w.newest = max(w.newest, by)
	w.changed = append(w.changed, r)
	w.n.settle(r)
}

// by is the revision that gave a resource its content.
func (w *wanting) by(res *Resource) uint64 {
	if res.Revision == 0 {
		return w.revision
	}
	return res.Revision
}

func (w *wanting) take(res *Resource) {
	r := w.n.resources[res.key()]
	if r == nil {
		r = &resource{key: res.key()}
		w.n.keep(r)
	}
	r.objects = res.Objects
	if len(r.wants) == 0 || r.desired().version != res.Version {
		w.set(r, res.Version, w.by(res))
	} else {
		w.n.settle(r)
	}
}

// gone wants a resource no more.
func (w *wanting) gone(k key) {
	if p, _ := w.n.find(k); p != nil {
		return // it is in another part now
	}
	if r := w.n.resources[k]; r != nil && (len(r.wants) == 0 || r.desired().version != "") {
		w.set(r, "", w.revision)
	}
}

// unwanted finds what the node told that it has before anybody knew what it
// should.
func (w *wanting) unwanted() {
	for k := range w.n.resources {
		w.gone(k)
	}
}

// past tells what was wanted of a resource of a new list, by lists that it takes
// the place of.
func (w *wanting) past(replaced []part) func(*Resource) []want {
	return func(res *Resource) []want {
		next := want{res.Version, w.by(res), w.t.acceptedAt(w.by(res), w.at)}
		for i := range replaced {
			at, ok := replaced[i].find(res.key())
			if !ok {
				continue
			}
			past := replaced[i].past[at]
			if past[len(past)-1].version == res.Version {
				return past
			}
			return append(slices.Clone(past[max(len(past)-remembered, 0):]), next)
		}
		return []want{next}
	}
}

// arrange takes parts of which nothing is known but that some may be the lists
// that the node has.
func (w *wanting) arrange(parts [][]Resource) {
	n := w.n
	had := make(map[*Resource]int, len(n.parts))
	for i := range n.parts {
		had[begin(n.parts[i].given)] = i
	}
	next, added := make([]part, len(parts)), []int{}
	kept := make([]bool, len(n.parts))
	for i, given := range parts {
		if j, ok := had[begin(given)]; ok && !kept[j] && sameList(n.parts[j].given, given) {
			next[i], kept[j] = n.parts[j], true
		} else {
			added = append(added, i)
		}
	}
	var replaced []part
	for j := range n.parts {
		if !kept[j] {
			replaced = append(replaced, n.parts[j])
		}
	}
	for _, i := range added {
		next[i] = part{w.t.list(parts[i], w.past(replaced)), make([]uint16, len(parts[i]))}
	}
	for j := range replaced {
		for i := range replaced[j].given {
			w.carry(&replaced[j], i, next, added)
		}
	}
	n.parts = next
	for _, i := range added {
		beside := overlapping(next, i)
		for j := range parts[i] {
			if next[i].proof[j] == 0 && !w.lacks(&next[i], j, beside) {
				w.take(&parts[i][j])
			}
		}
	}
	for _, p := range replaced {
		for i := range p.given {
			w.gone(p.given[i].key())
		}
		w.t.leave(p.list)
	}
}

// overlapping gives the other parts that may have resources of the same name.
func overlapping(parts []part, i int) (out []*part) {
	for j := range parts {
		if j != i && parts[j].overlaps(parts[i].list) {
			out = append(out, &parts[j])
		}
	}
	return out
}

// lacks notes without a record that a node which was just prepared lacks a
// resource. Parts beside its own may have one of that name.
func (w *wanting) lacks(p *part, i int, beside []*part) bool {
	k := p.given[i].key()
	if !w.first || w.n.resources[k] != nil {
		return false
	}
	for _, other := range beside {
		if _, ok := other.find(k); ok {
			return false
		}
	}
	by := w.by(&p.given[i])
	if !w.n.lacks(p, i, w.want(p.given[i].Version, by)) {
		return false
	}
	w.lacked, w.newest = true, max(w.newest, by)
	return true
}

// keepLacked prepares for that a list takes the place of a part's: what is lacked
// of which that remembers otherwise what is wanted, gets a record.
func (w *wanting) keepLacked(p *part, next *list, from []int32) {
	if w.n.lacking == 0 {
		return
	}
	for j := range next.given {
		was := j
		if from != nil {
			was = int(from[j])
		}
		if was < 0 || p.proof[was] == 0 || !w.n.proofs[p.proof[was]-1].lacked {
			continue
		}
		a, b := p.past[was][len(p.past[was])-1], next.past[j][len(next.past[j])-1]
		if a.revision != b.revision || !a.at.Equal(b.at) {
			w.n.unshare(p, was)
		}
	}
}

// carry takes what is known of a resource over to the list where it is now.
func (w *wanting) carry(from *part, i int, next []part, added []int) {
	if from.proof[i] == 0 {
		return
	}
	if w.n.proofs[from.proof[i]-1].lacked {
		w.n.unshare(from, i) // another list may remember otherwise what is wanted
		return
	}
	for _, to := range added {
		if j, ok := next[to].find(from.given[i].key()); ok && next[to].given[j].Version == from.given[i].Version {
			next[to].proof[j] = from.proof[i]
			return
		}
	}
	w.n.unshare(from, i)
}

// exchange takes parts each of which is the list that was in its place or has
// taken that one's place.
func (w *wanting) exchange(parts [][]Resource) {
	n := w.n
	var places []int
	var diffs []*difference
	for i := range parts {
		if !sameList(n.parts[i].given, parts[i]) {
			places, diffs = append(places, i), append(diffs, w.t.difference(n.parts[i].given, parts[i]))
		}
	}
	if len(places) == 0 {
		return
	}
	var gone []key
	for d, i := range places {
		p := &n.parts[i]
		for _, j := range diffs[d].before {
			if p.proof[j] != 0 {
				n.unshare(p, int(j))
			}
		}
		for _, j := range diffs[d].gone {
			gone = append(gone, p.given[j].key())
		}
	}
	for d, i := range places {
		old := n.parts[i]
		next := w.t.list(parts[i], w.past([]part{old}))
		w.keepLacked(&n.parts[i], next, diffs[d].from)
		n.parts[i].list = next
		if from := diffs[d].from; from != nil {
			n.parts[i].proof = make([]uint16, len(from))
			for j, was := range from {
				if was >= 0 {
					n.parts[i].proof[j] = old.proof[was]
				}
			}
		}
		w.t.leave(old.list)
	}
	for d, i := range places {
		for _, j := range diffs[d].set {
			w.take(&parts[i][j])
		}
		for _, j := range diffs[d].relabelled {
			if r := n.resources[parts[i][j].key()]; r != nil {
				r.objects = parts[i][j].Objects
			}
		}
	}
	for _, k := range gone {
		w.gone(k)
	}
}

// difference is how one list of resources differs from another, by index.
type difference struct {
	before     []int32 // in the one before: what is otherwise in the other, or not there
	gone       []int32 // of those: what is not there
	set        []int32 // in the one after: new, or with another version
	relabelled []int32 // in the one after: with other objects
	from       []int32 // of each in the one after, where it was before, -1: nowhere; nil: all where they are
}

// lists names two lists by where they begin.
type lists struct{ before, after *Resource }

func begin(list []Resource) *Resource {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

func sameList(a, b []Resource) bool { return len(a) == len(b) && begin(a) == begin(b) }

// maxDifferences bounds how many comparisons are remembered: nodes of as many
// namespaces as compare at one revision.
const maxDifferences = 4096

// difference compares two lists, once for all nodes that share them.
func (t *Tracker) difference(before, after []Resource) *difference {
	at := lists{begin(before), begin(after)}
	if d := t.differences[at]; d != nil {
		return d
	}
	d := &difference{from: make([]int32, len(after))}
	old := make(map[key]int32, len(before))
	for i := range before {
		old[before[i].key()] = int32(i)
	}
	moved := len(before) != len(after)
	for i := range after {
		was, ok := old[after[i].key()]
		delete(old, after[i].key())
		if !ok {
			was = -1
		}
		d.from[i] = was
		moved = moved || was != int32(i)
		switch {
		case !ok || before[was].Version != after[i].Version:
			d.set = append(d.set, int32(i))
			if ok {
				d.before = append(d.before, was)
			}
		case !slices.Equal(before[was].Objects, after[i].Objects):
			d.relabelled = append(d.relabelled, int32(i))
		}
	}
	for _, i := range old {
		d.before, d.gone = append(d.before, i), append(d.gone, i)
	}
	if !moved {
		d.from = nil
	}
	if len(t.differences) >= maxDifferences {
		clear(t.differences)
	}
	t.differences[at] = d
	return d
}
