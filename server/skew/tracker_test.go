package skew

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// lab drives a tracker on a clock of its own.
type lab struct {
	*testing.T
	tr    *Tracker
	start time.Time
	now   time.Time
	res   map[string]Resource
	nonce int
}

func newLab(t *testing.T) *lab {
	start := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	return &lab{T: t, tr: New(Options{Epoch: "e1"}), start: start, now: start, res: map[string]Resource{}}
}

func (l *lab) pass(d time.Duration) *lab {
	for end := l.now.Add(d); l.now.Before(end); {
		l.now = l.now.Add(min(end.Sub(l.now), 500*time.Millisecond))
		l.tr.Tick(l.now)
	}
	return l
}

// revise accepts a revision that gives resources new versions ("" removes) and
// prepares it for the nodes.
func (l *lab) revise(number uint64, change map[string]string, nodes ...string) {
	l.accept(number)
	for name, version := range change {
		typ, name, _ := strings.Cut(name, " ")
		if version == "" {
			delete(l.res, name)
			continue
		}
		l.res[name] = Resource{Type: typ, Name: name, Version: version, Revision: number, Objects: []string{"VirtualService cinema/" + name}}
	}
	for _, n := range nodes {
		l.tr.Desired(n, number, parts(l.all()), l.now)
	}
}

func (l *lab) accept(number uint64) {
	l.tr.Accepted(mesh.Revision{Number: number, At: l.now, Objects: []mesh.Change{}})
}

