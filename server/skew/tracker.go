package skew

import (
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options set the tracker's thresholds and bounds. Zero values mean the
// defaults.
type Options struct {
	Epoch string // names this run of the server; views carry it

	InFlight time.Duration // up to here a change is in flight; 2 s
	Stale    time.Duration // from here it is stale, between the two slow; 10 s
	Drift    time.Duration // how long ACK and account may differ; 2 s

	History     time.Duration // transitions are kept this long; 1 h
	Transitions int           // and at most this many per node; 240
	Connections int           // connections kept per node; 32
	Retention   time.Duration // a node without a stream is forgotten after this; 7 days
}

// Resource is one resource that a node should run.
type Resource struct {
	Type     string   // mesh.TypeListener, ...
	Name     string   // as on the wire
	Version  string   // content hash, hex
	Objects  []string // configuration objects it came from: "VirtualService cinema/catalog"
	Revision uint64   // configuration revision that gave it this content
}

// ResourceRef names one version of a resource. Version "" is its removal.
type ResourceRef struct {
	Type    string
	Name    string
	Version string
}

// AppliedResource is one resource in a node's own account of what it runs.
type AppliedResource struct {
	Type         string
	Name         string
	Version      string // that runs; "" when none does
	At           time.Time
	Error        string // why ErrorVersion was refused; Version then runs on
	ErrorVersion string
}

// Tracker follows all nodes. All methods are safe for concurrent use and take
// their time from the caller. It keeps the slices that it is given: callers do
// not change them afterwards.
type Tracker struct {
	mu  sync.Mutex
	opt Options
}

// New makes an empty tracker.
func New(opt Options) *Tracker { return &Tracker{opt: opt} }

// Accepted tells of a new revision of the desired configuration.
func (t *Tracker) Accepted(rev mesh.Revision) {}

// Desired sets all that a node should run at a revision. The caller calls it
// for every known node after every accepted revision, also when nothing
// changed for that node (the same slice costs nothing): only so is it known
// that the node needs nothing of that revision. It may come before Connected.
func (t *Tracker) Desired(nodeID string, revision uint64, res []Resource, at time.Time) {}

// Expected tells of a node that is known from discovery or traffic. Until it
// connects it is never-connected.
func (t *Tracker) Expected(node mesh.Node, at time.Time) {}

// Connected tells that a node opened its configuration stream. conn names the
// stream and is unique in the tracker's life. When the node has another stream
// already, the newest counts and this is noted.
func (t *Tracker) Connected(node mesh.Node, conn string, at time.Time) {}

// Described adds what a node's agent stream says about it (build, address,
// start): fields that are set replace what was known.
func (t *Tracker) Described(node mesh.Node, at time.Time) {}

// Seen tells that a node gave a sign of life: a heartbeat.
func (t *Tracker) Seen(nodeID string, at time.Time) {}

// Disconnected tells that a node's stream ended.
func (t *Tracker) Disconnected(nodeID, conn, reason string, at time.Time) {}

// Holds tells what a node said on connecting that it has already
// (initial_resource_versions): it counts as sent and acknowledged.
func (t *Tracker) Holds(nodeID, conn string, refs []ResourceRef, at time.Time) {}

// Sent tells that a response with these resources was handed to the stream.
// nonce is unique within conn.
func (t *Tracker) Sent(nodeID, conn, nonce string, refs []ResourceRef, at time.Time) {}

// Acked tells that a node accepted the response.
func (t *Tracker) Acked(nodeID, conn, nonce string, at time.Time) {}

// Nacked tells that a node refused the response. message is its own words,
// "TYPE NAME: reason; ...": the resources it names are refused, the others of
// that response are held back with them.
func (t *Tracker) Nacked(nodeID, conn, nonce, message string, at time.Time) {}

// Applied takes a node's own whole account of what it runs.
func (t *Tracker) Applied(nodeID string, res []AppliedResource, revision uint64, at time.Time) {}

// Tick lets time pass: states that depend on age change, and nodes past their
// retention are forgotten. Views do it too; call it every second or so, that
// transitions are recorded while nobody looks.
func (t *Tracker) Tick(at time.Time) {}

// Forget drops a node. It reports whether there was one.
func (t *Tracker) Forget(nodeID string) bool { return false }

// View gives all nodes.
func (t *Tracker) View(at time.Time) NodesView { return NodesView{At: at} }

// Node gives one node with its resources.
func (t *Tracker) Node(nodeID string, at time.Time) (NodeDetail, bool) { return NodeDetail{}, false }

// History gives a node's transitions of the last window, oldest first; the
// first may begin before.
func (t *Tracker) History(nodeID string, window time.Duration, at time.Time) ([]Transition, bool) {
	return nil, false
}
