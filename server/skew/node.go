package skew

import (
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// node is all that is known of one node.
type node struct {
	mesh.Node
	known    time.Time // when it was first heard of
	lastSeen time.Time

	streams        []stream // open now; the last one counts
	connectedAt    time.Time
	disconnectedAt time.Time
	connections    []connection

	nonces map[string][]ResourceRef // responses that wait for an answer
	order  []string                 // their nonces, oldest first

	resources map[key]*resource
	pending   map[*resource]struct{} // those that are not synced

	given    []Resource // the last Desired, to see that nothing changed
	prepared bool       // Desired was called
	checked  uint64     // revision that it was called for

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
	at   time.Time
}

type connection struct {
	conn string
	Connection
}

// push is the last revision that touched a node, with what it touched.
type push struct {
	revision             uint64
	base                 time.Time // milliseconds count from here
	late                 bool      // the node connected after the revision: not part of its spread
	resources            []*resource
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
	if len(n.pending) == 0 {
		return n.checked
	}
	first := n.checked
	if !n.whole {
		first = min(first, n.reported)
	}
	for r := range n.pending {
		if m := r.missing(); len(m) > 0 && m[0].revision > 0 {
			first = min(first, m[0].revision-1)
		}
	}
	return first
}

// behind counts the revisions that changed something the node needs and that
// it does not run, and dates the first.
func (n *node) behind() (revisions int, since time.Time) {
	if len(n.pending) == 0 {
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
	return len(distinct), since
}

// advance notes how far the last push got.
func (n *node) advance(at time.Time) {
	p := &n.push
	if p.revision == 0 || !p.applied.IsZero() {
		return
	}
	sent, acked, applied := true, true, true
	for _, r := range p.resources {
		w := r.desired().version
		run := r.applied == w
		applied = applied && run
		acked = acked && (run || !r.ackedAt.IsZero() && r.acked == w)
		sent = sent && (run || !r.sentAt.IsZero() && r.sent == w)
	}
	mark := func(stage *time.Time, reached bool) {
		if reached && stage.IsZero() {
			*stage = at
		}
	}
	mark(&p.sent, sent)
	mark(&p.acked, acked)
	mark(&p.applied, applied)
}