func (l *lab) all() []Resource {
	var out []Resource
	for _, r := range l.res {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Resource) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// parts gives resources as lists of one type each.
func parts(all []Resource) [][]Resource {
	out := make([][]Resource, 4)
	for _, r := range all {
		i := slices.Index([]string{mesh.TypeCluster, mesh.TypeEndpoint, mesh.TypeListener, mesh.TypeRoute}, r.Type)
		out[max(i, 0)] = append(out[max(i, 0)], r)
	}
	return out
}

func (l *lab) connect(id, conn string) {
	l.tr.Connected(mesh.Node{ID: id, Build: "1.0", StartedAt: l.start}, conn, "", l.now)
}

// send hands all desired resources to a stream and gives the nonce.
func (l *lab) send(id, conn string) string {
	l.nonce++
	nonce := fmt.Sprint(l.nonce)
	var refs []ResourceRef
	for _, r := range l.all() {
		refs = append(refs, ResourceRef{r.Type, r.Name, r.Version})
	}
	l.tr.Sent(id, conn, nonce, refs, l.now)
	return nonce
}

func (l *lab) ack(id, conn string)  { l.tr.Acked(id, conn, l.send(id, conn), l.now) }
func (l *lab) push(id, conn string) { l.ack(id, conn); l.apply(id, l.tr.newest.Number) }

// apply sends the node's account: all desired versions, but for the overrides.
func (l *lab) apply(id string, revision uint64, override ...AppliedResource) {
	var res []AppliedResource
	for _, r := range l.all() {
		a := AppliedResource{Type: r.Type, Name: r.Name, Version: r.Version, At: l.now}
		if i := slices.IndexFunc(override, func(o AppliedResource) bool { return o.Name == r.Name }); i >= 0 {
			a = override[i]
			a.Type = r.Type
		}
		res = append(res, a)
	}
	l.tr.Applied(id, res, revision, l.now)
}

func (l *lab) want(id string, state State, reason string) NodeStatus {
	l.Helper()
	d, ok := l.tr.Node(id, l.now)
	if !ok {
		l.Fatalf("node %s is not known", id)
	}
	if d.State != state || !strings.Contains(d.Reason, reason) {
		l.Fatalf("node %s at +%s: got %s %q, want %s %q", id, l.now.Sub(l.start), d.State, d.Reason, state, reason)
	}
	return d.NodeStatus
}

func TestStates(t *testing.T) {
	const n, c = "tickets-1", "c1"
	payments := "outbound|8443||payments.cinema.svc.cluster.local"
	tests := map[string]func(l *lab){
		"healthy push": func(l *lab) {
			l.want(n, Synced, "runs all that it needs of revision 41")
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			s := l.want(n, InFlight, "revision 42 is about to be sent")
			if s.Revision != 41 || s.Behind != 1 {
				l.Errorf("got revision %d behind %d, want 41 and 1", s.Revision, s.Behind)
			}
			l.pass(300 * time.Millisecond)
			nonce := l.send(n, c)
			l.pass(100 * time.Millisecond)
			l.want(n, InFlight, "revision 42 was sent 100 ms ago")
			l.tr.Acked(n, c, nonce, l.now)
			l.pass(50 * time.Millisecond)
			l.apply(n, 42)
			s = l.want(n, Synced, "revision 42")
			if got := []float64{*s.Push.SentMS, *s.Push.AckedMS, *s.Push.AppliedMS}; !slices.Equal(got, []float64{300, 400, 450}) {
				l.Errorf("push got %v, want sent 300, acked 400, applied 450", got)
			}
			if s.Revision != 42 || s.Behind != 0 || s.LagS != 0 {
				l.Errorf("got revision %d behind %d lag %v", s.Revision, s.Behind, s.LagS)
			}
		},
		"applied is heard before the ACK": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			nonce := l.send(n, c)
			l.apply(n, 42)
			l.want(n, Synced, "")
			l.pass(100 * time.Millisecond)
			l.tr.Acked(n, c, nonce, l.now)
			l.pass(20 * time.Second)
			l.want(n, Synced, "")
		},
		"no acknowledgement": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.send(n, c)
			l.pass(3 * time.Second)
			if s := l.want(n, Slow, "no acknowledgement for revision 42 for 3 s; the stream is up"); s.WaitsOn != OnNode {
				l.Errorf("waits on %q, want the node", s.WaitsOn)
			}
			l.pass(22 * time.Second)
			s := l.want(n, Stale, "no acknowledgement for revision 42 for 25 s; the stream is up")
			if s.LagS != 25 {
				l.Errorf("lag got %v, want 25", s.LagS)
			}
		},
		"an earlier push unanswered": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.send(n, c)
			l.pass(8 * time.Second)
			l.revise(43, map[string]string{"route outbound": "r3"}, n)
			l.pass(12 * time.Second)
			s := l.want(n, Stale, "no answer for 20 s to a push of route outbound, so revision 43 waits; the stream is up")
			if s.LagS != 20 || s.Behind != 2 {
				l.Errorf("lag got %v, behind %d, want 20 and 2", s.LagS, s.Behind)
			}
		},
		"never sent": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.pass(12 * time.Second)
			if s := l.want(n, Stale, "revision 42 has not been sent for 12 s: it waits in the control plane"); s.WaitsOn != OnControlPlane {
				l.Errorf("waits on %q, want the control plane", s.WaitsOn)
			}
		},
		"acknowledged, no account after": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.ack(n, c)
			l.pass(6 * time.Second)
			l.want(n, Slow, "acknowledged revision 42 but still runs revision 41 of route outbound (6 s)")
			l.pass(5 * time.Second)
			l.want(n, Stale, "acknowledged revision 42 but still runs revision 41 of route outbound (11 s)")
		},
		"account after the ACK disagrees": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.ack(n, c)
			l.apply(n, 41, AppliedResource{Name: "outbound", Version: "r1"})
			l.pass(1500 * time.Millisecond)
			l.want(n, InFlight, "")
			l.pass(4500 * time.Millisecond)
			l.want(n, Drifted, "acknowledged revision 42 but still runs revision 41 of route outbound (6 s)")
			l.apply(n, 42)
			l.want(n, Synced, "")
		},
		"drifts, and its account overtakes each acknowledgement": func(l *lab) {
			for rev := range uint64(3) {
				l.revise(42+rev, map[string]string{"route outbound": fmt.Sprint("r", 2+rev)}, n)
				nonce := l.send(n, c)
				l.tr.AppliedSince(n, nil, 41, l.now)
				l.tr.Acked(n, c, nonce, l.now)
				l.pass(4 * time.Second)
				l.tr.Seen(n, l.now) // the account stands
				l.pass(4 * time.Second)
			}
			l.want(n, Drifted, "acknowledged revision 44 but still runs revision 41 of route outbound (8 s)")
		},
		"drifts by itself": func(l *lab) {
			l.pass(time.Hour)
			l.apply(n, 41, AppliedResource{Name: "outbound", Version: "zzz"})
			l.pass(3 * time.Second)
			s := l.want(n, Drifted, "runs another version of route outbound")
			if s.LagS != 3 || s.Behind != 1 || s.Revision != 40 {
				l.Errorf("got lag %v behind %d revision %d, want 3, 1 and 40", s.LagS, s.Behind, s.Revision)
			}
		},
		"refused": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2", "cluster " + payments: "p2"}, n)
			nonce := l.send(n, c)
			l.tr.Nacked(n, c, nonce, "cluster "+payments+": connect timeout must be positive; got -5 s.", l.now)
			l.want(n, Rejected, "refused cluster "+payments+": connect timeout must be positive; got -5 s; revision 41 runs on (and 1 more")
			l.pass(30 * time.Minute)
			l.want(n, Rejected, "revision 41 runs on")
			d, _ := l.tr.Node(n, l.now)
			if d.Resources[1].Error != "held back: it came with a resource that was refused" {
				l.Errorf("the other resource says %q", d.Resources[1].Error)
			}
			l.revise(43, map[string]string{"cluster " + payments: "p3"}, n)
			l.want(n, Rejected, "held back")
			l.push(n, c)
			l.want(n, Synced, "revision 43")
		},
		"refused, then mended half an hour later": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.tr.Nacked(n, c, l.send(n, c), "no", l.now)
			l.pass(30 * time.Minute)
			l.revise(43, map[string]string{"route outbound": "r3"}, n)
			s := l.want(n, InFlight, "revision 43 is about to be sent")
			if s.LagS != 1800 || s.Behind != 2 || !s.Since.Equal(l.now) {
				l.Errorf("lag %v, behind %d, since %v; it has lacked revision 42 for half an hour", s.LagS, s.Behind, s.Since)
			}
			l.pass(11 * time.Second)
			l.want(n, Stale, "revision 43 has not been sent for 11 s")
		},
		"refused, then reverted": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.tr.Nacked(n, c, l.send(n, c), "garbage without a name", l.now)
			l.want(n, Rejected, "refused route outbound: garbage without a name; revision 41 runs on")
			l.revise(43, map[string]string{"route outbound": "r1"}, n)
			s := l.want(n, Synced, "revision 43")
			if s.Behind != 0 {
				l.Errorf("behind %d, want 0", s.Behind)
			}
		},
		"refused by its own account": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.ack(n, c)
			l.apply(n, 41, AppliedResource{Name: "outbound", Version: "r1", Error: "no such cluster", ErrorVersion: "r2"})
			l.want(n, Rejected, "refused route outbound: no such cluster")
		},
		"unsupported": func(l *lab) {
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.tr.Nacked(n, c, l.send(n, c), "route outbound: mirror is not supported by this build", l.now)
			l.want(n, Unsupported, "cannot run route outbound: mirror is not supported by this build")
		},
		"removal": func(l *lab) {
			l.revise(42, map[string]string{"listener inbound_127.0.0.1:15006": ""}, n)
			l.want(n, InFlight, "revision 42")
			l.apply(n, 42)
			l.want(n, Synced, "")
			if d, _ := l.tr.Node(n, l.now); len(d.Resources) != 1 {
				l.Errorf("got %d resources, want the removed one gone: %v", len(d.Resources), d.Resources)
			}
		},
		"a revision that changes nothing here": func(l *lab) {
			l.accept(42)
			s := l.want(n, InFlight, "revision 42 is not prepared")
			if s.Revision != 41 {
				l.Errorf("runs %d, want 41", s.Revision)
			}
			l.tr.Desired(n, 42, parts(l.all()), l.now)
			if s := l.want(n, Synced, "revision 42"); s.Revision != 42 || s.Push.AppliedMS == nil {
				l.Errorf("got %+v", s)
			}
			for _, h := range l.want(n, Synced, "").History {
				if h.State == InFlight && h.Revision == 41 {
					l.Errorf("history has the moment of preparation: %v", h)
				}
			}
			l.accept(43)
			l.pass(11 * time.Second)
			l.want(n, Stale, "revision 43 is not prepared for this node yet (11 s)")
		},
		"disconnected": func(l *lab) {
			l.tr.Disconnected(n, c, "connection reset by peer", l.now)
			l.pass(3 * time.Minute)
			s := l.want(n, Disconnected, "disconnected for 3 min (connection reset by peer); last known to run revision 41")
			if s.Connected || !s.Since.Equal(l.start) {
				l.Errorf("got %+v", s)
			}
		},
		"changes while away count when it is back": func(l *lab) {
			l.tr.Disconnected(n, c, "EOF", l.now)
			l.pass(time.Minute)
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.pass(time.Minute)
			l.connect(n, "c2")
			s := l.want(n, InFlight, "revision 42")
			if s.LagS != 60 || s.Revision != 41 {
				l.Errorf("lag %v revision %d, want 60 and 41", s.LagS, s.Revision)
			}
			l.push(n, "c2")
			if v := l.tr.View(l.now); len(v.Spread.AppliedMS) != 0 {
				l.Errorf("a node that was away is in the spread: %v", v.Spread)
			}
		},
		"reconnects holding everything": func(l *lab) {
			l.tr.Disconnected(n, c, "EOF", l.now)
			l.connect(n, "c2")
			var refs []ResourceRef
			for _, r := range l.all() {
				refs = append(refs, ResourceRef{r.Type, r.Name, r.Version})
			}
			l.tr.Holds(n, "c2", refs, l.now)
			l.want(n, Synced, "")
			d, _ := l.tr.Node(n, l.now)
			if d.Resources[0].Acked != d.Resources[0].Desired || len(d.Connections) != 2 {
				l.Errorf("got %+v %+v", d.Resources[0], d.Connections)
			}
		},
		"a new process runs nothing until it says so": func(l *lab) {
			l.tr.Disconnected(n, c, "EOF", l.now)
			l.tr.Connected(mesh.Node{ID: n, Build: "1.1", StartedAt: l.now.Add(time.Second)}, "c2", "", l.now)
			if s := l.want(n, InFlight, ""); s.Revision != 0 {
				l.Errorf("runs %d, want 0", s.Revision)
			}
			l.push(n, "c2")
			l.want(n, Synced, "revision 41")
		},
		"two streams with one ID": func(l *lab) {
			l.connect(n, "c2")
			l.push(n, "c2")
			l.want(n, Synced, "2 streams use this node ID")
			l.revise(42, map[string]string{"route outbound": "r2"}, n)
			l.ack(n, c) // the older one's answer does not count
			l.want(n, InFlight, "about to be sent")
			l.tr.Disconnected(n, c, "EOF", l.now)
			l.push(n, "c2")
			if s := l.want(n, Synced, ""); strings.Contains(s.Reason, "streams") {
				l.Errorf("still says %q", s.Reason)
			}
		},
		"never connected": func(l *lab) {
			l.tr.Expected(mesh.Node{ID: "seats-1", Workload: mesh.Workload{Namespace: "cinema", Name: "seats"}}, l.now)
			l.pass(10 * time.Minute)
			s := l.want("seats-1", NeverConnected, "expected for 10 min, but it has never connected to this server")
			if s.Workload.Name != "seats" {
				l.Errorf("workload %+v", s.Workload)
			}
			l.connect("seats-1", "s1")
			l.want("seats-1", InFlight, "its configuration is not prepared yet")
		},
		"prepared before it connects": func(l *lab) {
			l.tr.Desired("seats-1", 41, parts(l.all()), l.now)
			l.connect("seats-1", "s1")
			if h := l.want("seats-1", InFlight, "").History; len(h) != 1 {
				l.Errorf("a state that took no time is in the history: %v", h)
			}
		},
		"an agent alone": func(l *lab) {
			l.tr.Described(mesh.Node{ID: "seats-1"}, l.now)
			l.want("seats-1", NeverConnected, "its agent reports, but in 0 ms it has never asked")
		},
		"forgotten after the retention only": func(l *lab) {
			l.tr.Disconnected(n, c, "EOF", l.now)
			l.now = l.now.Add(6 * 24 * time.Hour)
			l.want(n, Disconnected, "6 days")
			l.now = l.now.Add(2 * 24 * time.Hour)
			if v := l.tr.View(l.now); len(v.Nodes) != 0 {
				l.Errorf("got %d nodes after the retention", len(v.Nodes))
			}
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.revise(41, map[string]string{"route outbound": "r1", "listener inbound_127.0.0.1:15006": "l1"})
			l.connect(n, c)
			l.tr.Desired(n, 41, parts(l.all()), l.now)
			l.push(n, c)
			f(l)
		})
	}
}

