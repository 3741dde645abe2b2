package xds

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	grpcxds "google.golang.org/grpc/xds"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// sotwClient is a raw client of the state-of-the-world form.
type sotwClient struct {
	t      testing.TB
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	node   *corev3.Node
	in     chan *discoveryv3.DiscoveryResponse
	names  map[string][]string
}

func (p *plane) sotw(t testing.TB, node *corev3.Node) *sotwClient {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(p.conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &sotwClient{t: t, stream: stream, node: node, in: make(chan *discoveryv3.DiscoveryResponse, 100), names: map[string][]string{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			c.in <- r
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return c
}

func (c *sotwClient) ask(short, nonce, refusal string, names ...string) {
	c.t.Helper()
	req := &discoveryv3.DiscoveryRequest{TypeUrl: mesh.TypeURL(short), ResponseNonce: nonce, ResourceNames: names, Node: c.node}
	c.node = nil // in the first request only
	if refusal != "" {
		req.ErrorDetail = &rpcstatus.Status{Code: 3, Message: refusal}
	}
	c.names[short] = names
	if err := c.stream.Send(req); err != nil {
		c.t.Fatal(err)
	}
}

func (c *sotwClient) next(short string) *discoveryv3.DiscoveryResponse {
	c.t.Helper()
	select {
	case r := <-c.in:
		if r.GetTypeUrl() != mesh.TypeURL(short) {
			c.t.Fatalf("got %s, want %s", r.GetTypeUrl(), short)
		}
		return r
	case <-time.After(10 * time.Second):
		c.t.Fatalf("no %s came", short)
	}
	return nil
}

func (c *sotwClient) ack(short string, r *discoveryv3.DiscoveryResponse) {
	c.ask(short, r.GetNonce(), "", c.names[short]...)
}

// silent tells that nothing comes: a question whose answer is known goes after
// everything else.
func (c *sotwClient) silent() {
	c.t.Helper()
	select {
	case r := <-c.in:
		c.t.Fatalf("unasked: %s with %d resources", r.GetTypeUrl(), len(r.GetResources()))
	case <-time.After(150 * time.Millisecond):
	}
}

func TestSotwGateAndOrder(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	c := p.sotw(t, testNode(t, "envoy", "cinema", nil))
	c.ask(mesh.TypeCluster, "", "")
	r := c.next(mesh.TypeCluster)
	if len(r.GetResources()) != 1 {
		t.Fatalf("%d clusters", len(r.GetResources()))
	}
	c.ask(mesh.TypeListener, "", "")
	c.silent() // listeners wait for the clusters' answer
	c.ack(mesh.TypeCluster, r)
	l := c.next(mesh.TypeListener)
	c.ack(mesh.TypeListener, l)
	c.ask(mesh.TypeEndpoint, "", "", cluster(catalog))
	c.ack(mesh.TypeEndpoint, c.next(mesh.TypeEndpoint))
	c.ask(mesh.TypeRoute, "", "", "outbound")
	c.ack(mesh.TypeRoute, c.next(mesh.TypeRoute))
	c.silent()

	// A refusal is answered with nothing, however often the old version is named.
	p.apply(t, service(reviews, "10.0.0.2"))
	r = c.next(mesh.TypeCluster)
	if len(r.GetResources()) != 2 {
		t.Fatalf("clusters are told whole: %d", len(r.GetResources()))
	}
	message := "cluster " + cluster(reviews) + ": no"
	c.ask(mesh.TypeCluster, r.GetNonce(), message)
	rt := c.next(mesh.TypeRoute) // which is not held up for ever
	c.ack(mesh.TypeRoute, rt)
	c.ask(mesh.TypeCluster, r.GetNonce(), message)
	c.silent()
	p.tracker.wait(t, fmt.Sprintf("nacked envoy %s %s", r.GetNonce(), message))

	// New content is a new try, and what goes is taken away after what names it.
	if _, err := p.store.Delete(t.Context(), p.store.Objects()[1].Key(), "test"); err != nil {
		t.Fatal(err)
	}
	rt = c.next(mesh.TypeRoute)
	c.silent()
	c.ack(mesh.TypeRoute, rt)
	c.silent() // what it has is what is desired again

	// One endpoint moves: that assignment alone.
	p.apply(t, service(catalog, "10.0.0.9"))
	e := c.next(mesh.TypeEndpoint)
	if len(e.GetResources()) != 1 {
		t.Errorf("%d assignments", len(e.GetResources()))
	}
	c.ask(mesh.TypeEndpoint, "stale", "", cluster(catalog)) // counted, and nothing else
	c.ack(mesh.TypeEndpoint, e)
	c.silent()
}

// backend is a gRPC service that tells which of them was asked.
func backend(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	healthv1.RegisterHealthServer(s, health.NewServer())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(listener) })
	t.Cleanup(func() {
		s.Stop()
		wg.Wait()
	})
	return listener.Addr().String()
}

func grpcService(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf(`---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: seats, namespace: cinema}
spec:
  hosts: [seats.cinema.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: grpc, protocol: GRPC, targetPort: %s}]
  endpoints: [{address: %s, labels: {app: seats, version: v1}}]
`, port, host)
}

// grpc-go's own xDS client, a real peer in the state-of-the-world form,
// resolves a service through this server, follows a change, and is tracked.
func TestGRPCClientIsAPeer(t *testing.T) {
	first, second := backend(t), backend(t)
	store, err := config.Open(config.Options{Dir: t.TempDir(), Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{store: store}
	p.apply(t, grpcService(first))
	tracker := skew.New(skew.Options{})
	server, err := New(Options{Store: store, Tracker: tracker, Status: tracker})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(ServerOptions()...)
	server.Register(g)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	wg.Go(func() { _ = server.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		g.Stop()
		wg.Wait()
	})

	builder, err := grpcxds.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil, `{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": "client-1", "cluster": "web", "metadata": {"NAMESPACE": "cinema", "GENERATOR": "grpc"}}
	}`, listener.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///seats.cinema.svc.cluster.local:80", grpc.WithResolvers(builder),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthv1.NewHealthClient(conn)
	call := func() string {
		var from peer.Peer
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := client.Check(ctx, &healthv1.HealthCheckRequest{}, grpc.Peer(&from), grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		return from.Addr.String()
	}
	if got := call(); got != first {
		t.Fatalf("answered by %s, want %s", got, first)
	}
	// It is a node like any other, and lacks nothing of what it never asked for.
	state := func(want skew.State) skew.NodeDetail {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			d, _ := tracker.Node("client-1", time.Now())
			if d.State == want {
				return d
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %s, want %s", d.State, d.Reason, want)
			}
		}
	}
	d := state(skew.Synced)
	var has []string
	for _, r := range d.Resources {
		has = append(has, r.Type+" "+r.Name)
	}
	slices.Sort(has)
	seats := "seats.cinema.svc.cluster.local"
	want := []string{"cluster outbound|80||" + seats, "endpoint outbound|80||" + seats, "listener " + seats + ":80", "route " + seats + ":80"}
	if diff := cmp.Diff(want, has); diff != "" || d.Kind != "proxyless" || !strings.Contains(d.Connections[0].Peer, "127.0.0.1:") {
		t.Errorf("resources (-want +got):\n%s%+v", diff, d.NodeStatus)
	}

	p.apply(t, grpcService(second))
	for end := time.Now().Add(20 * time.Second); call() != second; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the change never came")
		}
	}
	state(skew.Synced)
}
