package xds

import (
	"math/rand/v2"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// A table that is made of the one before it is the table that its bytes alone
// give, over random changes; and what did not change is not made again.
func TestRoutesAfterRoutes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tr := newTranslator("1.2.3")
	m := &routev3.RouteConfiguration{}
	if err := manyRoutes(t, 20, 1).UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	var last *resource
	for revision := uint64(1); revision < 100; revision++ {
		hosts := m.VirtualHosts
		i, j := rng.IntN(len(hosts)), rng.IntN(len(hosts))
		switch rng.IntN(4) {
		case 0:
			hosts[i], hosts[j] = hosts[j], hosts[i]
		case 1:
			hosts[i].Routes[0].GetRoute().ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: "changed"}
		case 2:
			hosts[i].Domains = hosts[i].Domains[1:]
			if len(hosts[i].Domains) == 0 {
				m.VirtualHosts = append(hosts[:i:i], hosts[i+1:]...)
			}
		case 3:
			m.RequestHeadersToRemove = append(m.RequestHeadersToRemove, "x-a")
		}
		packed, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		after, err := tr.translateAfter(last, mesh.TypeRoute, "outbound", "v", revision, packed)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := tr.translate(mesh.TypeRoute, "outbound", "v", revision, packed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*alone.table.Config(), *after.table.Config(), compiled()); diff != "" {
			t.Fatalf("revision %d (-alone +after):\n%s", revision, diff)
		}
		if diff := cmp.Diff(alone.uses, after.uses); diff != "" {
			t.Fatalf("revision %d: clusters (-alone +after):\n%s", revision, diff)
		}
		for _, vh := range m.VirtualHosts {
			for _, domain := range vh.Domains {
				a := alone.table.Match(&route.Request{Host: domain, Path: "/", Method: "GET"})
				b := after.table.Match(&route.Request{Host: domain, Path: "/", Method: "GET"})
				if a.Revision != revision || b.Revision != revision || a.Host.Name != b.Host.Name || a.Route.Forward.Clusters[0].Cluster != b.Route.Forward.Clusters[0].Cluster {
					t.Fatalf("revision %d, %s: %+v alone, %+v after", revision, domain, a, b)
				}
			}
		}
		same := 0
		for key, known := range after.hosts {
			if last != nil && len(known.host.Routes) > 0 && len(last.hosts[key].host.Routes) > 0 && &known.host.Routes[0] == &last.hosts[key].host.Routes[0] {
				same++
			}
		}
		if last != nil && same < len(after.hosts)-1 {
			t.Fatalf("revision %d: %d of %d virtual hosts were made again", revision, len(after.hosts)-same, len(after.hosts))
		}
		last = after
	}
}

// What is wrong is told by its path, and what stands stays as it is.
func TestRoutesAfterRoutesRefuse(t *testing.T) {
	tr := newTranslator("1.2.3")
	good, err := tr.translate(mesh.TypeRoute, "outbound", "v", 1, manyRoutes(t, 3, 1))
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*routev3.RouteConfiguration){
		"virtual_hosts[1].include_request_attempt_count: not supported": func(m *routev3.RouteConfiguration) { m.VirtualHosts[1].IncludeRequestAttemptCount = true },
		"virtual_hosts[2].routes[0].match.prefix":                       func(m *routev3.RouteConfiguration) { m.VirtualHosts[2].Routes[0].Match = &routev3.RouteMatch{} },
		"is also in virtual host":                                       func(m *routev3.RouteConfiguration) { m.VirtualHosts[1].Domains = m.VirtualHosts[0].Domains },
		"vhds: not supported":                                           func(m *routev3.RouteConfiguration) { m.Vhds = &routev3.Vhds{} },
		"virtual_hosts[0].domains":                                      func(m *routev3.RouteConfiguration) { m.VirtualHosts[0].Domains = nil },
	} {
		m := &routev3.RouteConfiguration{}
		if err := manyRoutes(t, 3, 1).UnmarshalTo(m); err != nil {
			t.Fatal(err)
		}
		change(m)
		packed, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.translateAfter(good, mesh.TypeRoute, "outbound", "v", 2, packed); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, ".prefix")) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestVirtualHostsField(t *testing.T) {
	f := (&routev3.RouteConfiguration{}).ProtoReflect().Descriptor().Fields().ByName("virtual_hosts")
	if f.Number() != virtualHostsField {
		t.Errorf("virtual_hosts is field %d", f.Number())
	}
	whole := manyRoutes(t, 5, 1)
	rest, hosts, ok := splitHosts(whole)
	m := &routev3.RouteConfiguration{}
	if err := rest.UnmarshalTo(m); !ok || len(hosts) != 5 || err != nil || m.Name != "outbound" || len(m.VirtualHosts) != 0 {
		t.Errorf("%v, %d hosts, %v, rest %v", ok, len(hosts), err, m)
	}
	if !proto.Equal(whole, manyRoutes(t, 5, 1)) {
		t.Error("the resource itself was changed")
	}
}