// A proxy without an agent stream (an Envoy) says nothing but ACK.
func TestWithoutAgentAnACKCounts(t *testing.T) {
	l := newLab(t)
	l.revise(1, map[string]string{"route outbound": "r1"})
	l.tr.Connected(mesh.Node{ID: "envoy"}, "c", "", l.now)
	l.tr.Desired("envoy", 1, parts(l.all()), l.now)
	l.ack("envoy", "c")
	l.want("envoy", Synced, "")
}

func TestHistoryKeepsExactTimes(t *testing.T) {
	l := newLab(t)
	l.revise(1, map[string]string{"route outbound": "r1"})
	l.connect("a", "c")
	l.tr.Desired("a", 1, parts(l.all()), l.now)
	l.push("a", "c")
	l.pass(time.Minute)
	accepted := l.now
	l.revise(2, map[string]string{"route outbound": "r2"}, "a")
	l.pass(30 * time.Second)
	l.push("a", "c")
	got := l.want("a", Synced, "").History
	want := []Transition{
		{At: accepted, State: InFlight, Revision: 1},
		{At: accepted.Add(2 * time.Second), State: Slow, Revision: 1, Note: "revision 2 has not been sent"},
		{At: accepted.Add(10 * time.Second), State: Stale, Revision: 1, Note: "revision 2 has not been sent"},
		{At: accepted.Add(30 * time.Second), State: Synced, Revision: 2},
	}
	if d := cmp.Diff(want, got[len(got)-4:]); d != "" {
		t.Errorf("history (-want +got):\n%s", d)
	}
}

