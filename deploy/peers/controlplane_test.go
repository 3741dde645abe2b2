package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // named in the listener below
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const nodeID = "web-1"

// controlPlane is go-control-plane's server with its snapshots.
type controlPlane struct {
	address  string
	rest     bool // it is asked by REST, and has no streams
	snapshot cachev3.SnapshotCache
	server   *grpc.Server
	end      context.CancelFunc
}

func newControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	return &controlPlane{address: freeAddress(t), snapshot: cachev3.NewSnapshotCache(true, cachev3.IDHash{}, nil)}
}

func (c *controlPlane) start(t *testing.T) {
	t.Helper()
	var ln net.Listener
	eventually(t, "the control plane's port", func() (err error) {
		ln, err = net.Listen("tcp", c.address)
		return err
	})
	var ctx context.Context
	ctx, c.end = context.WithCancel(context.Background())
	if c.rest {
		gateway := &serverv3.HTTPGateway{Server: serverv3.NewServer(ctx, c.snapshot, nil)}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, code, err := gateway.ServeHTTP(r)
			switch {
			case err != nil:
				http.Error(w, err.Error(), code)
			case answer == nil:
				w.WriteHeader(code)
			default:
				_, _ = w.Write(answer)
			}
		})}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		go server.Serve(ln)
		c.server = grpc.NewServer() // to be stopped
		t.Cleanup(c.stop)
		return
	}
	c.server = grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(c.server, serverv3.NewServer(ctx, c.snapshot, nil))
	go c.server.Serve(ln)
	t.Cleanup(c.stop)
}

func (c *controlPlane) stop() {
	c.server.Stop()
	c.end()
}

