package xds

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testNode = "sidecar~127.0.0.1~web-1.cinema~cluster.local"

// controlPlane is go-control-plane's delta server on a real socket, with a
// record of what sidecars said.
type controlPlane struct {
	address string
	cache   cachev3.SnapshotCache
	grpc    *grpc.Server
	agents  *agentServer

	mu        sync.Mutex
	requests  []*discoveryv3.DeltaDiscoveryRequest
	responses []*discoveryv3.DeltaDiscoveryResponse

	worldRefusals int // by state of the world
}

func startControlPlane(t *testing.T, address string) *controlPlane {
	t.Helper()
	cp := &controlPlane{
		cache:  cachev3.NewSnapshotCache(false, cachev3.IDHash{}, nil),
		agents: &agentServer{got: make(chan *meshv1.AgentMessage, 100), orders: make(chan *meshv1.ServerMessage, 10)},
	}
	cp.grpc, cp.address = serve(t, address, func(s *grpc.Server) {
		discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, serverv3.NewServer(t.Context(), cp.cache, cp.callbacks()))
		meshv1.RegisterAgentServer(s, cp.agents)
	})
	return cp
}

func (cp *controlPlane) callbacks() serverv3.Callbacks {
	return serverv3.CallbackFuncs{
		FetchRequestFunc: func(_ context.Context, req *discoveryv3.DiscoveryRequest) error {
			cp.mu.Lock()
			defer cp.mu.Unlock()
			if req.GetErrorDetail() != nil {
				cp.worldRefusals++
			}
			return nil
		},
		StreamRequestFunc: func(_ int64, req *discoveryv3.DiscoveryRequest) error {
			cp.mu.Lock()
			defer cp.mu.Unlock()
			if req.GetErrorDetail() != nil {
				cp.worldRefusals++
			}
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, req *discoveryv3.DeltaDiscoveryRequest) error {
			cp.mu.Lock()
			defer cp.mu.Unlock()
			cp.requests = append(cp.requests, proto.Clone(req).(*discoveryv3.DeltaDiscoveryRequest))
			return nil
		},
		StreamDeltaResponseFunc: func(_ int64, _ *discoveryv3.DeltaDiscoveryRequest, resp *discoveryv3.DeltaDiscoveryResponse) {
			cp.mu.Lock()
			defer cp.mu.Unlock()
			cp.responses = append(cp.responses, resp)
		},
	}
}

// nacks lists the errors that were sent.
func (cp *controlPlane) nacks() []string {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	var out []string
	for _, req := range cp.requests {
		if req.GetErrorDetail() != nil {
			out = append(out, req.GetErrorDetail().GetMessage())
		}
	}
	return out
}

// sent counts the resources in all responses so far.
func (cp *controlPlane) sent() int {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	n := 0
	for _, resp := range cp.responses {
		n += len(resp.GetResources())
	}
	return n
}

// set gives the node a new configuration.
func (cp *controlPlane) set(t *testing.T, version string, resources ...proto.Message) {
	t.Helper()
	byType := map[resourcev3.Type][]types.Resource{
		resourcev3.ClusterType: {}, resourcev3.EndpointType: {}, resourcev3.ListenerType: {}, resourcev3.RouteType: {},
	}
	for _, r := range resources {
		url := "type.googleapis.com/" + string(r.ProtoReflect().Descriptor().FullName())
		byType[url] = append(byType[url], r)
	}
	snapshot, err := cachev3.NewSnapshot(version, byType)
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.cache.SetSnapshot(t.Context(), testNode, snapshot); err != nil {
		t.Fatal(err)
	}
}

// agentServer records agent messages and sends orders.
type agentServer struct {
	meshv1.UnimplementedAgentServer
	got    chan *meshv1.AgentMessage
	orders chan *meshv1.ServerMessage
}

func (a *agentServer) Connect(stream grpc.BidiStreamingServer[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	go func() {
		for {
			select {
			case <-stream.Context().Done():
				return
			case m := <-a.orders:
				_ = stream.Send(m)
			}
		}
	}()
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case a.got <- m:
		default:
		}
	}
}

// next gives the first agent message from now on that fits.
func (a *agentServer) next(t *testing.T, what string, fits func(*meshv1.AgentMessage) bool) *meshv1.AgentMessage {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-a.got:
			if fits(m) {
				return m
			}
		case <-deadline:
			t.Fatalf("no %s on the agent stream", what)
		}
	}
}

// serve runs a gRPC server until the test ends. address "" means any port.
func serve(t *testing.T, address string, register func(*grpc.Server)) (*grpc.Server, string) {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	var lis net.Listener
	eventually(t, "port "+address, func() bool {
		var err error
		lis, err = net.Listen("tcp", address)
		return err == nil
	})
	s := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}))
	register(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(lis)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return s, lis.Addr().String()
}