func TestHistoryIsBoundedAndKeepsTrouble(t *testing.T) {
	l := newLab(t)
	l.revise(1, map[string]string{"route outbound": "r0"})
	l.connect("a", "c")
	l.tr.Desired("a", 1, parts(l.all()), l.now)
	l.push("a", "c")
	for i := range 2000 {
		l.revise(uint64(i+2), map[string]string{"route outbound": fmt.Sprint("r", i+1)}, "a")
		if i == 20 {
			l.tr.Nacked("a", "c", l.send("a", "c"), "no", l.now)
		} else {
			l.push("a", "c")
		}
		l.pass(time.Second)
	}
	h := l.want("a", Synced, "").History
	if len(h) > 240 {
		t.Errorf("history has %d transitions, want at most 240", len(h))
	}
	if !slices.ContainsFunc(h, func(tr Transition) bool { return tr.State == Rejected }) {
		t.Errorf("healthy pushes pushed the refusal out of the history")
	}
	l.pass(time.Hour)
	if h, _ := l.tr.History("a", time.Hour, l.now); len(h) != 1 {
		t.Errorf("after a quiet hour history has %d transitions, want the one that holds", len(h))
	}
}

func TestViewSortsAndCounts(t *testing.T) {
	l := newLab(t)
	l.revise(1, map[string]string{"route outbound": "r1"})
	for _, id := range []string{"a", "b", "c", "d"} {
		l.connect(id, id)
		l.tr.Desired(id, 1, parts(l.all()), l.now)
		l.push(id, id)
	}
	l.pass(time.Second)
	l.revise(2, map[string]string{"route outbound": "r2"}, "a", "b", "c", "d")
	l.pass(100 * time.Millisecond)
	l.push("a", "a")
	l.tr.Nacked("b", "b", l.send("b", "b"), "no", l.now)
	l.tr.Disconnected("d", "d", "EOF", l.now)
	l.pass(100 * time.Millisecond)
	l.push("c", "c")
	v := l.tr.View(l.now)
	var ids []string
	for _, n := range v.Nodes {
		ids = append(ids, n.ID)
	}
	if got, want := strings.Join(ids, ""), "bdac"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	wantSummary := Summary{
		Nodes: 4, Synced: 2,
		ByState:    map[State]int{Synced: 2, Rejected: 1, Disconnected: 1},
		ByRevision: []RevisionCount{{2, 2, ""}, {1, 2, "1 rejected, 1 disconnected"}},
	}
	if d := cmp.Diff(wantSummary, v.Summary); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	wantSpread := Spread{
		Revision: 2, AcceptedAt: l.start.Add(time.Second),
		SentMS: []float64{100, 100, 200}, AckedMS: []float64{100, 200}, AppliedMS: []float64{100, 200}, Waiting: 1,
	}
	if d := cmp.Diff(wantSpread, v.Spread); d != "" {
		t.Errorf("spread (-want +got):\n%s", d)
	}
}

