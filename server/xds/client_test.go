package xds

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// plane is a running server over a real configuration directory.
type plane struct {
	server  *Server
	store   *config.Store
	tracker *recorder
	conn    *grpc.ClientConn
	connect func() *grpc.ClientConn
}

func startPlane(t testing.TB, objects string) *plane {
	t.Helper()
	store, err := config.Open(config.Options{Dir: t.TempDir(), Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{store: store, tracker: newRecorder()}
	if objects != "" {
		p.apply(t, objects)
	}
	if p.server, err = New(Options{Store: store, Tracker: p.tracker, Cluster: "demo"}); err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(ServerOptions()...)
	p.server.Register(g)
	listener := bufconn.Listen(1 << 20)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { _ = g.Serve(listener) })
	wg.Go(func() { _ = p.server.Run(ctx) })
	p.connect = func() *grpc.ClientConn {
		conn, err := grpc.NewClient("passthrough:///bufconn",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	p.conn = p.connect()
	t.Cleanup(func() {
		cancel()
		g.Stop()
		wg.Wait()
	})
	return p
}

func (p *plane) apply(t testing.TB, yaml string) uint64 {
	t.Helper()
	a, err := p.store.Apply(t.Context(), []byte(yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	if a.Revision == nil {
		t.Fatal("apply changed nothing")
	}
	return a.Revision.Number
}

// client is a raw delta ADS client: it does what the test says and nothing by
// itself.
type client struct {
	t      testing.TB
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	node   *corev3.Node
	in     chan *discoveryv3.DeltaDiscoveryResponse
	err    chan error
}

func testNode(t testing.TB, id, namespace string, metadata map[string]any) *corev3.Node {
	t.Helper()
	fields := map[string]any{"NAMESPACE": namespace, "WORKLOAD_NAME": id, "SIDELIGHT_OUTBOUND": "127.0.0.1:15001"}
	maps.Copy(fields, metadata)
	m, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.Node{Id: id, Cluster: "app", Metadata: m}
}

func (p *plane) dial(t testing.TB, node *corev3.Node) *client {
	t.Helper()
	return dialOn(t, p.conn, node)
}

func dialOn(t testing.TB, conn *grpc.ClientConn, node *corev3.Node) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, stream: stream, node: node, in: make(chan *discoveryv3.DeltaDiscoveryResponse, 100), err: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				c.err <- err
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

func (c *client) send(req *discoveryv3.DeltaDiscoveryRequest) {
	c.t.Helper()
	req.Node, c.node = c.node, nil // in the first request only
	if err := c.stream.Send(req); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) subscribe(short string, held map[string]string, names ...string) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: mesh.TypeURL(short), ResourceNamesSubscribe: names, InitialResourceVersions: held,
	})
}

// next gives the next response, of which the type is told.
func (c *client) next(short string) *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	select {
	case r := <-c.in:
		if got := mesh.TypeName(r.GetTypeUrl()); got != short {
			c.t.Fatalf("got a response of %s, want %s", got, short)
		}
		return r
	case err := <-c.err:
		c.t.Fatalf("stream ended: %v", err)
	case <-time.After(60 * time.Second):
		c.t.Fatalf("no %s response", short)
	}
	return nil
}

func (c *client) ack(r *discoveryv3.DeltaDiscoveryResponse) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
}

func (c *client) nack(r *discoveryv3.DeltaDiscoveryResponse, message string) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce(), ErrorDetail: &rpcstatus.Status{Code: 3, Message: message},
	})
}

// silent fails when something comes that was not asked for. A round trip on
// another type shows that the server has handled all that went before.
func (c *client) silent() {
	c.t.Helper()
	const ping = "type.googleapis.com/test.Ping"
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: ping, ResourceNamesSubscribe: []string{"x"}})
	select {
	case r := <-c.in:
		c.t.Fatalf("unasked response of %s: %v, removed %v", mesh.TypeName(r.GetTypeUrl()), names(r), r.GetRemovedResources())
	case <-time.After(50 * time.Millisecond):
	}
}

func names(r *discoveryv3.DeltaDiscoveryResponse) []string {
	var out []string
	for _, res := range r.GetResources() {
		out = append(out, res.GetName())
	}
	slices.Sort(out)
	return out
}

func versions(responses ...*discoveryv3.DeltaDiscoveryResponse) map[string]string {
	out := map[string]string{}
	for _, r := range responses {
		for _, res := range r.GetResources() {
			out[res.GetName()] = res.GetVersion()
		}
	}
	return out
}

