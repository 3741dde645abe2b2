package skew

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// list is one of the lists that nodes are desired to run. It is kept once for all
// nodes that have it.
type list struct {
	given []Resource
	order []int32  // by type and name; nil: given is in that order
	past  [][]want // by index in given: what was wanted before, and is now
	users int      // nodes
}

// part is a list of a node's, with what it did with each resource of it. Most
// resources run as desired, on most nodes. Of such a one the node keeps but a
// number, and of one that it lacks since it came; one that is otherwise has a
// record of its own, see node.resources.
type part struct {
	*list
	proof []uint16 // by index in given: one more than that in the node's proofs; 0: it has a record
}

// proof tells when resources were sent as desired, acknowledged and applied:
// nanoseconds since 1970, 0: never. They run as desired, or are lacked.
type proof struct {
	sent, acked, applied int64
	lacked               bool
}

// maxProofs is how many of them a number can tell.
const maxProofs = 1<<16 - 2

func stamp(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

func unstamp(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func (r *Resource) key() key { return key{r.Type, r.Name} }

func (k key) compare(o key) int {
	return cmp.Or(strings.Compare(k.typ, o.typ), strings.Compare(k.name, o.name))
}

// list gives what is kept of a list, which is made when it is new; past tells
// what was wanted of a resource before.
func (t *Tracker) list(given []Resource, past func(*Resource) []want) *list {
	if l := t.lists[begin(given)]; l != nil {
		l.users++
		return l
	}
	l := &list{given: given, past: make([][]want, len(given)), users: 1}
	for i := range given {
		l.past[i] = past(&given[i])
	}
	if !slices.IsSortedFunc(given, func(a, b Resource) int { return a.key().compare(b.key()) }) {
		l.order = make([]int32, len(given))
		for i := range l.order {
			l.order[i] = int32(i)
		}
		slices.SortFunc(l.order, func(a, b int32) int { return given[a].key().compare(given[b].key()) })
	}
	if len(given) > 0 {
		t.lists[begin(given)] = l
	}
	return l
}

// leave tells that a node has a list no more.
func (t *Tracker) leave(l *list) {
	if l.users--; l.users == 0 && t.lists[begin(l.given)] == l {
		delete(t.lists, begin(l.given))
	}
}

// drop forgets a node.
func (t *Tracker) drop(id string) {
	for _, p := range t.nodes[id].parts {
		t.leave(p.list)
	}
	delete(t.nodes, id)
	t.seq++
}

// nth gives the index of the resource that is the nth by type and name.
func (l *list) nth(n int) int {
	if l.order == nil {
		return n
	}
	return int(l.order[n])
}

// find tells where a resource is in the list.
func (l *list) find(k key) (int, bool) {
	n := len(l.given)
	if n == 0 || k.compare(l.given[l.nth(0)].key()) < 0 || k.compare(l.given[l.nth(n-1)].key()) > 0 {
		return 0, false
	}
	from, to := 0, n
	for from < to {
		middle := (from + to) / 2
		switch c := k.compare(l.given[l.nth(middle)].key()); {
		case c == 0:
			return l.nth(middle), true
		case c < 0:
			to = middle
		default:
			from = middle + 1
		}
	}
	return 0, false
}

// overlaps reports whether a resource of one list may have the type and name of
// one of the other.
func (l *list) overlaps(o *list) bool {
	if len(l.given) == 0 || len(o.given) == 0 {
		return false
	}
	first, last := func(l *list) key { return l.given[l.nth(0)].key() }, func(l *list) key { return l.given[l.nth(len(l.given)-1)].key() }
	return first(l).compare(last(o)) <= 0 && first(o).compare(last(l)) <= 0
}

// find tells where a resource is among what the node should run.
func (n *node) find(k key) (*part, int) {
	for i := range n.parts {
		if at, ok := n.parts[i].find(k); ok {
			return &n.parts[i], at
		}
	}
	return nil, 0
}

// record gives the record of a resource that something is to be noted of; nil
// when the node has no such resource.
func (n *node) record(k key) *resource {
	if r := n.resources[k]; r != nil {
		return r
	}
	if p, i := n.find(k); p != nil && p.proof[i] != 0 {
		return n.unshare(p, i)
	}
	return nil
}

// peek tells of a resource that has no record. Nothing is to be noted in it.
func (n *node) peek(p *part, i int) resource {
	res, seen := &p.given[i], n.proofs[p.proof[i]-1]
	r := resource{
		key: res.key(), objects: res.Objects, wants: p.past[i], applied: res.Version, ran: true,
		sentAt: unstamp(seen.sent), ackedAt: unstamp(seen.acked), appliedAt: unstamp(seen.applied),
	}
	if seen.lacked {
		r.wants, r.applied, r.ran = []want{n.lacked(p, i)}, "", false
	}
	if seen.sent != 0 {
		r.sent = res.Version
	}
	if seen.acked != 0 {
		r.acked = res.Version
	}
	return r
}

// unshare makes a record of a resource that has none. What was wanted before the
// node was there, it never lacked.
func (n *node) unshare(p *part, i int) *resource {
	r := n.peek(p, i)
	lacked := n.proofs[p.proof[i]-1].lacked
	p.proof[i] = 0
	if lacked {
		n.lacking--
		n.keep(&r)
		n.pending[&r] = struct{}{}
		if n.push.lacked {
			n.push.resources = append(n.push.resources, &r)
		}
		return &r
	}
	from := len(r.wants) - 1
	for from > 0 && r.wants[from].revision > n.first {
		from--
	}
	r.wants = slices.Clone(r.wants[from:])
	for j := range r.wants {
		r.wants[j].at = latest(r.wants[j].at, n.known)
	}
	n.keep(&r)
	return &r
}

// unshareAll makes a record of everything that the node runs as desired.
func (n *node) unshareAll() {
	for i := range n.parts {
		for j, proof := range n.parts[i].proof {
			if proof != 0 && !n.proofs[proof-1].lacked {
				n.unshare(&n.parts[i], j)
			}
		}
	}
}

// keep adds a record.
func (n *node) keep(r *resource) {
	n.resources[r.key] = r
	n.most = max(n.most, len(n.resources))
}

// share does without the record of a resource that runs as desired, of which
// there is nothing else to say.
func (n *node) share(r *resource) {
	if len(r.wants) == 0 || r.refused.set || !r.disputed.IsZero() {
		return
	}
	version := r.desired().version
	if !r.sentAt.IsZero() && r.sent != version || !r.ackedAt.IsZero() && r.acked != version {
		return
	}
	p, i := n.find(r.key)
	if p == nil || p.given[i].Version != version || n.resources[r.key] != r || len(r.wants) > len(p.past[i]) {
		return // the last: of a node that was long behind, more is remembered than of others
	}
	seen := proof{sent: stamp(r.sentAt), acked: stamp(r.ackedAt), applied: stamp(r.appliedAt)}
	at := n.proven(seen)
	if at < 0 {
		return
	}
	p.proof[i] = uint16(at + 1)
	delete(n.resources, r.key)
}

// proven finds a place for a proof, or the one that it has; -1: there are too
// many.
func (n *node) proven(seen proof) int {
	const recent = 16 // what comes together, comes one after the other
	for i := len(n.proofs) - 1; i >= max(len(n.proofs)-recent, 0); i-- {
		if n.proofs[i] == seen {
			return i
		}
	}
	if len(n.proofs) >= max(n.tidied*2, 32) {
		n.tidy()
	}
	if len(n.proofs) >= maxProofs {
		return -1
	}
	n.proofs = append(n.proofs, seen)
	return len(n.proofs) - 1
}

// tidy drops proofs that nothing refers to.
func (n *node) tidy() {
	moved := make([]uint16, len(n.proofs)+1) // by number; 0: not seen yet
	var kept []proof
	for _, p := range n.parts {
		for i, number := range p.proof {
			if number == 0 {
				continue
			}
			if moved[number] == 0 {
				kept = append(kept, n.proofs[number-1])
				moved[number] = uint16(len(kept))
			}
			p.proof[i] = moved[number]
		}
	}
	n.proofs, n.tidied = kept, len(kept)
}

// compact gives back what maps keep that were large once.
func (n *node) compact() {
	if n.most <= 64 || len(n.resources)*8 > n.most {
		return
	}
	resources, pending := make(map[key]*resource, len(n.resources)), make(map[*resource]struct{}, len(n.pending))
	maps.Copy(resources, n.resources)
	for r := range n.pending {
		pending[r] = struct{}{}
	}
	n.resources, n.pending, n.most = resources, pending, len(resources)
}

// count is how many resources a node has.
func (n *node) count() int {
	count := len(n.resources)
	for i := range n.parts {
		for _, proof := range n.parts[i].proof {
			if proof != 0 {
				count++
			}
		}
	}
	return count
}

// each gives all resources of a node, which are only to be looked at.
func (n *node) each(yield func(*resource) bool) {
	for _, r := range n.resources {
		if !yield(r) {
			return
		}
	}
	for i := range n.parts {
		for j, proof := range n.parts[i].proof {
			if proof == 0 {
				continue
			}
			if r := n.peek(&n.parts[i], j); !yield(&r) {
				return
			}
		}
	}
}
