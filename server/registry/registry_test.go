package registry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// objects decodes documents the way the server does.
func objects(t *testing.T, text string) []*config.Object {
	t.Helper()
	s, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), []byte(text), "test"); err != nil {
		t.Fatal(err)
	}
	return s.Objects()
}

func entry(name, namespace, host, more string) string {
	return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" +
		"spec: {hosts: [" + host + "], ports: [{number: 80, name: http}], resolution: DNS, location: MESH_INTERNAL" + more + "}\n"
}

func TestLookup(t *testing.T) {
	r := Build(objects(t,
		entry("a", "cinema", "catalog.cinema.svc.cluster.local", "")+
			entry("b", "theatre", "catalog.theatre.svc.cluster.local", "")+
			entry("c", "cinema", "Plain", "")+
			entry("d", "theatre", "stage.theatre", "")+
			entry("e", "cinema", "api.example", ", exportTo: ['.']")+
			entry("f", "theatre", "api.example", "")+
			entry("g", "cinema", "secret.example", ", exportTo: [cinema, ops]")))
	for _, tt := range []struct{ host, from, want string }{
		{"catalog", "cinema", "cinema/catalog.cinema.svc.cluster.local"},
		{"catalog", "theatre", "theatre/catalog.theatre.svc.cluster.local"},
		{"catalog", "ops", ""},
		{"catalog.cinema", "ops", "cinema/catalog.cinema.svc.cluster.local"},
		{"catalog.cinema.svc", "ops", "cinema/catalog.cinema.svc.cluster.local"},
		{"Catalog.cinema.svc.cluster.local.", "ops", "cinema/catalog.cinema.svc.cluster.local"},
		{"plain", "ops", "cinema/plain"},
		{"stage", "theatre", "theatre/stage.theatre"},
		{"stage", "cinema", ""},
		{"api.example", "cinema", "cinema/api.example"},   // its own
		{"api.example", "ops", "theatre/api.example"},     // the other is not exported
		{"api.example", "theatre", "theatre/api.example"}, // its own
		{"secret.example", "ops", "cinema/secret.example"},
		{"secret.example", "theatre", ""},
		{"nothing", "cinema", ""},
		{"", "cinema", ""},
	} {
		got := ""
		if s, ok := r.Lookup(tt.host, tt.from); ok {
			got = s.Namespace + "/" + s.Host
		}
		if got != tt.want {
			t.Errorf("lookup of %q from %s = %q, want %q", tt.host, tt.from, got, tt.want)
		}
	}
	var visible []string
	for _, s := range r.Visible("theatre") {
		visible = append(visible, s.Namespace+"/"+s.Host)
	}
	want := []string{
		"theatre/api.example", "cinema/catalog.cinema.svc.cluster.local", "theatre/catalog.theatre.svc.cluster.local", "cinema/plain", "theatre/stage.theatre",
	}
	if diff := cmp.Diff(want, visible); diff != "" {
		t.Errorf("visible from theatre (-want +got):\n%s", diff)
	}
	if got := r.Resolve("Nothing.", "cinema"); got != "nothing" {
		t.Errorf("resolve of nothing = %q", got)
	}
}

func TestShortNames(t *testing.T) {
	host := "catalog.cinema.svc.cluster.local"
	for ns, want := range map[string]string{"cinema": "catalog catalog.cinema catalog.cinema.svc", "ops": "catalog.cinema catalog.cinema.svc"} {
		if got := strings.Join(ShortNames(host, ns), " "); got != want {
			t.Errorf("short names from %s = %q, want %q", ns, got, want)
		}
	}
	if got := ShortNames("api.example", "cinema"); got != nil {
		t.Errorf("short names of an outer host = %v", got)
	}
}

