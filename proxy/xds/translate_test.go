package xds

import (
	"encoding/json"
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func newMessage(kind string) proto.Message {
	return map[string]proto.Message{
		mesh.TypeListener: &listenerv3.Listener{},
		mesh.TypeRoute:    &routev3.RouteConfiguration{},
		mesh.TypeCluster:  &clusterv3.Cluster{},
		mesh.TypeEndpoint: &endpointv3.ClusterLoadAssignment{},
	}[kind]
}

// pack reads a resource of the kind from JSON.
func pack(t testing.TB, kind string, text []byte) *anypb.Any {
	t.Helper()
	m := newMessage(kind)
	if err := protojson.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// accepted translates testdata/accept/<file>.json.
func acceptFile(t *testing.T, kind, file string) *resource {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "accept", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var named struct {
		Name        string
		ClusterName string `json:"cluster_name"`
	}
	if err := json.Unmarshal(text, &named); err != nil {
		t.Fatal(err)
	}
	r, err := newTranslator("1.2.3").translate(kind, named.Name+named.ClusterName, "v", 7, pack(t, kind, text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTranslateListeners(t *testing.T) {
	tests := []struct {
		file string
		want listen.Config
		uses []string
	}{
		{"listener_http", listen.Config{
			Name: "outbound", Address: "127.0.0.1:15001", Direction: listen.Outbound, Kind: listen.HTTP, Revision: 7,
			RouteName: "outbound", StatPrefix: "outbound_127.0.0.1_15001",
		}, nil},
		{"listener_inbound", listen.Config{
			Name: "inbound_127.0.0.1:15006", Address: "127.0.0.1:15006", Direction: listen.Inbound, Kind: listen.HTTP, Revision: 7,
			StatPrefix: "inbound",
		}, []string{"inbound|8080||"}},
		{"listener_tcp", listen.Config{
			Name: "outbound_tcp_notifications_5222", Address: "[::1]:15101", Direction: listen.Outbound, Kind: listen.TCP, Revision: 7,
			Cluster: "outbound|5222||notifications.cinema.svc.cluster.local", IdleTimeout: time.Hour, StatPrefix: "notifications",
		}, []string{"outbound|5222||notifications.cinema.svc.cluster.local"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			r := acceptFile(t, mesh.TypeListener, tt.file)
			if err := r.listener.Validate(); err != nil {
				t.Errorf("the runtime refuses it: %v", err)
			}
			if diff := cmp.Diff(tt.want, *r.listener, cmpopts.IgnoreFields(listen.Config{}, "Routes")); diff != "" {
				t.Errorf("listener (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.uses, r.uses); diff != "" {
				t.Errorf("clusters used (-want +got):\n%s", diff)
			}
		})
	}
	inline := acceptFile(t, mesh.TypeListener, "listener_inbound").listener.Routes
	if inline == nil || inline.Config().Name != "inbound|8080||" || inline.Config().Revision != 7 {
		t.Errorf("inline routes are %+v", inline)
	}
}

// compiled leaves out what the runtime's types keep for themselves.
func compiled() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && !ast.IsExported(field.Name())
	}, cmp.Ignore())
}

func TestTranslateRoutes(t *testing.T) {
	r := acceptFile(t, mesh.TypeRoute, "routes")
	want := route.Config{
		Name: "outbound", Revision: 7,
		RequestHeaders: route.HeaderOps{Remove: []string{"x-internal"}},
		VirtualHosts: []route.VirtualHost{
			{
				Name: "catalog.cinema.svc.cluster.local:8080", Domains: []string{"catalog", "catalog:8080", "*.catalog.example"},
				Retry:           &route.Retry{On: []string{"connect-failure"}},
				ResponseHeaders: route.HeaderOps{Set: []route.HeaderSet{{Name: "x-host", Value: "catalog", Action: route.AddIfAbsent}}},
				Routes: []route.Route{
					{
						Name: "canary", Object: "VirtualService cinema/catalog",
						Match: route.Match{
							Path: route.Path{Kind: route.PathSeparatedPrefix, Value: "/v2", IgnoreCase: true},
							Headers: []route.HeaderMatch{
								{Name: "x-user", Value: route.StringMatch{Kind: route.Exact, Value: "Tester", IgnoreCase: true}},
								{Name: "x-bot", Value: route.StringMatch{Kind: route.Present}, Invert: true},
								{Name: "x-age", Value: route.StringMatch{Kind: route.Range, From: 1, To: 9}, Invert: true},
								{Name: "x-old", Value: route.StringMatch{Kind: route.Prefix, Value: "v"}},
								{Name: "x-missing", Value: route.StringMatch{Kind: route.Regex, Value: "a+"}, MissingAsEmpty: true},
							},
							Query: []route.QueryMatch{
								{Name: "debug", Value: route.StringMatch{Kind: route.Contains, Value: "1"}},
								{Name: "beta", Value: route.StringMatch{Kind: route.Present}},
							},
						},
						Forward: &route.Forward{
							Clusters: []route.Weighted{
								{Cluster: "catalog-v1", Weight: 90},
								{Cluster: "catalog-v2", Weight: 10, RequestHeaders: route.HeaderOps{
									Set: []route.HeaderSet{{Name: "x-canary", Value: "100%", Action: route.OverwriteOrAdd}},
								}},
								{Cluster: "catalog-v3"},
							},
							Timeout: 2500 * time.Millisecond, PrefixRewrite: "/", AutoHost: true, NotFoundStatus: 404,
							Hash: []route.HashPolicy{
								{Header: "x-user", Terminal: true},
								{Cookie: &route.Cookie{Name: "seat", Path: "/", Generate: true, TTL: time.Hour}},
								{Query: "q"},
								{SourceIP: true},
							},
							Mirrors: []route.Mirror{{Cluster: "copies", Share: 500}, {Cluster: "copies", Share: 1_000_000, KeepHost: true}},
							Retry: &route.Retry{
								On: []string{"5xx", "reset", "retriable-status-codes"}, Num: 3, PerTry: 250 * time.Millisecond,
								StatusCodes: []int{409, 429}, AvoidPrevious: true, HostAttempts: 5,
								BackoffBase: 25 * time.Millisecond, BackoffMax: time.Second,
							},
						},
					},
					{
						Name: "old", Match: route.Match{Path: route.Path{Kind: route.PathExact, Value: "/old"}},
						Redirect: &route.Redirect{Scheme: "https", Host: "new.example", Port: 443, Path: "/new", StripQuery: true, Status: 308},
					},
					{
						Match: route.Match{Path: route.Path{Kind: route.PathRegex, Value: "/items/[0-9]+"}},
						Forward: &route.Forward{
							Clusters: []route.Weighted{{Cluster: "catalog", Weight: 1}}, Timeout: 15 * time.Second, NotFoundStatus: 503,
							RegexRewrite: &route.RegexRewrite{Pattern: "^/items/(.*)$", Substitution: `/\1`}, HostRewrite: "catalog.internal",
						},
					},
					{
						Name: "grpc", Match: route.Match{GRPC: true},
						Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "catalog", Weight: 1}}, NotFoundStatus: 503},
					},
				},
			},
			{Name: "seats:80", Domains: []string{"seats"}, Routes: []route.Route{
				{
					Name: "policies", Match: route.Match{Path: route.Path{Value: "/"}}, Direct: &route.Direct{Status: 200},
					CORS: &route.CORS{
						Origins: []route.StringMatch{{Kind: route.Exact, Value: "https://a.example"}, {Kind: route.Regex, Value: ".*"}},
						Methods: "GET,POST", Headers: "x-a", Expose: "x-b", MaxAge: "60", Credentials: true, IgnoreUnmatched: true,
					},
					Fault: &route.Fault{
						Delay: 500 * time.Millisecond, DelayShare: 500, AbortGRPC: "14", AbortShare: 1_000_000, AbortBody: "on purpose",
					},
				},
				{
					Name: "of the host", Match: route.Match{Path: route.Path{Value: "/"}}, Direct: &route.Direct{Status: 200},
					Fault: &route.Fault{AbortStatus: 503, AbortShare: 10_000},
				},
			}},
			{Name: "block_all", Domains: []string{"*"}, Routes: []route.Route{{
				Match: route.Match{Path: route.Path{Value: "/"}}, Direct: &route.Direct{Status: 502, Body: "no such service"},
			}}},
		},
	}
	if diff := cmp.Diff(want, *r.table.Config(), cmpopts.EquateEmpty(), compiled(), cmpopts.IgnoreFields(route.Route{}, "Revision")); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"catalog", "catalog-v1", "catalog-v2", "copies"}, r.uses); diff != "" {
		t.Errorf("clusters used (-want +got):\n%s", diff)
	}
}

