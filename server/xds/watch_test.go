package xds

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// asker is a delta client that asks for this and that, and now and then says no
// or comes back. What it should hold is judged from its own point of view.
type asker struct {
	*testing.T
	*rand.Rand
	s       *Server
	st      *stream
	node    string
	all     [typeCount]bool
	asked   [typeCount]map[string]bool
	holds   [typeCount]map[string]string
	refused [typeCount]map[string]string
	absent  [typeCount]map[string]bool // told that there is none
	sent    int                        // resources
}

func (a *asker) ask(t int, req *discoveryv3.DeltaDiscoveryRequest) {
	a.Helper()
	req.TypeUrl = mesh.TypeURL(typeName(t))
	if a.st.node == nil {
		req.Node = testNode(a.T, a.node, "cinema", nil)
	}
	if err := a.st.take(req); err != nil {
		a.Fatal(err)
	}
}

// connect opens a stream and says what is held, of which some is wrong.
func (a *asker) connect() {
	a.Helper()
	if a.st != nil {
		a.s.closeDelta(a.st)
	}
	var err error
	if a.st, err = a.s.openDelta(a.Context()); err != nil {
		a.Fatal(err)
	}
	for t := range typeCount {
		if a.holds[t] == nil {
			a.holds[t], a.asked[t] = map[string]string{}, map[string]bool{}
		}
		a.refused[t], a.absent[t] = map[string]string{}, map[string]bool{}
		if a.IntN(3) == 0 {
			clear(a.holds[t]) // it lost its disk
		}
		if a.IntN(3) == 0 {
			a.holds[t]["outbound|80||a.cinema.svc.cluster.local"] = "older"
		}
		var names []string
		for name := range a.asked[t] {
			names = append(names, name)
		}
		a.all[t] = t == clusterType || t == listenerType
		if a.all[t] && len(names) > 0 {
			names = append(names, "*")
		}
		if len(names) == 0 && !a.all[t] {
			names = []string{"nothing"}
			a.asked[t]["nothing"] = true
		}
		initial := map[string]string{}
		maps.Copy(initial, a.holds[t])
		a.ask(t, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: names, InitialResourceVersions: initial})
	}
}

var askedNames = []string{
	"outbound|80||a.cinema.svc.cluster.local", "outbound|80||b.cinema.svc.cluster.local", "outbound|80||c.press.svc.cluster.local",
	"outbound|80|v1|a.cinema.svc.cluster.local", "outbound|80||d.press.svc.cluster.local", "outbound", "nowhere",
}

// resubscribe asks for names, and for others no more.
func (a *asker) resubscribe() {
	t := a.IntN(typeCount)
	var more, fewer []string
	for range 1 + a.IntN(2) {
		name := askedNames[a.IntN(len(askedNames))]
		if a.asked[t][name] {
			fewer = append(fewer, name)
			delete(a.asked[t], name)
			delete(a.absent[t], name)
			if !a.all[t] {
				delete(a.holds[t], name)
				delete(a.refused[t], name)
			}
		} else if !slices.Contains(fewer, name) {
			more = append(more, name)
			a.asked[t][name] = true
		}
	}
	a.ask(t, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: more, ResourceNamesUnsubscribe: fewer})
}

// listen takes what is offered until nothing is, and says no to some.
func (a *asker) listen(no bool) {
	a.Helper()
	for rounds := 0; ; rounds++ {
		offered := a.st.offer()
		if len(offered) == 0 {
			return
		}
		if rounds > 100 {
			a.Fatal("the server offers without end")
		}
		for _, o := range offered {
			req := &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: o.resp.GetNonce()}
			refuse := no && a.IntN(4) == 0 && len(o.resp.GetResources()) > 0
			if refuse {
				req.ErrorDetail = &rpcstatus.Status{Message: "no"}
			}
			for _, r := range o.resp.GetResources() {
				a.sent++
				if a.refused[o.t][r.GetName()] == r.GetVersion() {
					a.Fatalf("%s %s is offered again after it was refused", typeName(o.t), r.GetName())
				}
				if refuse {
					a.refused[o.t][r.GetName()] = r.GetVersion()
					continue
				}
				delete(a.refused[o.t], r.GetName())
				delete(a.absent[o.t], r.GetName())
				a.holds[o.t][r.GetName()] = r.GetVersion()
			}
			for _, name := range o.resp.GetRemovedResources() {
				delete(a.holds[o.t], name)
				if !refuse {
					delete(a.refused[o.t], name)
				}
				a.absent[o.t][name] = a.asked[o.t][name]
			}
			a.ask(o.t, req)
		}
	}
}

// check compares what the client holds with what it asks for of its view.
func (a *asker) check(step int) {
	a.Helper()
	v := a.st.node.view
	for t := range typeCount {
		want, got := map[string]string{}, map[string]string{}
		v.each(t, func(r *Resource) bool {
			if (a.all[t] || a.asked[t][r.Name]) && a.refused[t][r.Name] != r.Version {
				want[r.Name] = r.Version
			}
			return true
		})
		for name, version := range a.holds[t] {
			if r := v.get(t, name); r == nil || a.refused[t][name] != r.Version {
				got[name] = version
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			a.Fatalf("step %d: %ss that the client should hold (-) and holds (+):\n%s", step, typeName(t), diff)
		}
		for name := range a.asked[t] {
			if v.get(t, name) == nil && !a.absent[t][name] {
				a.Fatalf("step %d: nobody told the client that there is no %s %s", step, typeName(t), name)
			}
		}
	}
	before := a.sent
	if a.listen(false); a.sent != before {
		a.Fatalf("step %d: something is sent that the client has", step)
	}
}

// TestWatchKeepsClientsRight plays random clients against random edits: after
// each step a client must hold just what it asks for, whatever is shared of what
// the server knows of it.
func TestWatchKeepsClientsRight(t *testing.T) {
	for seed := range uint64(6) {
		e := newEditor(t, seed)
		source := &fixedStore{}
		s, err := New(Options{Store: source, Tracker: newRecorder()})
		if err != nil {
			t.Fatal(err)
		}
		source.fn(e.snapshot(1))
		var askers []*asker
		for i := range 4 {
			a := &asker{T: t, Rand: e.Rand, s: s, node: "node-" + strconv.Itoa(i)}
			a.connect()
			askers = append(askers, a)
		}
		for revision := uint64(2); revision < 150; revision++ {
			for range 1 + e.IntN(2) {
				e.edit(t, revision)
			}
			source.fn(e.snapshot(revision))
			for i, a := range askers {
				switch {
				case e.IntN(12) == 0:
					a.connect()
				case e.IntN(3) == 0:
					a.resubscribe()
				case e.IntN(4) == 0:
					continue // it sleeps, and gets several changes at once
				}
				a.listen(i < 2)
				a.check(int(revision))
			}
		}
		for _, a := range askers {
			s.closeDelta(a.st)
		}
		if len(s.names.bySum) > 0 {
			t.Errorf("%d sets of names are kept that nobody asks for", len(s.names.bySum))
		}
	}
}
