package xds

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// disk is what a roll-out saved.
type disk struct {
	mu   sync.Mutex
	text []byte
}

func (d *disk) machine(t *testing.T) *rollout.Machine {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var s rollout.State
	if d.text != nil {
		if err := json.Unmarshal(d.text, &s); err != nil {
			t.Fatal(err)
		}
	}
	policy := rollout.Policy{Nodes: []string{"web"}, Watch: time.Second}
	return rollout.New(policy, skew.NewTraffic(), s, func(s rollout.State) (err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.text, err = json.Marshal(s)
		return err
	})
}

// staged is a server over a store, that can be killed.
func staged(t *testing.T, store *config.Store, m *rollout.Machine) (s *Server, tracker *skew.Tracker, conn *grpc.ClientConn, kill func()) {
	t.Helper()
	tracker = skew.New(skew.Options{})
	s, err := New(Options{Store: store, Tracker: tracker, Stages: m, Content: store.Content})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(ServerOptions()...)
	s.Register(g)
	listener := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	wg.Go(func() { _ = s.Run(ctx) })
	conn, err = grpc.NewClient("passthrough:///bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = conn.Close()
			cancel()
			g.Stop()
			wg.Wait()
		})
	}
	t.Cleanup(kill)
	return s, tracker, conn, kill
}

// A revision goes to the canary; the others keep each resource as it was, also
// those that come later, and also when the server is killed in between and the
// next one has only the directory and what is on disk.
func TestCanaryGoesFirst(t *testing.T) {
	store, err := config.Open(config.Options{Dir: t.TempDir(), StateDir: t.TempDir(), Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{store: store}
	first := p.apply(t, service(catalog, "10.0.0.1"))
	var saved disk
	m := saved.machine(t)
	s, tracker, conn, kill := staged(t, store, m)
	web, other := dialOn(t, conn, testNode(t, "web", "cinema", nil)), dialOn(t, conn, testNode(t, "other", "cinema", nil))
	web.start()
	held := other.start()

	target := p.apply(t, service(reviews, "10.0.0.2"))
	if _, err := m.Step(tracker.View(time.Now()).Nodes, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.Restage()
	r := web.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(reviews)}, names(r)); diff != "" {
		t.Errorf("canary's clusters (-want +got):\n%s", diff)
	}
	web.ack(r)
	web.ack(web.next(mesh.TypeRoute))
	other.silent()
	late := dialOn(t, conn, testNode(t, "late", "cinema", nil))
	if diff := cmp.Diff([]string{cluster(catalog)}, names(late.start()[mesh.TypeCluster])); diff != "" {
		t.Errorf("clusters of one that comes later (-want +got):\n%s", diff)
	}
	if d, _ := tracker.Node("other", time.Now()); d.State == skew.Stale || d.Revision > first {
		t.Errorf("a held node is %s at %d: %s", d.State, d.Revision, d.Reason)
	}

	kill() // nothing is said to anybody
	m = saved.machine(t)
	s, tracker, conn, _ = staged(t, store, m)
	if state := m.State(); state.Phase != rollout.Canary || state.Target != target || state.Base != first {
		t.Fatalf("after the kill: %+v", state)
	}
	has := map[string]string{}
	for _, c := range held[mesh.TypeCluster].GetResources() {
		has[c.GetName()] = c.GetVersion()
	}
	other = dialOn(t, conn, testNode(t, "other", "cinema", nil))
	other.subscribe(mesh.TypeCluster, has, "*")
	r = other.next(mesh.TypeCluster)
	if len(r.GetResources())+len(r.GetRemovedResources()) != 0 {
		t.Errorf("after the kill the held node gets %v", names(r))
	}
	other.ack(r)
	other.silent()

	if _, err := m.Resume("test", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.Restage()
	r = other.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(reviews)}, names(r)); diff != "" {
		t.Errorf("the others' clusters (-want +got):\n%s", diff)
	}
	if d, _ := tracker.Node("other", time.Now()); d.State == skew.Synced {
		t.Errorf("let go, and synced before anything was acknowledged: %s", d.Reason)
	}
}
