package xds

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(fleetRole); role != "" { // see BenchmarkFleet
		if err := serveFleet(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// service gives a ServiceEntry with one HTTP port and one endpoint.
func service(host, ip string) string {
	name, _, _ := strings.Cut(host, ".")
	return fmt.Sprintf(`---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s, namespace: cinema}
spec:
  hosts: [%s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: %s, labels: {app: %s, version: v1}}]
`, name, host, ip, name)
}

// routeTo gives a VirtualService that sends a host's requests somewhere.
func routeTo(name, host, to string) string {
	return fmt.Sprintf(`---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s, namespace: cinema}
spec:
  hosts: [%s]
  http: [{route: [{destination: {host: %s}}]}]
`, name, host, to)
}

const (
	catalog = "catalog.cinema.svc.cluster.local"
	reviews = "reviews.cinema.svc.cluster.local"
	posters = "posters.cinema.svc.cluster.local"
)

func cluster(host string) string { return clusterName(80, "", host) }

func TestOnlyChangesAreResent(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1")+service(reviews, "10.0.0.2"))
	c := p.dial(t, testNode(t, "web", "cinema", nil))
	got := c.start()
	if diff := cmp.Diff([]string{cluster(catalog), cluster(reviews)}, names(got[mesh.TypeCluster])); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"outbound"}, names(got[mesh.TypeRoute])); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}

	// One endpoint moves: one assignment is sent, and nothing else.
	rev := p.apply(t, service(reviews, "10.0.0.3"))
	r := c.next(mesh.TypeEndpoint)
	if diff := cmp.Diff([]string{cluster(reviews)}, names(r)); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if got, want := r.GetSystemVersionInfo(), fmt.Sprint(rev); got != want {
		t.Errorf("system_version_info = %q, want %q", got, want)
	}
	c.ack(r)
	c.silent()

	// A comment is no change.
	if a, err := p.store.Apply(t.Context(), []byte("# moved\n"+service(reviews, "10.0.0.3")), "test"); err != nil || a.Revision != nil {
		t.Errorf("apply of the same = %v, %v, want no revision", a.Revision, err)
	}
	c.silent()

	// A removal is sent as one.
	if _, err := p.store.Delete(t.Context(), p.store.Objects()[1].Key(), "test"); err != nil {
		t.Fatal(err)
	}
	r = c.next(mesh.TypeRoute) // first what names the cluster
	c.silent()
	c.ack(r)
	r = c.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(reviews)}, r.GetRemovedResources()); diff != "" {
		t.Errorf("removed clusters (-want +got):\n%s", diff)
	}
	c.ack(r)
	r = c.next(mesh.TypeEndpoint)
	if diff := cmp.Diff([]string{cluster(reviews)}, r.GetRemovedResources()); diff != "" {
		t.Errorf("removed endpoints (-want +got):\n%s", diff)
	}
}

func TestMakeBeforeBreak(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	c := p.dial(t, testNode(t, "web", "cinema", nil))
	c.start()

	// A new service and a route to it, in one revision.
	p.apply(t, service(posters, "10.0.0.9")+routeTo("catalog-route", catalog, posters))
	r := c.next(mesh.TypeCluster)
	c.silent() // the route waits
	c.subscribe(mesh.TypeEndpoint, nil, cluster(posters))
	e := c.next(mesh.TypeEndpoint)
	c.ack(r)
	c.silent() // for the endpoints too
	c.ack(e)
	c.ack(c.next(mesh.TypeRoute))
	c.silent()
}

func TestRefusalIsAnsweredOnce(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	c := p.dial(t, testNode(t, "web", "cinema", nil))
	c.start()
	p.apply(t, service(reviews, "10.0.0.2")+service(posters, "10.0.0.3"))

	r := c.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(posters), cluster(reviews)}, names(r)); diff != "" {
		t.Fatalf("clusters (-want +got):\n%s", diff)
	}
	message := "cluster " + cluster(reviews) + ": not supported by build 1"
	c.nack(r, message)
	// The cluster that was not refused gets another try, by itself.
	again := c.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(posters)}, names(again)); diff != "" {
		t.Errorf("clusters after the refusal (-want +got):\n%s", diff)
	}
	c.ack(again)
	c.ack(c.next(mesh.TypeRoute))
	c.silent()
	p.tracker.wait(t, fmt.Sprintf("nacked web %s %s", r.GetNonce(), message))

	// A refusal without names refuses all of it, and nothing comes back.
	p.apply(t, service("extra.cinema.svc.cluster.local", "10.0.0.4"))
	r = c.next(mesh.TypeCluster)
	c.nack(r, "no")
	c.ack(c.next(mesh.TypeRoute))
	c.silent()

	// New content is a new try.
	p.apply(t, strings.Replace(service(reviews, "10.0.0.2"), "protocol: HTTP", "protocol: GRPC", 1))
	r = c.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(reviews)}, names(r)); diff != "" {
		t.Errorf("clusters after the change (-want +got):\n%s", diff)
	}
}

