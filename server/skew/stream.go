package skew

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Connected tells that a node opened its configuration stream, from the address
// peer. conn names the stream and is unique in the tracker's life. When the node
// has another stream already, the newest counts and this is noted.
func (t *Tracker) Connected(desc mesh.Node, conn, peer string, at time.Time) {
	t.change(desc.ID, at, func(n *node) {
		n.describe(desc)
		n.PullS = desc.PullS // it may have changed to a stream
		n.seen(at)
		if slices.ContainsFunc(n.streams, func(s stream) bool { return s.conn == conn }) {
			return
		}
		n.streams = append(n.streams, stream{conn, peer, at})
		n.connections = append(n.connections, connection{conn, Connection{ConnectedAt: at, Peer: peer}})
		if over := len(n.connections) - t.opt.Connections; over > 0 {
			n.connections = slices.Delete(n.connections, 0, over)
		}
		n.startStream(at)
	})
}

// startStream begins anew: what an earlier stream sent says nothing about what
// this one's node has. Its account, or Holds, will.
func (n *node) startStream(at time.Time) {
	n.connectedAt, n.disconnectedAt = at, time.Time{}
	clear(n.nonces)
	n.order = nil
	if n.push.applied.IsZero() {
		n.push.base, n.push.prepared, n.push.late = at, at, true
	}
	for i := range n.proofs {
		n.proofs[i].sent, n.proofs[i].acked = 0, 0
	}
	if !n.reports() {
		n.unshareAll()
	}
	for _, r := range n.resources {
		r.newStream()
		if !n.reports() {
			r.runs("", at, at)
			n.settle(r)
		}
	}
}

// Disconnected tells that a node's stream ended.
func (t *Tracker) Disconnected(nodeID, conn, reason string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil {
		return
	}
	i := slices.IndexFunc(n.streams, func(s stream) bool { return s.conn == conn })
	if i < 0 {
		return
	}
	t.seq++
	counted := n.current() == conn
	n.streams = slices.Delete(n.streams, i, i+1)
	for j := range n.connections {
		if n.connections[j].conn == conn {
			n.connections[j].DisconnectedAt, n.connections[j].Reason = at, reason
		}
	}
	n.seen(at)
	switch {
	case !n.connected():
		n.disconnectedAt = at
	case counted: // an older stream of the same ID is still open
		n.startStream(n.streams[len(n.streams)-1].at)
	}
	t.record(n, at)
}

// twins names what is odd about several streams of one node ID: another process
// that uses it, or a stream of the node's own past that nobody closed.
func (n *node) twins() string {
	if len(n.streams) < 2 {
		return ""
	}
	newest := n.streams[len(n.streams)-1]
	for _, s := range n.streams[:len(n.streams)-1] {
		if host(s.peer) != host(newest.peer) {
			return fmt.Sprintf("duplicate: %d streams use this node ID, from %s and %s; the newest counts", len(n.streams), s.peer, newest.peer)
		}
	}
	return fmt.Sprintf("zombie: %d streams use this node ID, all but the newest are of its past or of a second process on the same host", len(n.streams))
}

// host is an address without its port.
func host(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return address[:i]
	}
	return address
}

// Holds tells what a node said on connecting that it has already
// (initial_resource_versions): it counts as sent and acknowledged.
func (t *Tracker) Holds(nodeID, conn string, refs []ResourceRef, at time.Time) {
	t.heard(nodeID, conn, at, func(n *node) {
		n.seen(at)
		for _, ref := range refs {
			if n.hears(ref, func(seen *proof) {
				seen.sent = stamp(at)
				n.acks(seen, at)
			}) {
				continue
			}
			r := n.record(key{ref.Type, ref.Name})
			if r == nil {
				r = n.unwanted(key{ref.Type, ref.Name}, at)
			}
			r.sent, r.sentAt = ref.Version, at
			n.ack(r, ref.Version, at)
			n.settle(r)
		}
	})
}

// unwanted makes a resource that the node has and that nobody wants. Before
// the first Desired nobody knows what is wanted.
func (n *node) unwanted(k key, at time.Time) *resource {
	r := &resource{key: k}
	if n.prepared {
		r.wants = []want{{"", n.checked, at}}
	}
	n.keep(r)
	return r
}

// Sent tells that a response with these resources was handed to the stream.
// nonce is unique within conn.
func (t *Tracker) Sent(nodeID, conn, nonce string, refs []ResourceRef, at time.Time) {
	t.heard(nodeID, conn, at, func(n *node) {
		n.wait(nonce, refs)
		for _, ref := range refs {
			if n.hears(ref, func(seen *proof) { seen.sent = stamp(at) }) {
				continue
			}
			if r := n.record(key{ref.Type, ref.Name}); r != nil {
				r.sent, r.sentAt = ref.Version, at
				if r.refused.held && r.refused.version == ref.Version {
					r.refused = refusal{} // it gets another try
				}
			}
		}
	})
}

