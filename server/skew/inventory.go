package skew

import (
	"cmp"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Bounds of what is remembered over a restart.
const (
	keptNodes       = 10_000
	keptTransitions = 48 // of a node
	keptConnections = 8
)

// Kept is what is remembered of a node over a restart of the server. What it
// was sent and acknowledged is not: its next stream says what it holds.
type Kept struct {
	Node        mesh.Node    `json:"node"`
	Known       time.Time    `json:"known"`
	LastSeen    time.Time    `json:"last_seen,omitzero"`
	ConnectedAt time.Time    `json:"connected_at,omitzero"`
	GoneAt      time.Time    `json:"gone_at,omitzero"` // zero: it was connected
	Revision    uint64       `json:"revision"`
	State       State        `json:"state"`
	Since       time.Time    `json:"since"`
	History     []Transition `json:"history"`
	Connections []Connection `json:"connections"`
}

// Inventory is what a later tracker needs to know the same nodes. Seq tells
// whether anything happened since another one was taken.
func (t *Tracker) Inventory(at time.Time) (nodes []Kept, seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick(at)
	nodes = make([]Kept, 0, len(t.nodes))
	for _, n := range t.nodes {
		k := Kept{
			Node: n.Node, Known: n.known, LastSeen: n.lastSeen, ConnectedAt: n.connectedAt, GoneAt: n.disconnectedAt,
			Revision: n.runsRevision(), State: n.state, Since: n.since,
			History: slices.Clone(n.history[max(len(n.history)-keptTransitions, 0):]),
		}
		for _, c := range n.connections[max(len(n.connections)-keptConnections, 0):] {
			k.Connections = append(k.Connections, c.Connection)
		}
		nodes = append(nodes, k)
	}
	slices.SortFunc(nodes, func(a, b Kept) int { // the longest unheard of go first
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.Node.ID, b.Node.ID))
	})
	return nodes[:min(len(nodes), keptNodes)], t.seq
}

// Seq grows with every event.
func (t *Tracker) Seq() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seq
}

// Restore makes known what an earlier tracker knew until saved. A node that
// was connected then is disconnected since, until it comes back.
func (t *Tracker) Restore(nodes []Kept, saved, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range nodes {
		if k.Node.ID == "" || t.nodes[k.Node.ID] != nil {
			continue
		}
		n := newNode(k.Node.ID, k.Known)
		n.Node, n.lastSeen, n.connectedAt, n.disconnectedAt = k.Node, k.LastSeen, k.ConnectedAt, k.GoneAt
		n.reported, n.state, n.since, n.history = k.Revision, k.State, k.Since, k.History
		for _, c := range k.Connections {
			if c.DisconnectedAt.IsZero() {
				c.DisconnectedAt, c.Reason = saved, "the server stopped"
			}
			n.connections = append(n.connections, connection{Connection: c})
		}
		if !n.connectedAt.IsZero() && n.disconnectedAt.IsZero() {
			n.disconnectedAt = saved
		}
		t.nodes[k.Node.ID] = n
		t.record(n, at)
	}
	t.seq++
}
