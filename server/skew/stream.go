package skew

import (
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Connected tells that a node opened its configuration stream. conn names the
// stream and is unique in the tracker's life. When the node has another stream
// already, the newest counts and this is noted.
func (t *Tracker) Connected(desc mesh.Node, conn string, at time.Time) {
	t.change(desc.ID, at, func(n *node) {
		n.describe(desc)
		n.seen(at)
		if slices.ContainsFunc(n.streams, func(s stream) bool { return s.conn == conn }) {
			return
		}
		n.streams = append(n.streams, stream{conn, at})
		n.connections = append(n.connections, connection{conn, Connection{ConnectedAt: at}})
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
		n.push.base, n.push.late = at, true
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

// Desired sets all that a node should run at a revision. The caller calls it
// for every known node after every accepted revision, also when nothing
// changed for that node (the same slice costs nothing): only so is it known
// that the node needs nothing of that revision. It may come before Connected.
func (t *Tracker) Desired(nodeID string, revision uint64, res []Resource, at time.Time) {
	t.change(nodeID, at, func(n *node) {
		same := n.prepared && len(res) == len(n.given) && (len(res) == 0 || &res[0] == &n.given[0])
		n.checked, n.prepared = revision, true
		if same {
			return
		}
		n.given = res
		changed, newest := t.want(n, revision, res, at)
		if len(changed) == 0 {
			return
		}
		if n.push.revision != newest {
			accepted := t.acceptedAt(newest, at)
			n.push = push{revision: newest, base: latest(accepted, n.connectedAt), late: n.connectedAt.After(accepted)}
		}
		n.push.resources = append(n.push.resources, changed...)
		n.push.sent, n.push.acked, n.push.applied = time.Time{}, time.Time{}, time.Time{}
	})
}

// want compares res with what was wanted. It gives the resources that differ
// and the newest revision that made one differ.
func (t *Tracker) want(n *node, revision uint64, res []Resource, at time.Time) (changed []*resource, newest uint64) {
	set := func(r *resource, version string, by uint64) {
		r.want(want{version, by, latest(t.acceptedAt(by, at), n.known)})
		newest = max(newest, by)
		changed = append(changed, r)
		n.settle(r)
	}
	wanted := make(map[key]struct{}, len(res))
	for i := range res {
		k := key{res[i].Type, res[i].Name}
		wanted[k] = struct{}{}
		r := n.resources[k]
		if r == nil {
			r = &resource{key: k}
			n.resources[k] = r
		}
		r.objects = res[i].Objects
		if len(r.wants) == 0 || r.desired().version != res[i].Version {
			by := res[i].Revision
			if by == 0 {
				by = revision
			}
			set(r, res[i].Version, by)
		}
	}
	for k, r := range n.resources {
		if _, ok := wanted[k]; !ok && (len(r.wants) == 0 || r.desired().version != "") {
			set(r, "", revision)
		}
	}
	return changed, newest
}

// Holds tells what a node said on connecting that it has already
// (initial_resource_versions): it counts as sent and acknowledged.
func (t *Tracker) Holds(nodeID, conn string, refs []ResourceRef, at time.Time) {
	t.heard(nodeID, conn, at, func(n *node) {
		n.seen(at)
		for _, ref := range refs {
			r := n.resources[key{ref.Type, ref.Name}]
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
	n.resources[k] = r
	return r
}

// Sent tells that a response with these resources was handed to the stream.
// nonce is unique within conn.
func (t *Tracker) Sent(nodeID, conn, nonce string, refs []ResourceRef, at time.Time) {
	t.heard(nodeID, conn, at, func(n *node) {
		n.wait(nonce, refs)
		for _, ref := range refs {
			if r := n.resources[key{ref.Type, ref.Name}]; r != nil {
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
			if r := n.resources[key{ref.Type, ref.Name}]; r != nil {
				n.ack(r, ref.Version, at)
				n.settle(r)
			}
		}
	})
}

func (n *node) ack(r *resource, version string, at time.Time) {
	r.acked, r.ackedAt, r.disputed = version, at, time.Time{}
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
			r := n.resources[key{ref.Type, ref.Name}]
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
		told := make(map[key]struct{}, len(res))
		for i := range res {
			k := key{res[i].Type, res[i].Name}
			told[k] = struct{}{}
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

// tell takes one line of a node's account.
func (n *node) tell(r *resource, a *AppliedResource, at time.Time) {
	since := a.At
	if since.IsZero() {
		since = at
	}
	r.runs(a.Version, since, at)
	if a.Error != "" && a.ErrorVersion != a.Version {
		r.refuse(refusal{version: a.ErrorVersion, text: words(a.Error), at: at})
	}
	r.dispute(at)
	n.settle(r)
}