// Acked tells that a node accepted the response.
func (t *Tracker) Acked(nodeID, conn, nonce string, at time.Time) {
	t.heard(nodeID, conn, at, func(n *node) {
		n.seen(at)
		refs, _ := n.answered(nonce)
		for _, ref := range refs {
			if n.hears(ref, func(seen *proof) { n.acks(seen, at) }) {
				continue
			}
			if r := n.record(key{ref.Type, ref.Name}); r != nil {
				n.ack(r, ref.Version, at)
				n.settle(r)
			}
		}
	})
}

func (n *node) ack(r *resource, version string, at time.Time) {
	r.acked, r.ackedAt = version, at
	if r.applied == version {
		r.disputed = time.Time{}
	}
	if r.refused.version == version {
		r.refused = refusal{}
	}
	if !n.reports() {
		r.runs(version, at, at)
	}
}

// Nacked tells that a node refused the response. message is its own words,
// "TYPE NAME: reason; ...": the resources it names are refused, the others of
// that response are held back with them.
func (t *Tracker) Nacked(nodeID, conn, nonce, message string, at time.Time) {
	t.heard(nodeID, conn, at, func(n *node) {
		n.seen(at)
		refs, _ := n.answered(nonce)
		reasons := readRefusal(message, refs)
		for _, ref := range refs {
			r := n.record(key{ref.Type, ref.Name})
			if r == nil {
				continue
			}
			no := refusal{version: ref.Version, at: at}
			reason, named := reasons[r.key]
			switch {
			case named:
				no.text = reason
			case len(reasons) == 0:
				no.text = words(message)
			default:
				no.held, no.text = true, "held back: it came with a resource that was refused"
			}
			r.refuse(no)
		}
	})
}

// Applied takes a node's own whole account of what it runs.
func (t *Tracker) Applied(nodeID string, res []AppliedResource, revision uint64, at time.Time) {
	t.change(nodeID, at, func(n *node) {
		n.seen(at)
		n.account, n.reported = true, revision
		told := make(map[key]int, len(res))
		for i := range res {
			told[key{res[i].Type, res[i].Name}] = i
		}
		known := make([]bool, len(res)) // nothing new is told of it
		for i := range n.parts {
			p := &n.parts[i]
			for j, proof := range p.proof {
				if proof == 0 {
					continue
				}
				k, ok := told[p.given[j].key()]
				seen := n.proofs[proof-1]
				switch asDesired := ok && res[k].Version == p.given[j].Version && res[k].Error == ""; {
				case asDesired && seen.lacked:
					seen.lacked, seen.applied = false, stamp(res[k].since(at))
					if known[k] = n.moves(p, j, seen); !known[k] {
						n.unshare(p, j)
					}
				case asDesired:
					known[k] = true
				case ok || !seen.lacked || seen.acked != 0:
					n.unshare(p, j)
				}
			}
		}
		for i := range res {
			if known[i] {
				continue
			}
			k := key{res[i].Type, res[i].Name}
			r := n.resources[k]
			if r == nil {
				r = n.unwanted(k, at)
			}
			n.tell(r, &res[i], at)
		}
		for k, r := range n.resources {
			if _, ok := told[k]; !ok {
				n.tell(r, &AppliedResource{At: at}, at)
			}
		}
	})
}

// AppliedSince takes what a node's account tells otherwise than before. A
// resource without version runs no more.
func (t *Tracker) AppliedSince(nodeID string, changed []AppliedResource, revision uint64, at time.Time) {
	t.change(nodeID, at, func(n *node) {
		n.seen(at)
		n.account, n.reported = true, revision
		for i := range changed {
			k := key{changed[i].Type, changed[i].Name}
			if changed[i].Error == "" && n.hears(ResourceRef{k.typ, k.name, changed[i].Version}, func(seen *proof) {
				seen.lacked, seen.applied = false, stamp(changed[i].since(at))
			}) {
				continue
			}
			r := n.record(k)
			if r == nil && changed[i].Version == "" && changed[i].Error == "" {
				continue
			}
			if r == nil {
				r = n.unwanted(k, at)
			}
			n.tell(r, &changed[i], at)
		}
		n.compare(at)
	})
}

// compare holds all that the node told of last against what it acknowledged: time
// alone may have made a dispute of what it still runs.
func (n *node) compare(now time.Time) {
	n.disputeLacked()
	for _, r := range n.resources {
		r.dispute(now)
	}
}

// tell takes one line of a node's account.
func (n *node) tell(r *resource, a *AppliedResource, at time.Time) {
	r.runs(a.Version, a.since(at), at)
	if a.Error != "" && a.ErrorVersion != a.Version {
		r.refuse(refusal{version: a.ErrorVersion, text: words(a.Error), at: at})
	}
	r.dispute(at)
	n.settle(r)
}

// since is since when the node runs what it tells of; at is when that was heard.
func (a *AppliedResource) since(at time.Time) time.Time {
	if a.At.IsZero() {
		return at
	}
	return a.At
}
