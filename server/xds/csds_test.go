package xds

import (
	"testing"
	"time"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

func TestClientStatus(t *testing.T) {
	now := time.Now()
	tr := skew.New(skew.Options{})
	tr.Accepted(mesh.Revision{Number: 1, At: now})
	res := []skew.Resource{{Type: mesh.TypeCluster, Name: "a", Version: "1", Revision: 1}, {Type: mesh.TypeCluster, Name: "b", Version: "1", Revision: 1}}
	tr.Connected(mesh.Node{ID: "web-1", Workload: mesh.Workload{Namespace: "cinema", Name: "web"}}, "c", "", now)
	tr.Desired("web-1", 1, [][]skew.Resource{res}, now)
	refs := []skew.ResourceRef{{Type: mesh.TypeCluster, Name: "a", Version: "1"}}
	tr.Sent("web-1", "c", "1", refs, now)
	tr.Acked("web-1", "c", "1", now)
	refs[0].Name = "b"
	tr.Sent("web-1", "c", "2", refs, now)
	tr.Nacked("web-1", "c", "2", "cluster b: no such thing", now)
	tr.Expected(mesh.Node{ID: "seats-1"}, now)

	p := startPlane(t, "")
	p.server.opts.Status = tr
	c := csds{server: p.server}
	ask := func(matchers ...*matcherv3.NodeMatcher) []*statusv3.ClientConfig {
		resp, err := c.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{NodeMatchers: matchers})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetConfig()
	}
	if all := ask(); len(all) != 2 {
		t.Fatalf("%d nodes", len(all))
	}
	one := ask(&matcherv3.NodeMatcher{NodeId: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "web"}}})
	if len(one) != 1 || one[0].GetNode().GetId() != "web-1" {
		t.Fatalf("%v", one)
	}
	states := map[string]statusv3.ConfigStatus{}
	for _, g := range one[0].GetGenericXdsConfigs() {
		states[g.GetName()] = g.GetConfigStatus()
		if g.GetName() == "b" && g.GetErrorState().GetDetails() != "no such thing" {
			t.Errorf("error %q", g.GetErrorState().GetDetails())
		}
	}
	if states["a"] != statusv3.ConfigStatus_SYNCED || states["b"] != statusv3.ConfigStatus_ERROR {
		t.Errorf("states %v", states)
	}
}
