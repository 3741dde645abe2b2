package app

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
)

// sidecar is a peer that takes configuration and acknowledges it while it is
// told to.
func sidecar(t *testing.T, a *App, id string) (take func(short string)) {
	t.Helper()
	metadata, err := structpb.NewStruct(map[string]any{"NAMESPACE": "cinema", "WORKLOAD_NAME": "web", "SIDELIGHT_OUTBOUND": "127.0.0.1:15001"})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(dial(t, a.Addrs().XDS)).DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(r *discoveryv3.DeltaDiscoveryRequest) {
		r.Node = &corev3.Node{Id: id, Metadata: metadata}
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
	}
	for _, subscribe := range []struct{ short, name string }{
		{mesh.TypeCluster, "*"},
		{mesh.TypeEndpoint, "outbound|8080||catalog.cinema.svc.cluster.local"},
		{mesh.TypeEndpoint, "outbound|8080|v1|catalog.cinema.svc.cluster.local"},
		{mesh.TypeEndpoint, "outbound|8080|v2|catalog.cinema.svc.cluster.local"},
		{mesh.TypeListener, "*"},
		{mesh.TypeRoute, "outbound"},
	} {
		send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: mesh.TypeURL(subscribe.short), ResourceNamesSubscribe: []string{subscribe.name}})
		receive()
	}
	return func(string) { receive() }
}

func TestExplain(t *testing.T) {
	dir := ""
	a := start(t, func(o *Options) { o.StateDir = t.TempDir(); dir = o.ConfigDir })
	address := "/api/v1/config/explain?" + url.Values{"url": {"http://catalog/movies"}, "from": {"cinema/web"}}.Encode()
	ask := func() (x api.Explanation) {
		t.Helper()
		if status := get(t, a.Addrs().API, address, &x); status != 200 {
			t.Fatalf("explain: status %d", status)
		}
		return x
	}

	x := ask()
	if x.Node != "" || x.Runs != nil || len(x.Notes) != 1 || !strings.HasPrefix(x.Desired.Outcome, "90 % goes to") {
		t.Errorf("without a sidecar: %+v", x)
	}

	take := sidecar(t, a, "web-1")
	eventually(t, "the node runs what it should", func() bool { x = ask(); return x.Runs != nil && x.Same && x.Runs.Revision == 1 })
	if x.Node != "web-1" || x.Runs.Revision != 1 || len(x.Differences) != 0 || len(x.Nodes) != 1 || !x.Nodes[0].Same {
		t.Errorf("in step: %+v", x)
	}

	// A change that the sidecar does not take.
	path := filepath.Join(dir, "cinema.yaml")
	changed := strings.NewReplacer("weight: 90", "weight: 50", "weight: 10", "weight: 50").Replace(cinema)
	if err := os.WriteFile(path, []byte("# moved\n\n"+changed), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the difference shows", func() bool { x = ask(); return x.Desired.Revision == 2 })
	if x.Same || x.Runs == nil || len(x.Nodes) != 1 || x.Nodes[0].Same {
		t.Fatalf("out of step: %+v", x)
	}
	if got, want := strings.Join(x.Differences, "\n"), "split: catalog.cinema:8080 subset v1 runs as 90 %; desired is 50 %\n"; !strings.HasPrefix(got, want) {
		t.Errorf("differences:\n%s\nwant\n%s", got, want)
	}
	lines := func(a int, steps int) int {
		if a == 0 {
			return x.Runs.Steps[steps].Line
		}
		return x.Desired.Steps[steps].Line
	}
	if runs, desired := lines(0, 2), lines(1, 2); runs == 0 || desired != runs+2 {
		t.Errorf("the route stands in line %d, stood in line %d", desired, runs)
	}
	// The same, resource by resource: with what it should run, and with a node that
	// runs that.
	sidecar(t, a, "web-2")
	for _, against := range []string{"", "?against=web-2"} {
		var d api.NodeDifference
		eventually(t, "the route differs "+against, func() bool {
			return get(t, a.Addrs().API, "/api/v1/nodes/web-1/diff"+against, &d) == 200 && len(d.Resources) == 1
		})
		r := d.Resources[0]
		if r.Op != "changed" || r.Type != mesh.TypeRoute || r.Runs == r.Should || !slices.Contains(r.Objects, "VirtualService cinema/catalog") || len(d.Notes) != 0 {
			t.Errorf("difference%s: %+v, notes %q", against, r, d.Notes)
		}
		var fields []string
		for _, f := range r.Fields {
			fields = append(fields, f.Op+" "+f.Path+" "+f.Before+" "+f.After)
		}
		const route = "changed virtualHosts[catalog.cinema.svc.cluster.local:8080].routes[catalog[0]].route.weightedClusters.clusters[outbound|8080|"
		if got := strings.Join(fields, "\n"); !strings.Contains(got, route+"v1|catalog.cinema.svc.cluster.local].weight 90 50") || !strings.Contains(got, "].weight 10 50") || len(fields) != 2 {
			t.Errorf("fields%s:\n%s", against, got)
		}
	}
	for id, want := range map[string]int{"web-2/diff": 200, "web-9/diff": 404, "web-1/diff?against=web-9": 404, "web-1/diff?with=web-2": 400} {
		if status := get(t, a.Addrs().API, "/api/v1/nodes/"+id, nil); status != want {
			t.Errorf("%s: status %d, want %d", id, status, want)
		}
	}
	// By the revision that it runs, there is no difference.
	address += "&revision=1"
	if x = ask(); !x.Same || x.Desired.Revision != 1 {
		t.Errorf("by revision 1: %+v", x)
	}
	address = strings.TrimSuffix(address, "&revision=1")
	take(mesh.TypeRoute)
	eventually(t, "the sidecar follows", func() bool { x = ask(); return x.Same })

	for query, want := range map[string]int{
		"url=http://catalog/&from=cinema/web&node=web-9": 404, "url=http://catalog/&from=cinema/web&revision=9": 404,
		"url=catalog&from=cinema/web": 400, "url=http://catalog/&from=web": 400, "url=http://catalog/": 400, "from=cinema/web": 400,
		"url=http://catalog/&node=web-1&from=cinema/other": 400, "url=http://catalog/&node=web-1&header=x": 400,
		"url=http://catalog/&node=web-1&header=x-a:b&header=x-a:c&method=POST": 200,
	} {
		if status := get(t, a.Addrs().API, "/api/v1/config/explain?"+query, nil); status != want {
			t.Errorf("%s: status %d, want %d", query, status, want)
		}
	}
}
