package xds

import (
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// fakeTaps records orders and sends what the test puts in.
type fakeTaps struct {
	mu      sync.Mutex
	orders  []string
	batches chan *meshv1.TapBatch
}

func newFakeTaps() *fakeTaps { return &fakeTaps{batches: make(chan *meshv1.TapBatch, 10)} }

func (f *fakeTaps) order(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, text)
}

func (f *fakeTaps) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.orders...)
}

func (f *fakeTaps) Start(s *meshv1.TapStart) error {
	f.order("start " + s.GetSession() + " " + s.GetFilter())
	if s.GetFilter() == "bad" {
		return mesh.ErrInvalid
	}
	return nil
}
func (f *fakeTaps) Stop(session string)              { f.order("stop " + session) }
func (f *fakeTaps) StopAll()                         { f.order("stop all") }
func (f *fakeTaps) Batches() <-chan *meshv1.TapBatch { return f.batches }
func (f *fakeTaps) Lost(b *meshv1.TapBatch)          { f.order("lost " + b.GetSession()) }

func TestAgentTellsWhoAndWhat(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "4", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	taps := newFakeTaps()
	startSidecar(t, Options{Servers: []string{cp.address}, Taps: taps, ActiveRequests: func() uint64 { return 3 }})

	first := <-cp.agents.got
	hello := first.GetHello().Mesh()
	if hello.ID != testNode || hello.Build != "1.2.3" || hello.Workload.Name != "web-v1" || hello.Address != "127.0.0.1:15020" || first.GetHello().GetPid() == 0 {
		t.Errorf("the first message is %v, want a full hello", first)
	}
	got := map[string]bool{}
	applied := cp.agents.next(t, "whole account", func(m *meshv1.AgentMessage) bool {
		if a := m.GetApplied(); a != nil && !a.GetPartial() {
			clear(got)
		}
		for _, r := range m.GetApplied().GetResources() {
			got[mesh.TypeName(r.GetTypeUrl())+" "+r.GetName()] = r.GetVersion() != "" && r.GetAppliedAt().IsValid() && r.GetError() == ""
		}
		return m.GetApplied().GetRevision() == 4
	}).GetApplied()
	want := map[string]bool{"listener outbound": true, "route main": true, "cluster catalog": true, "endpoint catalog": true}
	if diff := cmp.Diff(want, got); diff != "" || applied.GetFromDisk() {
		t.Errorf("account (-want +got), from disk %v:\n%s", applied.GetFromDisk(), diff)
	}

	// A refusal is in the next account, beside the version that still runs, and
	// nothing else that did not change.
	cp.set(t, "5", listener("outbound", "main"), badRoutes("main"), edsCluster("catalog"), endpoints("catalog", 8080))
	applied = cp.agents.next(t, "account with the refusal", func(m *meshv1.AgentMessage) bool {
		for _, r := range m.GetApplied().GetResources() {
			if r.GetError() != "" {
				return true
			}
		}
		return false
	}).GetApplied()
	if !applied.GetPartial() || slices.ContainsFunc(applied.GetResources(), func(r *meshv1.AppliedResource) bool { return r.GetName() == "outbound" }) {
		t.Errorf("what did not change is told again: %v", applied)
	}
	for _, r := range applied.GetResources() {
		if r.GetName() == "main" && (r.GetVersion() == "" || r.GetErrorVersion() == "" || r.GetVersion() == r.GetErrorVersion()) {
			t.Errorf("the refused route says %v", r)
		}
	}
	if applied.GetRevision() != 4 {
		t.Errorf("revision %d is said to run, want 4", applied.GetRevision())
	}

	cp.agents.orders <- &meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStart{TapStart: &meshv1.TapStart{Session: "s", Filter: "error"}}}
	cp.agents.orders <- &meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStart{TapStart: &meshv1.TapStart{Session: "t", Filter: "bad"}}}
	cp.agents.orders <- &meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStop{TapStop: &meshv1.TapStop{Session: "s"}}}
	eventually(t, "orders", func() bool { return len(taps.got()) == 3 })
	if diff := cmp.Diff([]string{"start s error", "start t bad", "stop s"}, taps.got()); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	taps.batches <- &meshv1.TapBatch{Session: "s", Matched: 9}
	if m := cp.agents.next(t, "tap batch", func(m *meshv1.AgentMessage) bool { return m.GetTap() != nil }); m.GetTap().GetMatched() != 9 {
		t.Errorf("batch is %v", m)
	}
	if m := cp.agents.next(t, "heartbeat", func(m *meshv1.AgentMessage) bool { return m.GetHeartbeat() != nil }); m.GetHeartbeat().GetActiveRequests() != 3 {
		t.Errorf("heartbeat is %v", m)
	}

	cp.grpc.Stop()
	eventually(t, "the end of the sessions", func() bool {
		orders := taps.got()
		return orders[len(orders)-1] == "stop all"
	})
	again := startControlPlane(t, cp.address)
	again.set(t, "4", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	again.agents.next(t, "hello again", func(m *meshv1.AgentMessage) bool { return m.GetHello() != nil })
	again.agents.next(t, "account again", func(m *meshv1.AgentMessage) bool { return m.GetApplied().GetRevision() == 4 })
}

// refusingAgents is a server that ends every agent stream.
type refusingAgents struct {
	meshv1.UnimplementedAgentServer
	mu    sync.Mutex
	tries int
}

func (r *refusingAgents) Connect(grpc.BidiStreamingServer[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	return status.Error(codes.AlreadyExists, "another sidecar has this node ID")
}

// TestAgentFailureLeavesConfigurationAlone: the streams fail by themselves.
func TestAgentFailureLeavesConfigurationAlone(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", edsCluster("catalog"), endpoints("catalog", 8080))
	agents := &refusingAgents{}
	ads := make(chan struct{}, 10)
	_, address := serve(t, "", func(s *grpc.Server) {
		meshv1.RegisterAgentServer(s, agents)
		discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, &scripted{opened: ads, serve: func(stream deltaStream) error {
			<-stream.Context().Done()
			return nil
		}})
	})
	s := startSidecar(t, Options{Servers: []string{address}})
	<-ads
	eventually(t, "a second try", func() bool {
		agents.mu.Lock()
		defer agents.mu.Unlock()
		return agents.tries >= 2
	})
	if len(ads) != 0 || !s.Status().Connected {
		t.Error("the ADS stream was opened again because the agent stream failed")
	}
}
