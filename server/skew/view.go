package skew

import (
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// NodesView is the configuration state of the whole mesh at one time.
type NodesView struct {
	At      time.Time      `json:"at"`
	Epoch   string         `json:"epoch"`
	Seq     uint64         `json:"seq"` // grows with every event that the tracker took
	Desired *mesh.Revision `json:"desired"`
	// UnconvergedSince is when the oldest revision was accepted that not every
	// connected node runs; absent when all run all.
	UnconvergedSince time.Time `json:"unconverged_since,omitzero"`
	Summary          Summary   `json:"summary"`
	Spread           Spread    `json:"spread"`
	// Traffic is what the nodes at each revision handle, newest first; filled by
	// who knows traffic.
	Traffic []RevisionTraffic `json:"traffic,omitempty"`
	Nodes   []NodeStatus      `json:"nodes"` // worst first, then by ID
}

// Summary counts nodes.
type Summary struct {
	Nodes      int             `json:"nodes"`
	Synced     int             `json:"synced"`
	ByState    map[State]int   `json:"by_state"`
	ByRevision []RevisionCount `json:"by_revision"` // newest first
}

// RevisionCount says how many nodes run a revision.
type RevisionCount struct {
	Revision  uint64 `json:"revision"`
	Nodes     int    `json:"nodes"`
	StateNote string `json:"state_note,omitempty"` // "2 rejected, 1 stale": why they are not further
}

// Spread tells how the newest revision reached the nodes that it touched: one
// value per node and stage, in milliseconds after it was accepted, ascending.
type Spread struct {
	Revision   uint64    `json:"revision"`
	AcceptedAt time.Time `json:"accepted_at"`
	SentMS     []float64 `json:"sent_ms"`
	AckedMS    []float64 `json:"acked_ms"`
	AppliedMS  []float64 `json:"applied_ms"`
	Waiting    int       `json:"waiting"` // connected nodes that it touched and that do not run it yet
}

// NodeStatus is the state of one node.
type NodeStatus struct {
	ID       string        `json:"id"`
	Workload mesh.Workload `json:"workload"`
	Kind     string        `json:"kind"`
	Build    string        `json:"build"`
	Address  string        `json:"address,omitempty"`
	PullS    float64       `json:"pull_s,omitempty"` // it asks for its configuration so often; 0: it is told

	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"` // one plain sentence
	// WaitsOn says on whom a change waits that the node lacks: control-plane or
	// node; absent when it lacks none, or is not there to take it.
	WaitsOn string `json:"waits_on,omitempty"`

	Connected      bool      `json:"connected"`
	ConnectedAt    time.Time `json:"connected_at,omitzero"`
	DisconnectedAt time.Time `json:"disconnected_at,omitzero"`
	LastSeen       time.Time `json:"last_seen,omitzero"`
	StartedAt      time.Time `json:"started_at,omitzero"`

	// Disorder says what was wrong with the order in which its sidecar and its
	// application last came or went, for ten minutes.
	Disorder string `json:"disorder,omitempty"`

	// Duplicate says that several streams use this node ID, and whose they are.
	Duplicate string `json:"duplicate,omitempty"`

	Revision uint64  `json:"revision"` // newest revision that it wholly runs; 0 none
	Behind   int     `json:"behind"`   // revisions that changed something it needs and that it does not run
	LagS     float64 `json:"lag_s"`    // since the first of them was accepted; 0 when synced
	Push     Push    `json:"push"`

	History []Transition `json:"history"` // last hour, oldest first; the first may begin before
}

// Push times the last revision that touched a node: milliseconds after it was
// accepted, or after the node connected if that was later.
type Push struct {
	SentMS    *float64 `json:"sent_ms"`
	AckedMS   *float64 `json:"acked_ms"`
	AppliedMS *float64 `json:"applied_ms"`
}

// Transition is the begin of a state.
type Transition struct {
	At       time.Time `json:"at"`
	State    State     `json:"state"`
	Revision uint64    `json:"revision"`
	Note     string    `json:"note,omitempty"`
}

// NodeDetail is a node with its resources and connections.
type NodeDetail struct {
	NodeStatus
	Identity    *mesh.Identity   `json:"identity"`    // its certificate, and why it has no newer one; null when it has none
	Lives       []Life           `json:"lives"`       // its starts and stops, newest first, bounded
	Resources   []ResourceStatus `json:"resources"`   // worst first, then by type and name
	Connections []Connection     `json:"connections"` // oldest first, bounded
}

// Connection is one configuration stream of a node.
type Connection struct {
	ConnectedAt    time.Time `json:"connected_at"`
	DisconnectedAt time.Time `json:"disconnected_at,omitzero"`
	Peer           string    `json:"peer,omitempty"` // address of the other end
	Reason         string    `json:"reason,omitempty"`
}

// ResourceStatus is one resource of one node. Versions are the first twelve
// hex digits of the content hash, "" for none; a resource whose desired
// version is "" is to be removed.
type ResourceStatus struct {
	Type      string    `json:"type"` // listener | route | cluster | endpoint
	Name      string    `json:"name"`
	Desired   string    `json:"desired"`
	Sent      string    `json:"sent"`
	Acked     string    `json:"acked"`
	Applied   string    `json:"applied"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	AckedAt   time.Time `json:"acked_at,omitzero"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
	State     State     `json:"state"`
	Error     string    `json:"error,omitempty"`
	Objects   []string  `json:"objects"` // "VirtualService cinema/catalog"
}