func TestTranslateClusters(t *testing.T) {
	tests := []struct {
		file string
		want cluster.Config
	}{
		{"cluster_eds", cluster.Config{
			Name: "outbound|8080|v1|catalog.cinema.svc.cluster.local", EDS: true, ServiceName: "catalog-v1",
			Policy: cluster.RingHash, RingMin: 64, RingMax: 128, PanicPercent: 20, ConnectTimeout: 2 * time.Second, HTTP2: true, IdleTimeout: time.Minute,
			Services: []mesh.Service{{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"}},
			Object:   "DestinationRule cinema/catalog", Revision: 7,
			Limits: cluster.Limits{MaxConnections: 10, MaxRequests: 20, MaxRetries: 3, MaxRequestsPerConnection: 7},
			Outlier: &cluster.Outlier{
				Consecutive5xx: 5, ConsecutiveGateway: 3, Interval: 5 * time.Second, BaseEjection: time.Minute,
				MaxEjection: 10 * time.Minute, MaxEjectionPercent: 100,
			},
			MeshTLS: &cluster.TLS{
				Mesh: true, SNI: "outbound_.8080_.v1_.catalog.cinema.svc.cluster.local", ALPN: []string{"istio"},
				Names: []string{"spiffe://cluster.local/ns/cinema/sa/catalog"},
			},
		}},
		{"cluster_external", cluster.Config{
			Name: "outbound|443||api.bank.example", PanicPercent: 50, ConnectTimeout: 5 * time.Second, External: true, Revision: 7,
			Endpoints: []cluster.Endpoint{{Address: "api.bank.example:443"}},
			DNS:       &cluster.DNS{Family: cluster.V4Preferred},
			Services:  []mesh.Service{{Host: "api.bank.example", Namespace: "cinema", Name: "api"}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, *acceptFile(t, mesh.TypeCluster, tt.file).cluster); diff != "" {
				t.Errorf("cluster (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTranslateDNS(t *testing.T) {
	for fields, want := range map[string]cluster.DNS{
		`"type":"STRICT_DNS"`: {},
		`"type":"LOGICAL_DNS","dns_lookup_family":"V6_ONLY","dns_refresh_rate":"60s","respect_dns_ttl":true`: {
			Logical: true, Every: time.Minute, HeedTTL: true, Family: cluster.V6Only,
		},
		`"type":"STRICT_DNS","dns_lookup_family":"ALL"`:     {Family: cluster.AllFamilies},
		`"type":"STRICT_DNS","dns_lookup_family":"V4_ONLY"`: {Family: cluster.V4Only},
	} {
		text := `{"name":"c",` + fields + `,"load_assignment":{"cluster_name":"c","endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"a.example","port_value":80}}}}]}]}}`
		r, err := newTranslator("1.2.3").translate(mesh.TypeCluster, "c", "v", 1, pack(t, mesh.TypeCluster, []byte(text)))
		if err != nil || r.cluster.DNS == nil || *r.cluster.DNS != want {
			t.Errorf("%s: %+v, %v", fields, r, err)
		}
	}
}

func TestTranslateEndpoints(t *testing.T) {
	want := []cluster.Endpoint{
		{Address: "10.0.0.7:8080", Weight: 3, Workload: mesh.Workload{Cluster: "demo", Namespace: "cinema", Name: "catalog-v1", App: "catalog", Version: "v1"}},
		{Address: "10.0.0.8:8080", Hostname: "b", Health: cluster.Unhealthy},
		{Address: "[fd00::9]:8080", Health: cluster.Draining},
		{Address: "10.0.0.10:8080", Health: cluster.Degraded, Workload: mesh.Workload{Namespace: "cinema", Name: "catalog-v1"}},
	}
	if diff := cmp.Diff(want, acceptFile(t, mesh.TypeEndpoint, "endpoints").endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}

func TestTranslateRefuses(t *testing.T) {
	for _, kind := range kinds() {
		archive, err := txtar.ParseFile(filepath.Join("testdata", "refuse", kind+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string][]byte)
		for _, f := range archive.Files {
			files[f.Name] = f.Data
		}
		for _, f := range archive.Files {
			name, isResource := strings.CutSuffix(f.Name, ".json")
			if !isResource {
				continue
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				want := strings.TrimSpace(string(files[name+".error"]))
				_, err := newTranslator("1.2.3").translate(kind, "x", "v", 1, pack(t, kind, f.Data))
				if err == nil || err.Error() != want {
					t.Errorf("error is\n%v\nwant\n%s", err, want)
				}
			})
		}
	}
}

func TestTranslateRefusesGarbage(t *testing.T) {
	cluster := func(data []byte) *anypb.Any {
		return &anypb.Any{TypeUrl: mesh.TypeURL(mesh.TypeCluster), Value: data}
	}
	later := protowire.AppendVarint(protowire.AppendTag(nil, 19000, protowire.VarintType), 1)
	whole, err := proto.Marshal(edsCluster("x"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		packed *anypb.Any
		want   string
	}{
		{"nothing", nil, "the response carries no content"},
		{"other type", &anypb.Any{TypeUrl: mesh.TypeURL(mesh.TypeRoute)}, "is a envoy.config.route.v3.RouteConfiguration, not a Cluster"},
		{"no type", &anypb.Any{TypeUrl: "nonsense"}, "is a nonsense, not a Cluster"},
		{"bytes", cluster([]byte{0xff, 0xff}), "does not decode"},
		{"a field of a later API", cluster(append(whole, later...)), "has fields that build 1.2.3 does not know"},
		{"empty", cluster(nil), "name: value length must be at least 1 runes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newTranslator("1.2.3").translate(mesh.TypeCluster, "x", "v", 1, tt.packed)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	m := &routev3.RouteConfiguration{Name: "x"}
	for range 100 {
		m.VirtualHosts = append(m.VirtualHosts, &routev3.VirtualHost{Name: "a", Domains: []string{"a"}, Cors: &routev3.CorsPolicy{}})
	}
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = newTranslator("1.2.3").translate(mesh.TypeRoute, "x", "v", 1, packed)
	if err == nil || !strings.HasSuffix(err.Error(), ", and 92 more") || len(err.Error()) > 1000 {
		t.Errorf("error is %v", err)
	}
}

func TestObjectOf(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/apis/networking.istio.io/v1/namespaces/cinema/virtual-service/tickets", "VirtualService cinema/tickets"},
		{"/apis/networking.istio.io/v1alpha3/namespaces/cinema/destination-rule/a", "DestinationRule cinema/a"},
		{"/apis/x/y", ""},
		{"", ""},
		{"/apis/a/b/namespaces/c/--/d", " c/d"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			r := message(&routev3.Route{}, `{"metadata":{"filter_metadata":{"istio":{"config":"`+tt.path+`"}}}}`)
			if got := objectOf(r.GetMetadata()); got != tt.want {
				t.Errorf("objectOf = %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzTranslate(f *testing.F) {
	files, err := filepath.Glob("testdata/accept/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		kind := strings.IndexByte("celr", filepath.Base(file)[0]) // in the order of kinds
		f.Add(uint8(kind), pack(f, kinds()[kind], text).GetValue())
	}
	translator := newTranslator("1.2.3")
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		kind := kinds()[int(which)%len(kinds())]
		m := newMessage(kind)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		name := ""
		switch m := m.(type) {
		case interface{ GetName() string }:
			name = m.GetName()
		case interface{ GetClusterName() string }:
			name = m.GetClusterName()
		}
		r, err := translator.translate(kind, name, "v", 1, &anypb.Any{TypeUrl: mesh.TypeURL(kind), Value: data})
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a reason")
			}
			return
		}
		if kind == mesh.TypeListener {
			if err := r.listener.Validate(); err != nil {
				t.Errorf("accepted a listener that the runtime refuses: %v", err)
			}
		}
		// What was accepted must fit into a snapshot.
		s := newStore()
		s.accept(update{kind: kind, set: []*resource{r}}, time.Now())
		c := s.candidate()
		c.needs()
		c.snapshot()
	})
}