func TestReconnectResendsNothing(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1")+service(reviews, "10.0.0.2"))
	first := p.dial(t, testNode(t, "web", "cinema", nil))
	got := first.start()

	c := p.dial(t, testNode(t, "web", "cinema", nil))
	for _, short := range []string{mesh.TypeCluster, mesh.TypeEndpoint, mesh.TypeListener, mesh.TypeRoute} {
		held := versions(got[short])
		subscribe := []string{"*"}
		if short == mesh.TypeEndpoint || short == mesh.TypeRoute {
			subscribe = names(got[short])
		}
		c.subscribe(short, held, subscribe...)
		if subscribe[0] == "*" {
			// One empty word, so that the client knows that it has all.
			r := c.next(short)
			if len(r.GetResources())+len(r.GetRemovedResources()) > 0 {
				t.Errorf("%s resent: %v", short, names(r))
			}
			c.ack(r)
		}
	}
	c.silent()
	p.tracker.wait(t, "holds web cluster "+cluster(catalog))

	// What changed meanwhile is sent, and what it holds and is gone is taken.
	c = p.dial(t, testNode(t, "web", "cinema", nil))
	c.subscribe(mesh.TypeCluster, map[string]string{cluster(catalog): "old", "gone": "x", cluster(reviews): versions(got[mesh.TypeCluster])[cluster(reviews)]}, "*")
	r := c.next(mesh.TypeCluster)
	if diff := cmp.Diff([]string{cluster(catalog)}, names(r)); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"gone"}, r.GetRemovedResources()); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
}

func TestNamesThatDoNotExist(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	c := p.dial(t, testNode(t, "web", "cinema", nil))
	c.subscribe(mesh.TypeEndpoint, nil, "no such", cluster(catalog))
	r := c.next(mesh.TypeEndpoint)
	if diff := cmp.Diff([]string{"no such"}, r.GetRemovedResources()); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{cluster(catalog)}, names(r)); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	c.ack(r)
	c.silent() // told once

	// Unsubscribed and subscribed again, it is sent again.
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: mesh.TypeURL(mesh.TypeEndpoint), ResourceNamesUnsubscribe: []string{cluster(catalog)}})
	c.silent()
	c.subscribe(mesh.TypeEndpoint, nil, cluster(catalog))
	if diff := cmp.Diff([]string{cluster(catalog)}, names(c.next(mesh.TypeEndpoint))); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}

func TestBadRequestsEndTheStream(t *testing.T) {
	bad := testNode(t, "web", "cinema", map[string]any{"SIDELIGHT_INBOUND": []any{map[string]any{"address": "nowhere"}}})
	for _, tt := range []struct {
		name string
		send func(*client)
		want codes.Code
		says string
	}{
		{"no node", func(c *client) { c.node = nil; c.subscribe(mesh.TypeCluster, nil, "*") }, codes.InvalidArgument, "node"},
		{"no node id", func(c *client) { c.node.Id = ""; c.subscribe(mesh.TypeCluster, nil, "*") }, codes.InvalidArgument, "node.id"},
		{"bad metadata", func(c *client) { c.node = bad; c.subscribe(mesh.TypeCluster, nil, "*") }, codes.InvalidArgument, "SIDELIGHT_INBOUND[0]: address"},
		{"no type", func(c *client) { c.send(&discoveryv3.DeltaDiscoveryRequest{}) }, codes.InvalidArgument, "type_url"},
		{"many types", func(c *client) {
			for i := range maxOtherTypes + 1 {
				c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: fmt.Sprint("type.googleapis.com/x", i)})
			}
		}, codes.ResourceExhausted, "resource types"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPlane(t, "")
			c := p.dial(t, testNode(t, "web", "cinema", nil))
			tt.send(c)
			err := <-c.err
			if status.Code(err) != tt.want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("stream ended with %v, want %s that says %q", err, tt.want, tt.says)
			}
		})
	}
}