// start subscribes to everything as a sidecar does and acknowledges it.
func (c *client) start() map[string]*discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	got := map[string]*discoveryv3.DeltaDiscoveryResponse{}
	take := func(short string) {
		got[short] = c.next(short)
		c.ack(got[short])
	}
	c.subscribe(mesh.TypeCluster, nil, "*")
	take(mesh.TypeCluster)
	var eds []string
	for _, name := range names(got[mesh.TypeCluster]) {
		if len(name) > 8 && name[:8] == "outbound" {
			eds = append(eds, name)
		}
	}
	if len(eds) > 0 {
		c.subscribe(mesh.TypeEndpoint, nil, eds...)
		take(mesh.TypeEndpoint)
	}
	c.subscribe(mesh.TypeListener, nil, "*")
	take(mesh.TypeListener)
	c.subscribe(mesh.TypeRoute, nil, "outbound")
	take(mesh.TypeRoute)
	return got
}

// recorder is a tracker that remembers.
type recorder struct {
	mu      sync.Mutex
	events  []string
	desired map[string][]skew.Resource
	parts   map[string][][]skew.Resource
	applied map[string][]skew.AppliedResource
	changed chan struct{}
}

func newRecorder() *recorder {
	return &recorder{desired: map[string][]skew.Resource{}, parts: map[string][][]skew.Resource{}, applied: map[string][]skew.AppliedResource{}, changed: make(chan struct{}, 1)}
}

func (r *recorder) note(words ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := ""
	for i, w := range words {
		if i > 0 {
			s += " "
		}
		s += w
	}
	r.events = append(r.events, s)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *recorder) count(event string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e == event {
			n++
		}
	}
	return n
}

// wait waits until an event was noted.
func (r *recorder) wait(t testing.TB, event string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for r.count(event) == 0 {
		select {
		case <-r.changed:
		case <-timeout:
			t.Fatalf("no event %q in %q", event, r.events)
		}
	}
}

func (r *recorder) Accepted(mesh.Revision)         {}
func (r *recorder) Hold(string, uint64, time.Time) {}

func (r *recorder) Desired(node string, _ uint64, parts [][]skew.Resource, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := func(a, b []skew.Resource) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
	if old := r.parts[node]; !slices.EqualFunc(old, parts, same) { // the lists are what tells a change
		r.desired[node], r.parts[node] = slices.Concat(parts...), parts
	}
}
func (r *recorder) Connected(n mesh.Node, _, _ string, _ time.Time) { r.note("connected", n.ID) }
func (r *recorder) Disconnected(id, _, _ string, _ time.Time)       { r.note("disconnected", id) }
func (r *recorder) Acked(id, _, nonce string, _ time.Time)          { r.note("acked", id, nonce) }
func (r *recorder) Nacked(id, _, nonce, message string, _ time.Time) {
	r.note("nacked", id, nonce, message)
}

func (r *recorder) Lived(id string, l mesh.Life, _ time.Time) {
	r.note("lived", id, fmt.Sprint(!l.EndedAt.IsZero()))
}

func (r *recorder) Identified(id string, c mesh.Identity, _ time.Time) {
	r.note("identified", id, c.Principal)
}

func (r *recorder) Described(n mesh.Node, _ time.Time) { r.note("described", n.ID) }
func (r *recorder) Seen(id string, _ time.Time)        { r.note("seen", id) }
func (r *recorder) Holds(id, _ string, refs []skew.ResourceRef, _ time.Time) {
	for _, ref := range refs {
		r.note("holds", id, ref.Type, ref.Name)
	}
}

func (r *recorder) Sent(id, _, nonce string, refs []skew.ResourceRef, _ time.Time) {
	for _, ref := range refs {
		r.note("sent", id, nonce, ref.Type, ref.Name)
	}
}

func (r *recorder) AppliedSince(id string, res []skew.AppliedResource, _ uint64, _ time.Time) {
	r.mu.Lock()
	r.applied[id] = append(r.applied[id], res...)
	r.mu.Unlock()
	r.note("applied-since", id)
}

func (r *recorder) Applied(id string, res []skew.AppliedResource, _ uint64, _ time.Time) {
	r.mu.Lock()
	r.applied[id] = res
	r.mu.Unlock()
	r.note("applied", id)
}
