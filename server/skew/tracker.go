package skew

import (
	"sort"
	"strings"
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

	// Observe hears how long a push stayed in a stage, once per node, push and
	// stage, and StageConverged once per revision. It is called with the tracker
	// locked: it must not call back, nor block. nil: nobody hears.
	Observe func(stage string, took time.Duration)
}

// The stages of a push that the tracker sees. A control plane that is slow
// shows in the queue, a node that is slow in ack and apply.
const (
	StageQueue     = "queue"     // prepared for the node, until sent
	StageAck       = "ack"       // sent, until acknowledged
	StageApply     = "apply"     // acknowledged, until the node says that it runs it
	StageConverged = "converged" // a revision accepted, until all connected nodes run it
)

func (o Options) withDefaults() Options {
	orDefault(&o.InFlight, 2*time.Second)
	orDefault(&o.Stale, 10*time.Second)
	orDefault(&o.Drift, 2*time.Second)
	orDefault(&o.History, time.Hour)
	orDefault(&o.Transitions, 240)
	orDefault(&o.Connections, 32)
	orDefault(&o.Retention, 7*24*time.Hour)
	if o.Observe == nil {
		o.Observe = func(string, time.Duration) {}
	}
	return o
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Resource is one resource that a node should run.
type Resource struct {
	Type     string   // mesh.TypeListener, ...
	Name     string   // as on the wire
	Version  string   // content hash, hex
	Objects  []string // configuration objects it came from: "VirtualService cinema/catalog"
	Revision uint64   // configuration revision that gave it this content; 0: the one of the call
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
	mu       sync.Mutex
	opt      Options
	seq      uint64
	nodes    map[string]*node
	newest   *mesh.Revision
	accepted []acceptance // by number, ascending, bounded
	open     []acceptance // those that not every connected node runs yet

	lists       map[*Resource]*list   // what nodes should run, by where they begin
	differences map[lists]*difference // since the newest revision came
}

type acceptance struct {
	revision uint64
	at       time.Time
}

// maxAccepted bounds the revisions whose time is remembered.
const maxAccepted = 4096

// New makes an empty tracker.
func New(opt Options) *Tracker {
	return &Tracker{opt: opt.withDefaults(), nodes: make(map[string]*node), lists: map[*Resource]*list{}, differences: map[lists]*difference{}}
}

// Accepted tells of a new revision of the desired configuration.
func (t *Tracker) Accepted(rev mesh.Revision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	if t.newest != nil && rev.Number <= t.newest.Number {
		return
	}
	t.newest = &rev
	clear(t.differences)
	t.accepted = append(t.accepted, acceptance{rev.Number, rev.At})
	t.opened(acceptance{rev.Number, rev.At})
	if len(t.accepted) > maxAccepted {
		t.accepted = append(t.accepted[:0:0], t.accepted[len(t.accepted)-maxAccepted/2:]...)
	}
}

// acceptedAt gives the time of a revision, or otherwise when it is not known. One
// from before those that are remembered, as most are after a restart, counts as the
// first of them: it is at least as old, and so it is as old for every node.
func (t *Tracker) acceptedAt(revision uint64, otherwise time.Time) time.Time {
	i := sort.Search(len(t.accepted), func(i int) bool { return t.accepted[i].revision >= revision })
	if i < len(t.accepted) && (i == 0 || t.accepted[i].revision == revision) {
		return t.accepted[i].at
	}
	return otherwise
}

// change runs f on a node, which is made when it is not known, and then
// records what became of its state.
func (t *Tracker) change(nodeID string, at time.Time, f func(*node)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	n := t.nodes[nodeID]
	if n == nil {
		n = newNode(nodeID, at)
		t.nodes[nodeID] = n
	}
	f(n)
	n.whole = n.whole || n.prepared && !n.lagging()
	n.advance(at, t.opt.Observe)
	n.compact()
	t.record(n, at)
}

// heard runs f on a known node whose stream conn counts; what comes from a
// stream that was replaced is out of date.
func (t *Tracker) heard(nodeID, conn string, at time.Time, f func(*node)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil || conn == "" || n.current() != conn {
		return
	}
	t.seq++
	f(n)
	n.whole = n.whole || n.prepared && !n.lagging()
	n.advance(at, t.opt.Observe)
	n.compact()
	t.record(n, at)
}

// Expected tells of a node that is known from discovery or traffic. Until it
// connects it is never-connected.
func (t *Tracker) Expected(desc mesh.Node, at time.Time) {
	t.change(desc.ID, at, func(n *node) {
		if n.connectedAt.IsZero() {
			n.describe(desc)
		}
	})
}

// Identified tells which certificate a node uses, and why it has no newer one. The
// last one told is kept when the node goes.
func (t *Tracker) Identified(nodeID string, id mesh.Identity, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := id.Failure; f != nil {
		f.Reason, f.Error, f.Remedy = bounded(f.Reason), bounded(f.Error), bounded(f.Remedy)
	}
	if n := t.nodes[nodeID]; n != nil {
		n.identity = &id
		n.seen(at)
	}
}

// maxSaid bounds what is kept of a text that a node tells.
const maxSaid = 1024

func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxSaid)], "")
}

// Lived tells how far a node's sidecar and its application have come, or in which
// order they left.
func (t *Tracker) Lived(nodeID string, life mesh.Life, at time.Time) {
	t.change(nodeID, at, func(n *node) {
		n.seen(at)
		n.lived(life)
	})
}

// Hold tells that a roll-out keeps a node at a revision; 0 lets it go. What it
// should run is then what that revision gives it: a held node is not behind.
func (t *Tracker) Hold(nodeID string, revision uint64, at time.Time) {
	t.mu.Lock()
	held := uint64(0)
	if n := t.nodes[nodeID]; n != nil {
		held = n.held
	}
	t.mu.Unlock()
	if held != revision {
		t.change(nodeID, at, func(n *node) { n.held = revision })
	}
}

// Described adds what a node's agent stream says about it (build, address,
// start): fields that are set replace what was known.
func (t *Tracker) Described(desc mesh.Node, at time.Time) {
	t.change(desc.ID, at, func(n *node) {
		n.describe(desc)
		n.seen(at)
	})
}

// Seen tells that a node gave a sign of life: a heartbeat. It comes on the stream
// of the node's account, and says that what was told there last still holds: an
// account that overtook the acknowledgement is compared with it now.
func (t *Tracker) Seen(nodeID string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil {
		return
	}
	t.seq++
	n.seen(at)
	if n.account && n.lagging() {
		n.compare(at)
		t.record(n, at)
	}
}

// Tick lets time pass: states that depend on age change, and nodes past their
// retention are forgotten. Views do it too; call it every second or so, that
// transitions are recorded while nobody looks.
func (t *Tracker) Tick(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick(at)
}

func (t *Tracker) tick(at time.Time) {
	for id, n := range t.nodes {
		if !n.connected() && at.Sub(latest(n.known, n.lastSeen, n.disconnectedAt)) > t.opt.Retention {
			t.drop(id)
			continue
		}
		t.record(n, at)
	}
	t.converge()
}

// Forget drops a node. It reports whether there was one.
func (t *Tracker) Forget(nodeID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.nodes[nodeID]
	if ok {
		t.drop(nodeID)
	}
	return ok
}

func latest(times ...time.Time) time.Time {
	var l time.Time
	for _, t := range times {
		if t.After(l) {
			l = t
		}
	}
	return l
}
