package xds

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

func hello(id string, started time.Time, address string) *meshv1.AgentMessage {
	return &meshv1.AgentMessage{Message: &meshv1.AgentMessage_Hello{Hello: &meshv1.Hello{
		NodeId: id, MetricsAddress: address, StartedAt: timestamppb.New(started), Build: "b1",
		Workload: &meshv1.Workload{Namespace: "cinema", Name: "web"},
	}}}
}

func heartbeat() *meshv1.AgentMessage {
	return &meshv1.AgentMessage{Message: &meshv1.AgentMessage_Heartbeat{Heartbeat: &meshv1.Heartbeat{}}}
}

func tapBatch(session string) *meshv1.AgentMessage {
	return &meshv1.AgentMessage{Message: &meshv1.AgentMessage_Tap{Tap: &meshv1.TapBatch{Session: session}}}
}

func (p *plane) agent(t *testing.T, first *meshv1.AgentMessage) grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage] {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := meshv1.NewAgentClient(p.conn).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(first); err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestAgentStream(t *testing.T) {
	p := startPlane(t, "")
	var mu sync.Mutex
	var heard []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprintf(format, args...))
	}
	agents := p.server.Agents()
	agents.OnHello(func(n mesh.Node) { note("hello %s", n.ID) })
	agents.OnGone(func(id string) { note("gone %s", id) })
	agents.OnTap(func(id string, b *meshv1.TapBatch) { note("tap %s %s", id, b.GetSession()) })
	targets := make(chan []Target, 10)
	defer p.server.OnTargets(func() { targets <- p.server.Targets() })()
	if first := <-targets; len(first) != 0 {
		t.Errorf("targets before any sidecar = %v", first)
	}

	started := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	a := p.agent(t, hello("web", started, "127.0.0.1:15020"))
	if list := <-targets; len(list) != 1 || list[0].Address != "127.0.0.1:15020" || list[0].Node.ID != "web" {
		t.Errorf("targets = %+v", list)
	}
	for _, m := range []*meshv1.AgentMessage{
		tapBatch("s1"), heartbeat(), tapBatch("s2"),
		{Message: &meshv1.AgentMessage_Applied{Applied: &meshv1.Applied{Revision: 7, Resources: []*meshv1.AppliedResource{{
			TypeUrl: mesh.TypeURL(mesh.TypeCluster), Name: "c", Version: "v", AppliedAt: timestamppb.New(started), Error: "no", ErrorVersion: "w",
		}}}}},
	} {
		if err := a.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	p.tracker.wait(t, "applied web")
	want := []skew.AppliedResource{{Type: mesh.TypeCluster, Name: "c", Version: "v", At: started, Error: "no", ErrorVersion: "w"}}
	if diff := cmp.Diff(want, p.tracker.applied["web"]); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if n := agents.Broadcast(&meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStop{TapStop: &meshv1.TapStop{Session: "x"}}}); n != 1 {
		t.Errorf("broadcast went to %d, want 1", n)
	}
	if m, err := a.Recv(); err != nil || m.GetTapStop().GetSession() != "x" {
		t.Errorf("received %v, %v", m, err)
	}
	if agents.Send("nobody", &meshv1.ServerMessage{}) {
		t.Error("sent to a node that is not connected")
	}
	if err := a.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if list := <-targets; len(list) != 0 {
		t.Errorf("targets after the end = %v", list)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"hello web", "tap web s1", "tap web s2", "gone web"}, heard); diff != "" {
		t.Errorf("callbacks (-want +got):\n%s", diff)
	}
}

func TestAgentDuplicates(t *testing.T) {
	p := startPlane(t, "")
	t0 := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	end := func(s grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage]) codes.Code {
		_, err := s.Recv()
		return status.Code(err)
	}
	first := p.agent(t, hello("web", t0, ""))
	p.tracker.wait(t, "described web")

	// A process that started earlier does not take the place...
	if got := end(p.agent(t, hello("web", t0.Add(-time.Second), ""))); got != codes.AlreadyExists {
		t.Errorf("zombie ended with %s, want AlreadyExists", got)
	}
	// ...the same one over a new connection does, and so does a later one.
	second := p.agent(t, hello("web", t0, ""))
	if got := end(first); got != codes.Aborted {
		t.Errorf("replaced stream ended with %s, want Aborted", got)
	}
	p.agent(t, hello("web", t0.Add(time.Second), ""))
	if got := end(second); got != codes.Aborted {
		t.Errorf("replaced stream ended with %s, want Aborted", got)
	}
	if got := p.server.Agents().Nodes(); len(got) != 1 {
		t.Errorf("%d agents, want 1", len(got))
	}
}

func TestAgentNonsense(t *testing.T) {
	p := startPlane(t, "")
	for name, first := range map[string]*meshv1.AgentMessage{
		"no hello":   heartbeat(),
		"empty":      {},
		"no node id": hello("", time.Time{}, ""),
	} {
		_, err := p.agent(t, first).Recv()
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: ended with %v, want InvalidArgument", name, err)
		}
	}
}

// A sidecar that reads nothing loses messages and holds nobody up.
func TestAgentQueueIsBounded(t *testing.T) {
	p := startPlane(t, "")
	p.agent(t, hello("deaf", time.Now(), ""))
	p.tracker.wait(t, "described deaf")
	big := &meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStart{TapStart: &meshv1.TapStart{Filter: string(make([]byte, 64<<10))}}}
	for i := range 10 * agentQueue {
		if !p.server.Agents().Send("deaf", big) {
			return
		}
		if i > 2*agentQueue {
			t.Fatal("the queue has no end")
		}
	}
}

func TestManyNodes(t *testing.T) {
	const nodes = 200
	var objects string
	for i := range 50 {
		objects += service(fmt.Sprintf("s%d.cinema.svc.cluster.local", i), fmt.Sprintf("10.0.1.%d", i))
	}
	p := startPlane(t, objects)
	clients := make([]*client, nodes)
	for i := range clients {
		clients[i] = dialOn(t, p.connect(), testNode(t, fmt.Sprintf("node-%d", i), fmt.Sprintf("ns-%d", i%4), nil))
	}
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.start() })
	}
	wg.Wait()

	start := time.Now()
	rev := p.apply(t, service("s7.cinema.svc.cluster.local", "10.0.2.7"))
	var last time.Duration
	for i, c := range clients {
		r := c.next(mesh.TypeEndpoint)
		if got := names(r); len(got) != 1 || got[0] != cluster("s7.cinema.svc.cluster.local") || r.GetSystemVersionInfo() != fmt.Sprint(rev) {
			t.Fatalf("node %d got %v at %s", i, got, r.GetSystemVersionInfo())
		}
		c.ack(r)
		last = time.Since(start)
	}
	t.Logf("%d nodes, one endpoint changed: all have it after %s", nodes, last)
	for _, i := range []int{0, 77, nodes - 1} {
		clients[i].silent()
		i := slices.IndexFunc(p.tracker.desired[fmt.Sprintf("node-%d", i)], func(r skew.Resource) bool { return r.Revision == rev })
		if i < 0 {
			t.Error("no resource of this node has the new revision")
		}
	}
}
