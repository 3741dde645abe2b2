package cluster_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func TestFamilyChooses(t *testing.T) {
	v6first, v4first, v4, v6 := addrs("fd00::1", "10.0.0.1", "fd00::2"), addrs("10.0.0.1", "fd00::1"), addrs("10.0.0.1"), addrs("fd00::1")
	for _, c := range []struct {
		family cluster.Family
		found  []netip.Addr
		want   []netip.Addr
	}{
		{cluster.AutoFamily, v6first, addrs("fd00::1", "fd00::2")},
		{cluster.AutoFamily, v4first, v4},
		{cluster.AutoFamily, nil, nil},
		{cluster.V4Only, v6first, v4},
		{cluster.V4Only, v6, nil},
		{cluster.V6Only, v4first, v6},
		{cluster.V6Only, v4, nil},
		{cluster.V4Preferred, v6first, v4},
		{cluster.V4Preferred, v6, v6},
		{cluster.AllFamilies, v6first, v6first},
	} {
		got := c.family.Choose(c.found)
		if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" && len(c.want)+len(got) > 0 {
			t.Errorf("family %d of %v (-want +got):\n%s", c.family, c.found, diff)
		}
	}
}

func TestResolveEndpoints(t *testing.T) {
	declared := []cluster.Endpoint{
		{Address: "bank.example:443", Weight: 3},
		{Address: "10.0.0.9:443"},
		{Address: "till.example:80", Hostname: "till"},
		{Address: "[fd00::9]:80"},
		{Address: "lost.example:80"},
		{Address: "bank.example:80"},
	}
	if diff := cmp.Diff([]string{"bank.example", "lost.example", "till.example"}, cluster.NamesOf(declared)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	got := cluster.Resolve(declared, map[string][]netip.Addr{
		"bank.example": addrs("192.0.2.1", "fd00::1"), "till.example": addrs("192.0.2.7"),
	})
	want := []cluster.Endpoint{
		{Address: "192.0.2.1:443", Hostname: "bank.example", Weight: 3},
		{Address: "[fd00::1]:443", Hostname: "bank.example", Weight: 3},
		{Address: "10.0.0.9:443"},
		{Address: "192.0.2.7:80", Hostname: "till"},
		{Address: "[fd00::9]:80"},
		{Address: "lost.example:80"},
		{Address: "192.0.2.1:80", Hostname: "bank.example"},
		{Address: "[fd00::1]:80", Hostname: "bank.example"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(declared, cluster.Resolve(declared, nil)); diff != "" {
		t.Errorf("with nothing known (-want +got):\n%s", diff)
	}
}