func TestEndpoints(t *testing.T) {
	r := Build(objects(t, `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: catalog, namespace: cinema}
spec:
  hosts: [catalog.cinema.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, targetPort: 8080}, {number: 9000, name: grpc}]
  workloadSelector: {labels: {app: catalog}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: two, namespace: cinema, labels: {app: catalog}, annotations: {istio.io/autoRegistrationGroup: catalog-v2}}
spec: {address: 10.0.0.2, labels: {version: v2}, weight: 5, locality: eu/a, serviceAccount: sa}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: one, namespace: cinema}
spec: {address: 10.0.0.1, ports: {http: 18080}, labels: {app: catalog, service.istio.io/canonical-name: films}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: other-app, namespace: cinema}
spec: {address: 10.0.0.3, labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: other-namespace, namespace: theatre}
spec: {address: 10.0.0.4, labels: {app: catalog}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: no-address-for-static, namespace: cinema}
spec: {address: host.example, labels: {app: catalog}}
`))
	s, ok := r.Lookup("catalog", "cinema")
	if !ok {
		t.Fatal("no service")
	}
	want := []Endpoint{
		{
			Address: "10.0.0.1", Ports: map[string]uint32{"http": 18080}, Labels: map[string]string{"app": "catalog", "service.istio.io/canonical-name": "films"},
			Workload: mesh.Workload{Namespace: "cinema", Name: "one", App: "films", Version: "latest"}, Object: "WorkloadEntry cinema/one",
		},
		{
			Address: "10.0.0.2", Labels: map[string]string{"app": "catalog", "version": "v2"}, Weight: 5, Locality: Locality{Region: "eu", Zone: "a"}, ServiceAccount: "sa",
			Workload: mesh.Workload{Namespace: "cinema", Name: "catalog-v2", App: "catalog", Version: "v2"}, Object: "WorkloadEntry cinema/two",
		},
	}
	if diff := cmp.Diff(want, s.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	for i, ports := range [][2]uint32{{18080, 9000}, {8080, 9000}} {
		for j, p := range s.Ports {
			if got := s.Endpoints[i].Port(p); got != ports[j] {
				t.Errorf("endpoint %d, port %s = %d, want %d", i, p.Name, got, ports[j])
			}
		}
	}
	if diff := cmp.Diff([]string{"ServiceEntry cinema/catalog", "WorkloadEntry cinema/one", "WorkloadEntry cinema/two"}, s.Objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(mesh.Service{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"}, s.Service); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
}

func TestProtocols(t *testing.T) {
	for _, tt := range []struct {
		declared, name string
		want           string
		http, http2    bool
	}{
		{"HTTP", "web", "HTTP", true, false},
		{"http2", "web", "HTTP2", true, true},
		{"GRPC", "x", "GRPC", true, true},
		{"", "grpc-web", "GRPC-WEB", true, false},
		{"", "grpc-api", "GRPC", true, true},
		{"", "http", "HTTP", true, false},
		{"", "tcp-db", "TCP", false, false},
		{"HTTPS", "http", "HTTPS", false, false},
		{"", "web", "", false, false},
		{"", "httpd", "", false, false},
	} {
		p := Port{Protocol: config.PortProtocol(tt.declared, tt.name)}
		if p.Protocol != tt.want || p.IsHTTP() != tt.http || p.IsHTTP2() != tt.http2 {
			t.Errorf("%q, %q: %q, http %v, http2 %v", tt.declared, tt.name, p.Protocol, p.IsHTTP(), p.IsHTTP2())
		}
	}
}

// Check finds nothing where nothing is wrong: each of its warnings must be
// worth reading. What it does find stands in server/xds/testdata/unresolved.txtar.
func TestCheckIsSilent(t *testing.T) {
	all := objects(t, entry("a", "cinema", "catalog.cinema.svc.cluster.local", ", endpoints: [{address: a.example, labels: {version: v1}}]")+`---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: cinema}
spec: {host: catalog, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: theatre}
spec: {host: catalog.cinema, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: theatre}
spec: {hosts: [catalog.cinema], exportTo: ["."], http: [{route: [{destination: {host: catalog.cinema, subset: v1, port: {number: 80}}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: ops}
spec: {hosts: [catalog.cinema], exportTo: ["."], http: [{route: [{destination: {host: catalog.cinema}}]}]}
`)
	if problems := Check(all); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}