// set gives the node the generation n of its configuration: all requests get
// the header X-Generation and go to a cluster of that generation.
func (c *controlPlane) set(t *testing.T, n int, outbound, app string) {
	t.Helper()
	name := fmt.Sprint("generation-", n%6) // clusters come, stay with another content, and go
	host, port, _ := net.SplitHostPort(outbound)
	_, appPort, _ := net.SplitHostPort(app)
	parse := func(m proto.Message, format string, args ...any) types.Resource {
		if err := protojson.Unmarshal(fmt.Appendf(nil, format, args...), m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	snapshot, err := cachev3.NewSnapshot(strconv.Itoa(n), map[resourcev3.Type][]types.Resource{
		resourcev3.ListenerType: {parse(&listenerv3.Listener{}, `{"name": "outbound", "traffic_direction": "OUTBOUND",
			"address": {"socket_address": {"address": %q, "port_value": %s}},
			"filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
				"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"stat_prefix": "outbound", "rds": {"config_source": {"ads": {}, "resource_api_version": "V3"}, "route_config_name": "main"},
				"http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`, host, port)},
		resourcev3.RouteType: {parse(&routev3.RouteConfiguration{}, `{"name": "main", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
			"match": {"prefix": "/"}, "route": {"cluster": %q, "timeout": "0s"},
			"request_headers_to_add": [{"header": {"key": "x-generation", "value": "%d"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}]}]}`, name, n)},
		resourcev3.ClusterType: {parse(&clusterv3.Cluster{}, `{"name": %q, "type": "EDS", "connect_timeout": "5s",
			"eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}}}`, name)},
		resourcev3.EndpointType: {parse(&endpointv3.ClusterLoadAssignment{}, `{"cluster_name": %q, "endpoints": [{"lb_endpoints": [
			{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": %s}}}}]}]}`, name, appPort)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.snapshot.SetSnapshot(context.Background(), nodeID, snapshot); err != nil {
		t.Fatal(err)
	}
}

// runs waits until the sidecar runs a revision.
func (s *sidecar) runs(t *testing.T, revision int) {
	t.Helper()
	eventually(t, fmt.Sprint("revision ", revision), func() error {
		text, err := fetch("http://" + s.admin + "/running")
		if err != nil {
			return err
		}
		var got struct{ Revision int }
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			return err
		}
		if got.Revision != revision {
			return fmt.Errorf("revision %d", got.Revision)
		}
		return nil
	})
}

// A sidecar lives through all that can befall its control plane: it is not
// there yet, it sends one configuration after the other under load, it goes, the
// sidecar restarts meanwhile, and it comes back.
func TestControlPlane(t *testing.T) {
	for _, protocol := range []string{"delta", "sotw", "rest"} {
		t.Run(protocol, func(t *testing.T) { liveThrough(t, protocol) })
	}
}

func liveThrough(t *testing.T, protocol string) {
	cp := newControlPlane(t)
	cp.rest = protocol == "rest"
	var misrouted atomic.Int64
	parity := func(want int) string {
		return serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n, err := strconv.Atoi(r.Header.Get("X-Generation")); err != nil || n%2 != want {
				misrouted.Add(1)
			}
			_, _ = io.Copy(w, r.Body)
		}))
	}
	apps := [2]string{parity(0), parity(1)}
	s := &sidecar{address: freeAddress(t), admin: freeAddress(t), metrics: freeAddress(t), health: freeAddress(t)}
	state := t.TempDir()
	start := func() {
		s.process = launch(t, proxy, "--node-id", nodeID, "--workload", "web", "--namespace", "shop", "--xds-protocol", protocol, "--pull-interval", "1s", "--server", cp.address, "--state-dir", state,
			"--outbound", s.address, "--admin", s.admin, "--metrics", s.metrics, "--health", s.health, "--collector", "off")
	}
	start()
	if out, err := exec.CommandContext(t.Context(), proxy, "wait", "--health", s.health, "--timeout", "1s").CombinedOutput(); err == nil {
		t.Errorf("an app that waits for its sidecar is let go before that has configuration: %s", out)
	}
	generations := 60
	if cp.rest {
		generations = 16 // each takes a question
	}
	cp.set(t, 1, s.address, apps[1])
	cp.start(t)
	if out, err := exec.CommandContext(t.Context(), proxy, "wait", "--health", s.health).CombinedOutput(); err != nil {
		t.Fatalf("wait: %v: %s", err, out)
	}
	ask := func() error {
		body := strings.Repeat("x", 500)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address, io.MultiReader(strings.NewReader(body)))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != http.StatusOK || string(got) != body) {
			err = fmt.Errorf("%s: %q", res.Status, got)
		}
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := ask(); err != nil {
					t.Errorf("request %d: %v", answered.Load(), err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := 2; n <= generations; n++ {
		cp.set(t, n, s.address, apps[n%2])
		if n%2 == 0 {
			s.runs(t, n)
		}
	}
	cancel()
	load.Wait()
	if misrouted.Load() != 0 {
		t.Errorf("%d of %d requests went to another generation's cluster", misrouted.Load(), answered.Load())
	}
	t.Logf("%d requests over %d configurations", answered.Load(), generations)
	clientStatus(t, s.admin)

	cp.stop()
	if err := ask(); err != nil {
		t.Errorf("without its control plane: %v", err)
	}
	eventually(t, "the configuration on disk", func() error {
		if n := s.total(t, "sidelight_xds_state_saves_total"); n == 0 {
			return errors.New("nothing was saved")
		}
		return nil
	})
	s.stop(t)
	start()
	eventually(t, "an answer after a restart without control plane", ask)
	s.runs(t, generations)
	cp.set(t, generations+1, s.address, apps[1])
	cp.start(t)
	s.runs(t, generations+1)
	if err := ask(); err != nil || misrouted.Load() != 0 {
		t.Errorf("with its control plane again: %v, %d misrouted", err, misrouted.Load())
	}
}

// clientStatus asks the sidecar by CSDS, as any of its clients does.
func clientStatus(t *testing.T, admin string) {
	t.Helper()
	conn, err := grpc.NewClient(admin, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	resp, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, x := range resp.GetConfig()[0].GetGenericXdsConfigs() {
		if x.GetConfigStatus() == statusv3.ConfigStatus_SYNCED && x.GetXdsConfig() != nil {
			kinds[mesh.TypeName(x.GetTypeUrl())]++
		}
	}
	if len(kinds) != 4 || resp.GetConfig()[0].GetNode().GetId() != nodeID {
		t.Errorf("CSDS: %v", resp)
	}
}
