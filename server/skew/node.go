package skew

import (
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// node is all that is known of one node.
type node struct {
	mesh.Node
	identity *mesh.Identity
	lives    []mesh.Life // oldest first, the last is the one that is on or was last
	known    time.Time   // when it was first heard of
	lastSeen time.Time

	streams        []stream // open now; the last one counts
	connectedAt    time.Time
	disconnectedAt time.Time
	connections    []connection

	nonces map[string][]ResourceRef // responses that wait for an answer
	order  []string                 // their nonces, oldest first

	parts  []part  // the last Desired
	proofs []proof // see part
	tidied int     // how many there were when those not needed were dropped

	resources map[key]*resource      // those that do not run as desired, or of which there is more to say
	pending   map[*resource]struct{} // of those, the ones that are not synced
	lacking   int                    // how many others it does not run, see lacks
	heard     place                  // the last of those that something was heard of
	most      int                    // how many records there were at once, see compact

	prepared bool   // Desired was called
	first    uint64 // revision that it was first called for
	checked  uint64 // revision that it was called for

	held uint64 // revision that the roll-out keeps it at; 0: none

	account  bool   // sends Applied
	reported uint64 // revision of its last account
	whole    bool   // was synced once since it started

	push    push
	state   State
	since   time.Time
	history []Transition
}

type stream struct {
	conn string
	peer string // address of the other end
	at   time.Time
}

type connection struct {
	conn string
	Connection
}

// push is the last revision that touched a node, with what it touched.
type push struct {
	revision             uint64
	base                 time.Time   // milliseconds count from here
	prepared             time.Time   // when the node's part was known
	late                 bool        // the node connected after the revision: not part of its spread
	resources            []*resource // that the node does not run yet
	lacked               bool        // and all that it lacks without a record
	sent, acked, applied time.Time
}

// maxWaiting bounds responses without an answer on one stream.
const maxWaiting = 512

func newNode(id string, at time.Time) *node {
	return &node{
		Node:      mesh.Node{ID: id},
		known:     at,
		nonces:    make(map[string][]ResourceRef),
		resources: make(map[key]*resource),
		pending:   make(map[*resource]struct{}),
	}
}

// pull is how often the node asks for its configuration; 0: it is told.
func (n *node) pull() time.Duration { return time.Duration(n.PullS * float64(time.Second)) }

func (n *node) connected() bool { return len(n.streams) > 0 }

// current is the stream that counts, "" when there is none.
func (n *node) current() string {
	if len(n.streams) == 0 {
		return ""
	}
	return n.streams[len(n.streams)-1].conn
}

func (n *node) seen(at time.Time) {
	if at.After(n.lastSeen) {
		n.lastSeen = at
	}
}

// describe takes over what is set. A new start time means a new process, which
// runs nothing until it says so.
func (n *node) describe(d mesh.Node) {
	if d.Workload.Name != "" {
		n.Workload = d.Workload
	}
	if d.Kind != "" {
		n.Kind = d.Kind
	}
	if d.Build != "" {
		n.Build = d.Build
	}
	if d.Address != "" {
		n.Address = d.Address
	}
	if d.Labels != nil {
		n.Labels = d.Labels
	}
	if d.StartedAt.IsZero() || d.StartedAt.Equal(n.StartedAt) {
		return
	}
	if !n.StartedAt.IsZero() {
		n.restarted(d.StartedAt)
	}
	n.StartedAt = d.StartedAt
}

func (n *node) restarted(at time.Time) {
	n.whole, n.reported = false, 0
	n.unshareAll()
	for _, r := range n.resources {
		r.runs("", at, at)
		r.refused = refusal{}
		n.settle(r)
	}
}

// reports tells whether the node says what it runs. Where no agent does, an
// ACK is all there is, and counts.
func (n *node) reports() bool { return n.account || n.Build != "" }

// settle puts a resource where it belongs after a change.
func (n *node) settle(r *resource) {
	switch {
	case n.prepared && r.gone():
		delete(n.pending, r)
		delete(n.resources, r.key)
	case r.synced():
		delete(n.pending, r)
		n.share(r)
	default:
		n.pending[r] = struct{}{}
	}
}

// wait remembers a response until it is answered.
func (n *node) wait(nonce string, refs []ResourceRef) {
	if _, again := n.nonces[nonce]; !again {
		n.order = append(n.order, nonce)
	}
	n.nonces[nonce] = refs
	if len(n.order) > maxWaiting {
		delete(n.nonces, n.order[0])
		n.order = slices.Delete(n.order, 0, 1)
	}
}

// answered gives the response of a nonce, once.
func (n *node) answered(nonce string) ([]ResourceRef, bool) {
	refs, ok := n.nonces[nonce]
	if !ok {
		return nil, false
	}
	delete(n.nonces, nonce)
	if i := slices.Index(n.order, nonce); i >= 0 {
		n.order = slices.Delete(n.order, i, i+1)
	}
	return refs, true
}

// runsRevision is the newest revision that the node wholly runs. While
// something is missing that is the one before the first missing; a node that
// was not yet whole since it started is taken at its word, as far as that fits.
func (n *node) runsRevision() uint64 {
	if !n.prepared {
		return n.reported
	}
	if !n.lagging() {
		return n.upTo(n.checked)
	}
	first := n.upTo(n.checked)
	if !n.whole {
		first = min(first, n.reported)
	}
	for r := range n.pending {
		if m := r.missing(); len(m) > 0 && m[0].revision > 0 {
			first = min(first, m[0].revision-1)
		}
	}
	for p, i := range n.eachLacked {
		if revision := n.lacked(p, i).revision; revision > 0 {
			first = min(first, revision-1)
		}
	}
	return first
}

// upTo is a revision, or the one that the node is held at when that is older.
func (n *node) upTo(revision uint64) uint64 {
	if n.held > 0 {
		return min(revision, n.held)
	}
	return revision
}

// behind counts the revisions that changed something the node needs and that
// it does not run, and dates the first.
func (n *node) behind() (revisions int, since time.Time) {
	if !n.lagging() {
		return 0, time.Time{}
	}
	var distinct []uint64
	for r := range n.pending {
		for _, w := range r.missing() {
			if !slices.Contains(distinct, w.revision) {
				distinct = append(distinct, w.revision)
			}
		}
		if at := r.missingSince(); since.IsZero() || at.Before(since) {
			since = at
		}
	}
	for p, i := range n.eachLacked {
		w := n.lacked(p, i)
		if !slices.Contains(distinct, w.revision) {
			distinct = append(distinct, w.revision)
		}
		if since.IsZero() || w.at.Before(since) {
			since = w.at
		}
	}
	return len(distinct), since
}

// advance notes how far the last push got.
func (n *node) advance(at time.Time, observe func(string, time.Duration)) {
	p := &n.push
	if p.revision == 0 || !p.applied.IsZero() {
		return
	}
	p.resources = slices.DeleteFunc(p.resources, func(r *resource) bool { return r.applied == r.desired().version })
	if cap(p.resources) > 64+4*len(p.resources) {
		p.resources = slices.Clone(p.resources)
	}
	lacking := p.lacked && n.lacking > 0
	sent, acked, applied := true, true, len(p.resources) == 0 && !lacking
	for _, r := range p.resources {
		w := r.desired().version
		acked = acked && !r.ackedAt.IsZero() && r.acked == w
		sent = sent && !r.sentAt.IsZero() && r.sent == w
	}
	if lacking {
		for part, i := range n.eachLacked {
			seen := n.proofs[part.proof[i]-1]
			if sent, acked = sent && seen.sent != 0, acked && seen.acked != 0; !sent && !acked {
				break
			}
		}
	}
	mark := func(stage *time.Time, reached bool, name string, from time.Time) {
		if reached && stage.IsZero() {
			*stage = at
			if !from.IsZero() && (n.PullS == 0 || name == StageApply) { // a node that asks is as fast as it asks
				observe(name, max(at.Sub(from), 0))
			}
		}
	}
	mark(&p.sent, sent, StageQueue, p.prepared)
	mark(&p.acked, acked, StageAck, p.sent)
	mark(&p.applied, applied, StageApply, p.acked)
}