// What a node says of its certificate is kept as it says it, but for its length.
func TestWhyANodeHasNoNewerCertificate(t *testing.T) {
	l := newLab(t)
	l.tr.Connected(mesh.Node{ID: "a"}, "c", "", l.now)
	since := l.now.Add(-time.Minute)
	l.tr.Identified("a", mesh.Identity{
		Principal: "spiffe://cluster.local/ns/cinema/sa/web",
		Failure:   &mesh.IdentityFailure{Since: since, Reason: "refused", Error: strings.Repeat("é", maxSaid), Remedy: "make a join token"},
	}, l.now)
	got, _ := l.tr.Node("a", l.now)
	f := got.Identity.Failure
	if f == nil || !f.Since.Equal(since) || f.Reason != "refused" || f.Remedy != "make a join token" || len(f.Error) != maxSaid {
		t.Errorf("told of the certificate: %+v, %+v", got.Identity, f)
	}
	l.tr.Identified("a", mesh.Identity{Principal: "spiffe://cluster.local/ns/cinema/sa/web"}, l.now)
	if got, _ := l.tr.Node("a", l.now); got.Identity.Failure != nil {
		t.Errorf("after the next certificate: %+v", got.Identity.Failure)
	}
}

func TestEmptyViewHasNoNulls(t *testing.T) {
	tr := New(Options{})
	tr.Connected(mesh.Node{ID: "a"}, "c", "", time.Unix(0, 0))
	body, err := json.Marshal(tr.View(time.Unix(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	detail, _ := tr.Node("a", time.Unix(1, 0))
	more, err := json.Marshal(detail)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"desired":null`, `"sent_ms":null`, `"acked_ms":null`, `"applied_ms":null`, `"identity":null`} {
		body = []byte(strings.ReplaceAll(string(body), field, "")) // may be null by contract
		more = []byte(strings.ReplaceAll(string(more), field, ""))
	}
	if strings.Contains(string(body)+string(more), "null") {
		t.Errorf("a list is null:\n%s\n%s", body, more)
	}
}
