package peers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/admin"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/xds" // the client under observation
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/server/observe"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// grpcRole makes the test's binary a program with gRPC's xDS client and its admin
// service: the client reads its bootstrap when the process begins.
const grpcRole = "SIDELIGHT_PEERS_GRPC_CLIENT"

// beGRPCClient calls a service by xDS, and serves its client status until
// standard input ends.
func beGRPCClient() error {
	conn, err := grpc.NewClient("xds:///seats", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.Connect()
	s := grpc.NewServer()
	cleanup, err := admin.Register(s)
	if err != nil {
		return err
	}
	defer cleanup()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go s.Serve(ln)
	defer s.Stop()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// grpcSnapshot is what a gRPC client needs for one service. Without filters it is
// none that gRPC takes.
func grpcSnapshot(t *testing.T, version, filters string) *cachev3.Snapshot {
	t.Helper()
	parse := func(m proto.Message, text string) types.Resource {
		if err := protojson.Unmarshal([]byte(text), m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	snapshot, err := cachev3.NewSnapshot(version, map[resourcev3.Type][]types.Resource{
		resourcev3.ListenerType: {parse(&listenerv3.Listener{}, `{"name": "seats", "api_listener": {"api_listener": {
			"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"route_config": {"name": "seats", "virtual_hosts": [{"name": "seats", "domains": ["*"], "routes": [{"match": {"prefix": ""}, "route": {"cluster": "seats"}}]}]},
			"http_filters": [`+filters+`]}}}`)},
		resourcev3.ClusterType: {parse(&clusterv3.Cluster{}, `{"name": "seats", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}}`)},
		resourcev3.EndpointType: {parse(&endpointv3.ClusterLoadAssignment{}, `{"cluster_name": "seats", "endpoints": [{"locality": {"region": "eu"}, "load_balancing_weight": 1,
			"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// gRPC's own client status service is observed: what it accepted, what it refused
// and in which words, and that it is gone.
func TestClientStatusOfGRPC(t *testing.T) {
	const router = `{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}`
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	snapshots := cachev3.NewSnapshotCache(true, cachev3.IDHash{}, nil)
	set := func(s *cachev3.Snapshot) {
		t.Helper()
		if err := snapshots.SetSnapshot(t.Context(), "grpc-1", s); err != nil {
			t.Fatal(err)
		}
	}
	set(grpcSnapshot(t, "1", router))
	plane := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(plane, serverv3.NewServer(t.Context(), snapshots, nil))
	go plane.Serve(ln)
	t.Cleanup(plane.Stop)

	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), grpcRole+"=1", fmt.Sprintf(`GRPC_XDS_BOOTSTRAP_CONFIG={"xds_servers": [{"server_uri": %q,
		"channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}], "node": {"id": "grpc-1"}}`, ln.Addr()))
	client.Stderr = os.Stderr
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = client.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}

	observer, err := observe.New([]string{"csds://" + strings.TrimSpace(address)}, 50*time.Millisecond, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		observer.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	sees := func(want skew.State, reason string) {
		t.Helper()
		eventually(t, "the client is "+string(want), func() error {
			nodes, sources := observer.View()
			if len(nodes) != 1 || nodes[0].ID != "grpc-1" || nodes[0].State != want || !strings.Contains(nodes[0].Reason, reason) {
				return fmt.Errorf("%+v %+v", nodes, sources)
			}
			return nil
		})
	}
	sees(skew.Synced, "")
	set(grpcSnapshot(t, "2", ""))
	sees(skew.Rejected, "http filters list is empty")
	set(grpcSnapshot(t, "3", router))
	sees(skew.Synced, "")
}
