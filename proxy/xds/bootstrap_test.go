package xds

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

const edgeBootstrap = `
node:
  id: edge-1
  cluster: edge
  metadata: {NAMESPACE: shop, LABELS: {app: edge, version: v2}}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            name: web
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app, timeout: 1s}}]}
          http_filters:
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9000}}}}]}]
`

func TestReadBootstrap(t *testing.T) {
	b, err := ReadBootstrap([]byte(edgeBootstrap), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if b.NodeID != "edge-1" || b.Admin != "127.0.0.1:9901" {
		t.Errorf("node %q, admin %q", b.NodeID, b.Admin)
	}
	if diff := cmp.Diff(mesh.Workload{Name: "edge", Namespace: "shop", App: "edge", Version: "v2"}, b.Workload); diff != "" {
		t.Errorf("workload (-want +got):\n%s", diff)
	}
	s := b.Snapshot
	if len(s.Listeners) != 1 || s.Listeners[0].Direction != listen.Outbound || s.Listeners[0].Routes == nil ||
		len(s.Clusters) != 1 || s.Clusters[0].Endpoints[0].Address != "127.0.0.1:9000" {
		t.Errorf("snapshot %+v", s)
	}
}

// connectBootstrap is the edge as Envoy's documentation ends CONNECT.
func connectBootstrap(upgrades string) string {
	return strings.Replace(edgeBootstrap, "routes: [", `routes: [
                {match: {connect_matcher: {}}, route: {cluster: app, upgrade_configs: [`+upgrades+"]}},\n                ", 1)
}

func TestBootstrapWithConnect(t *testing.T) {
	text := strings.Replace(connectBootstrap("{upgrade_type: CONNECT, connect_config: {}}"), "stat_prefix: web",
		"stat_prefix: web\n          http2_protocol_options: {allow_connect: true}\n          upgrade_configs: [{upgrade_type: CONNECT}, {upgrade_type: websocket}]", 1)
	b, err := ReadBootstrap([]byte(text), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	l := b.Snapshot.Listeners[0]
	r := l.Routes.Match(&route.Request{Host: "anybody:443", Method: "CONNECT"}).Route
	if !l.Connect || r == nil || !r.Forward.Tunnel || r.Match.Describe()[0] != "CONNECT" {
		t.Errorf("listener %+v, route %+v", l, r)
	}
	if r := l.Routes.Match(&route.Request{Host: "anybody", Path: "/", Method: "GET"}).Route; r == nil || r.Match.Connect {
		t.Errorf("GET got route %+v", r)
	}
	for upgrades, want := range map[string]string{
		"":                        `routes[0].route: takes CONNECT and has no upgrade_configs entry for it with connect_config: passing CONNECT on is not supported by build 1.2.3`,
		"{upgrade_type: CONNECT}": "passing CONNECT on is not supported",
		"{upgrade_type: CONNECT, connect_config: {allow_post: true}}": "routes[0].route.upgrade_configs[0].connect_config.allow_post: not supported",
		"{upgrade_type: h2c}":                                                  `upgrade_configs[0].upgrade_type: "h2c" is not supported`,
		"{upgrade_type: websocket, enabled: false}":                            "upgrade_configs[0].enabled: false is not supported for websocket",
		"{upgrade_type: CONNECT, enabled: false, connect_config: {}}":          "",
		"{upgrade_type: connect, connect_config: {}, enabled: true}":           "",
		"{upgrade_type: CONNECT, connect_config: {proxy_protocol_config: {}}}": "proxy_protocol_config: not supported",
	} {
		_, err := ReadBootstrap([]byte(connectBootstrap(upgrades)), "1.2.3")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", upgrades, err, want)
		}
	}
}

// The routes that the guide shows for CONNECT are ones that a bootstrap file may
// have.
func TestBootstrapOfDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/traffic.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\n    routes:\n")
	routes, _, _ := strings.Cut(rest, "```")
	if !ok || !strings.Contains(routes, "connect_matcher") {
		t.Fatal("docs/traffic.md has no such example")
	}
	routes = strings.ReplaceAll(strings.ReplaceAll(routes, "cluster: db", "cluster: app"), "\n", "\n          ")
	text := strings.Replace(edgeBootstrap, `- {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app, timeout: 1s}}]}`,
		"- name: all\n              domains: [\"*\"]\n              routes:\n          "+routes, 1)
	if b, err := ReadBootstrap([]byte(text), "1.2.3"); err != nil || b.Snapshot.Listeners[0].Routes.Match(&route.Request{Host: "a:1", Method: "CONNECT"}).Route == nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

func TestReadBootstrapRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"yaml", "node:", "node: [", "not YAML"},
		{"unknown field", "node:", "nodes:", `unknown field "nodes"`},
		{"unsupported", "admin:", "stats_sinks: [{name: a}]\nadmin:", "stats_sinks: not supported by build 1.2.3"},
		{"xds", "admin:", "dynamic_resources: {}\nadmin:", "dynamic_resources: not supported by build 1.2.3"},
		{"deep", "stat_prefix: web", "stat_prefix: web\n          server_name: x", "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.server_name: not supported by build 1.2.3"},
		{"no cluster", "cluster: app, timeout", "cluster: lost, timeout", `static_resources.listeners[0]: sends to cluster "lost", which is not among static_resources.clusters`},
		{"eds", "type: STATIC", "type: EDS\n    eds_cluster_config: {eds_config: {ads: {}}}", "static_resources.clusters[0].type: EDS needs a control plane"},
		{"nothing", edgeBootstrap[strings.Index(edgeBootstrap, "static_resources"):], "", "static_resources.listeners: is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBootstrap([]byte(strings.Replace(edgeBootstrap, tt.old, tt.new, 1)), "1.2.3")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzReadBootstrap(f *testing.F) {
	f.Add([]byte(edgeBootstrap))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ReadBootstrap(text, "1.2.3")
		if err == nil && len(b.Snapshot.Listeners) == 0 {
			t.Error("accepted, and there is nothing to do")
		}
	})
}
