package xds

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// join makes a node known as a stream of it would.
func join(t *testing.T, s *Server, id, namespace string) *node {
	t.Helper()
	p, err := readProxy(testNode(t, id, namespace, nil))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connect(p, s.opts.Now())
}

func openServer(t *testing.T, objects string, now func() time.Time) (*Server, *config.Store, *recorder) {
	t.Helper()
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Apply(t.Context(), []byte(objects), "test"); err != nil {
		t.Fatal(err)
	}
	tracker := newRecorder()
	s, err := New(Options{Store: store, Tracker: tracker, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s, store, tracker
}

// A resource's revision is the one that last changed its content, not the
// newest there is: what a node lacks is told by it.
func TestRevisionOfResources(t *testing.T) {
	s, store, tracker := openServer(t, service(catalog, "10.0.0.1")+service(reviews, "10.0.0.2"), nil) // revision 2
	join(t, s, "a", "cinema")
	revisions := func(id string) map[string]uint64 {
		out := map[string]uint64{}
		for _, r := range tracker.desired[id] {
			if r.Type != mesh.TypeCluster {
				out[r.Type+" "+r.Name] = r.Revision
			}
		}
		return out
	}
	before := tracker.desired["a"]
	apply := func(text string) {
		t.Helper()
		if _, err := store.Apply(t.Context(), []byte(text), "test"); err != nil {
			t.Fatal(err)
		}
	}
	apply(service(reviews, "10.0.0.3")) // revision 3
	want := map[string]uint64{
		"endpoint " + cluster(catalog): 2, "endpoint " + cluster(reviews): 3, "route outbound": 2, "listener outbound": 1,
	}
	if diff := cmp.Diff(want, revisions("a")); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if &before[0] == &tracker.desired["a"][0] {
		t.Error("the list did not change with its content")
	}

	// A revision that touches nothing of the node changes nothing, not even the
	// list.
	before = tracker.desired["a"]
	apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: hidden, namespace: other}
spec: {hosts: [hidden.example], exportTo: ["."], ports: [{number: 80, name: http}]}
`) // revision 4
	if &before[0] != &tracker.desired["a"][0] {
		t.Error("the list was made anew without need")
	}

	// A namespace that is seen for the first time knows by the objects: its
	// routes come from the ServiceEntry that changed.
	join(t, s, "b", "theatre")
	want["route outbound"] = 3
	if diff := cmp.Diff(want, revisions("b")); diff != "" {
		t.Errorf("revisions of a late namespace (-want +got):\n%s", diff)
	}
	a, err := s.Resources("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Resources("b")
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Type != mesh.TypeRoute && a[i].Version != b[i].Version {
			t.Errorf("%s %s differs between namespaces", a[i].Type, a[i].Name)
		}
	}
}

// A node that is gone is compiled for until it is forgotten, so that it is
// known how far behind it is.
func TestNodesAreRemembered(t *testing.T) {
	var now atomic.Int64
	at := func() time.Time { return time.Unix(now.Load(), 0) }
	s, store, tracker := openServer(t, service(catalog, "10.0.0.1"), at)
	n := join(t, s, "a", "cinema")
	s.mu.Lock()
	s.disconnect(n, at())
	s.mu.Unlock()

	change := func(ip string) int {
		t.Helper()
		if _, err := store.Apply(t.Context(), []byte(service(catalog, ip)), "test"); err != nil {
			t.Fatal(err)
		}
		newest := 0
		for _, r := range tracker.desired["a"] {
			newest = max(newest, int(r.Revision))
		}
		return newest
	}
	now.Add(3000)
	s.forget(at())
	if got := change("10.0.0.2"); got != 3 {
		t.Errorf("newest revision desired = %d, want 3", got)
	}
	now.Add(1000)
	s.forget(at())
	if got := change("10.0.0.3"); got != 3 {
		t.Errorf("newest revision desired after it was forgotten = %d, want 3 still", got)
	}
	if _, err := s.Resources("a"); err == nil {
		t.Error("a forgotten node has resources")
	}
	if len(s.shared) > 0 {
		t.Errorf("shared by nobody: %v", fmt.Sprint(len(s.shared)))
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("made a server without a store")
	}
}