// fakeRuntime records the snapshots that it is given.
type fakeRuntime struct {
	mu        sync.Mutex
	snapshots []*forward.Snapshot
	refuse    error
}

func (r *fakeRuntime) Apply(s *forward.Snapshot) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return r.refuse
	}
	r.snapshots = append(r.snapshots, s)
	return nil
}

func (r *fakeRuntime) setRefuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = err
}

func (r *fakeRuntime) last() *forward.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.snapshots) == 0 {
		return &forward.Snapshot{}
	}
	return r.snapshots[len(r.snapshots)-1]
}

func (r *fakeRuntime) all() []*forward.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.snapshots)
}

func (r *fakeRuntime) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.snapshots)
}

// shape tells a snapshot in a few words, for comparing.
func shape(s *forward.Snapshot) string {
	var parts []string
	for _, l := range s.Listeners {
		parts = append(parts, "L:"+l.Name)
	}
	for _, r := range s.Routes {
		for _, vh := range r.Config().VirtualHosts {
			for _, route := range vh.Routes {
				for _, c := range route.Forward.Clusters {
					parts = append(parts, "R:"+r.Config().Name+">"+c.Cluster)
				}
			}
		}
	}
	for _, c := range s.Clusters {
		text := "C:" + c.Name
		for _, e := range s.Endpoints[c.AssignmentName()] {
			text += "@" + e.Address
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

func (r *fakeRuntime) wantShape(t *testing.T, want string) {
	t.Helper()
	eventually(t, want, func() bool { return shape(r.last()) == want })
}

// sidecar is a client under test with its runtime.
type sidecar struct {
	*Client
	runtime *fakeRuntime
	stop    func()
}

func startSidecar(t *testing.T, opts Options) *sidecar {
	t.Helper()
	runtime := &fakeRuntime{}
	if opts.Runtime == nil {
		opts.Runtime = runtime
	}
	opts.Node = mesh.Node{
		ID: testNode, Kind: "sidecar", Build: "1.2.3", Address: "127.0.0.1:15020",
		Workload: mesh.Workload{Cluster: "demo", Namespace: "cinema", Name: "web-v1", App: "web", Version: "v1"},
	}
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	c.heartbeatEvery = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return &sidecar{Client: c, runtime: runtime, stop: stop}
}

// The resources of a small mesh.

func listener(name, routes string) *listenerv3.Listener {
	return message(&listenerv3.Listener{}, `{"name":"`+name+`","traffic_direction":"OUTBOUND",
		"address":{"socket_address":{"address":"127.0.0.1","port_value":15001}},
		"filter_chains":[{"filters":[{"name":"hcm","typed_config":{
			"@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"stat_prefix":"outbound","rds":{"config_source":{"ads":{},"resource_api_version":"V3"},"route_config_name":"`+routes+`"},
			"http_filters":[{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`)
}

func routes(name string, clusters ...string) *routev3.RouteConfiguration {
	var hosts []string
	for _, c := range clusters {
		hosts = append(hosts, `{"name":"`+c+`","domains":["`+c+`"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"`+c+`","timeout":"0s"}}]}`)
	}
	return message(&routev3.RouteConfiguration{}, `{"name":"`+name+`","virtual_hosts":[`+strings.Join(hosts, ",")+`]}`)
}

func badRoutes(name string) *routev3.RouteConfiguration {
	return message(&routev3.RouteConfiguration{}, `{"name":"`+name+`","virtual_hosts":[{"name":"a","domains":["a"],"routes":[
		{"match":{"prefix":"/"},"route":{"cluster":"catalog","hash_policy":[{"filter_state":{"key":"x-user"}}]}}]}]}`)
}

func edsCluster(name string) *clusterv3.Cluster {
	return message(&clusterv3.Cluster{}, `{"name":"`+name+`","type":"EDS","connect_timeout":"1s",
		"eds_cluster_config":{"eds_config":{"ads":{},"resource_api_version":"V3"}}}`)
}

func badCluster(name string) *clusterv3.Cluster {
	c := edsCluster(name)
	c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	return c
}

func endpoints(name string, ports ...uint32) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	l := &endpointv3.LocalityLbEndpoints{}
	for _, p := range ports {
		l.LbEndpoints = append(l.LbEndpoints, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
				SocketAddress: &corev3.SocketAddress{Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: p}},
			}}},
		}})
	}
	out.Endpoints = []*endpointv3.LocalityLbEndpoints{l}
	return out
}

func message[M proto.Message](m M, text string) M {
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		panic("BUG: test resource: " + err.Error())
	}
	return m
}
