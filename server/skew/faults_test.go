package skew

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// fault is one way to go wrong: what the node does not do, when that is to be
// named, and in which words.
type fault struct {
	name   string
	state  State
	reason string
	since  time.Time // from when on it is to be in that state; a new revision is a new chance
}

// faultyFleet is 500 nodes of which some go wrong, each at a time of its own.
type faultyFleet struct {
	*testing.T
	tr    *Tracker
	rng   *rand.Rand
	now   time.Time
	rev   uint64
	nonce int
	fault map[string]*fault // by node; absent: healthy
	begin map[string]uint64 // revision at which it goes wrong
	sound int               // pushes to nodes that were healthy all the time
}

const fleetInterval = time.Second // the server lets time pass and shows its views so often

func (f *faultyFleet) resources() []Resource {
	return []Resource{
		{Type: mesh.TypeCluster, Name: "catalog", Version: "c1", Revision: 1},
		{Type: mesh.TypeRoute, Name: "outbound", Version: fmt.Sprint("r", f.rev), Revision: f.rev},
	}
}

// push carries one revision to a node as far as its fault lets it.
func (f *faultyFleet) push(id string, parts [][]Resource, at time.Time) {
	bad := f.fault[id]
	if bad != nil && f.rev < f.begin[id] {
		bad = nil
	}
	route := parts[1][0]
	conn := "stream-" + id
	is := func(name string) bool { return bad != nil && bad.name == name }
	if is("never connects") {
		return
	}
	f.tr.Desired(id, f.rev, parts, at)
	if is("disconnects") {
		if bad.since.IsZero() {
			bad.since = at
			f.tr.Disconnected(id, conn, "connection reset by peer", at)
		}
		return
	}
	f.nonce++
	nonce := fmt.Sprint(f.nonce)
	sent := at.Add(f.upTo(200 * time.Millisecond))
	if is("stalls") {
		if bad.since.IsZero() { // the first that it does not answer
			bad.since = f.now.Add(10 * time.Second)
			f.tr.Sent(id, conn, nonce, []ResourceRef{{route.Type, route.Name, route.Version}}, sent)
		}
		return
	}
	f.tr.Sent(id, conn, nonce, []ResourceRef{{route.Type, route.Name, route.Version}}, sent)
	answered := sent.Add(f.upTo(300 * time.Millisecond))
	if is("refuses") {
		bad.since = answered
		f.tr.Nacked(id, conn, nonce, "route outbound: weights are over this sidecar's limit", answered)
		return
	}
	f.tr.Acked(id, conn, nonce, answered)
	runs, applied := route.Version, answered.Add(f.upTo(200*time.Millisecond))
	if is("drifts") {
		if bad.since.IsZero() {
			bad.since = applied.Add(2 * time.Second)
		}
		runs = fmt.Sprint("r", f.begin[id]-1)
	}
	f.tr.Applied(id, []AppliedResource{
		{Type: mesh.TypeCluster, Name: "catalog", Version: "c1"}, {Type: mesh.TypeRoute, Name: "outbound", Version: runs},
	}, f.rev, applied)
	if f.fault[id] == nil {
		f.sound++
	}
}

func (f *faultyFleet) upTo(d time.Duration) time.Duration {
	return time.Duration(f.rng.Int64N(int64(d)))
}

// look holds every node of a view to what is known of it.
func (f *faultyFleet) look(named map[string]int) {
	f.Helper()
	for _, n := range f.tr.View(f.now).Nodes {
		bad := f.fault[n.ID]
		if bad == nil || bad.since.IsZero() {
			if n.State != Synced && n.State != InFlight {
				f.Fatalf("false alarm: healthy %s is %s: %s", n.ID, n.State, n.Reason)
			}
			continue
		}
		switch {
		case f.now.After(bad.since) && n.State == bad.state && strings.Contains(n.Reason, bad.reason):
			named[bad.name]++
		case f.now.After(bad.since):
			f.Fatalf("%s %s, since %s ago: got %s (%s), want %s (%s)", n.ID, bad.name, f.now.Sub(bad.since), n.State, n.Reason, bad.state, bad.reason)
		case n.State != bad.state && n.State != InFlight && n.State != Slow:
			f.Fatalf("%s %s, in %s: got %s (%s)", n.ID, bad.name, bad.since.Sub(f.now), n.State, n.Reason)
		}
	}
}

// Of 500 nodes a fifth goes wrong, in five ways, at random times among random
// delays. Each is named with its state and reason in the first view after it
// counts as wrong, and in each later one; nobody else ever is.
func TestFaultsAreNamed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := &faultyFleet{
		T: t, tr: New(Options{}), rng: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC),
		fault: map[string]*fault{}, begin: map[string]uint64{},
	}
	kinds := []fault{
		{name: "stalls", state: Stale, reason: "no a"}, // no acknowledgement; or, of an earlier push, no answer
		{name: "refuses", state: Rejected, reason: "refused route outbound: weights are over this sidecar's limit"},
		{name: "disconnects", state: Disconnected, reason: "connection reset by peer"},
		{name: "never connects", state: NeverConnected, reason: "has never connected to this server"},
		{name: "drifts", state: Drifted, reason: "still runs revision"},
	}
	const nodes, revisions = 500, 28
	f.rev = 1
	f.tr.Accepted(mesh.Revision{Number: 1, At: f.now})
	first := parts(f.resources())
	lists := [][]Resource{first[0], first[3]}
	var ids []string
	for i := range nodes {
		id := fmt.Sprintf("node-%03d", i)
		ids = append(ids, id)
		if f.rng.IntN(5) == 0 {
			kind := kinds[f.rng.IntN(len(kinds))]
			f.fault[id], f.begin[id] = &kind, uint64(2+f.rng.IntN(revisions/2))
			if kind.name == "never connects" {
				f.fault[id].since, f.begin[id] = f.now, 0
				f.tr.Expected(mesh.Node{ID: id}, f.now)
				continue
			}
		}
		f.tr.Connected(mesh.Node{ID: id, Build: "1.0", StartedAt: f.now}, "stream-"+id, "10.0.0.1:1", f.now)
		f.push(id, lists, f.now)
	}
	named := map[string]int{}
	for f.rev < revisions {
		for range 2 + f.rng.IntN(4) { // between changes
			f.now = f.now.Add(fleetInterval)
			f.look(named)
		}
		f.rev++
		f.tr.Accepted(mesh.Revision{Number: f.rev, At: f.now})
		next := parts(f.resources())
		lists = [][]Resource{lists[0], next[3]}
		f.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for _, id := range ids {
			f.push(id, lists, f.now.Add(f.upTo(100*time.Millisecond)))
		}
	}
	for range 15 {
		f.now = f.now.Add(fleetInterval)
		f.look(named)
	}
	for _, k := range kinds {
		if named[k.name] == 0 {
			t.Errorf("no node that %s was ever named", k.name)
		}
	}
	if f.sound < 10_000 {
		t.Errorf("%d pushes to healthy nodes, want 10,000 without a false alarm", f.sound)
	}
	t.Logf("named, times a view: %v; %d pushes to healthy nodes", named, f.sound)
}
