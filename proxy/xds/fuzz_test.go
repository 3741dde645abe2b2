package xds

import (
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// FuzzReceive takes a control plane's response as bytes: it is accepted, refused
// or ends the stream, and what is held stays what it says it is.
func FuzzReceive(f *testing.F) {
	response := func(kind string, removed []string, messages ...proto.Message) []byte {
		resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: mesh.TypeURL(kind), Nonce: "1", SystemVersionInfo: "7", RemovedResources: removed}
		for _, m := range messages {
			packed, err := anypb.New(m)
			if err != nil {
				f.Fatal(err)
			}
			name := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByNumber(1)).String()
			resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: name, Version: "a", Resource: packed})
		}
		b, err := proto.Marshal(resp)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(response(mesh.TypeCluster, nil, edsCluster("catalog")))
	f.Add(response(mesh.TypeCluster, []string{"catalog", "*", ""}, badCluster("bad")))
	f.Add(response(mesh.TypeListener, nil, listener("outbound", "main")))
	f.Add(response(mesh.TypeRoute, nil, routes("main", "catalog")))
	f.Add(response(mesh.TypeEndpoint, []string{"catalog"}, endpoints("catalog", 8080)))
	c, err := New(Options{Node: mesh.Node{ID: testNode}, Servers: []string{"127.0.0.1:1"}, Runtime: &fakeRuntime{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		resp := &discoveryv3.DeltaDiscoveryResponse{}
		if proto.Unmarshal(data, resp) != nil {
			return
		}
		c.store = newStore()
		c.store.accept(update{kind: mesh.TypeListener, set: []*resource{translated(t, c, mesh.TypeListener, "outbound", listener("outbound", "main"))}}, time.Now())
		c.store.accept(update{kind: mesh.TypeCluster, set: []*resource{translated(t, c, mesh.TypeCluster, "catalog", edsCluster("catalog"))}}, time.Now())
		subs := newSubscriptions()
		c.subscribe(subs)
		requests, err := c.receive(subs, resp, time.Now())
		if err == nil && len(requests) == 0 {
			t.Error("neither taken, nor refused, nor ended")
		}
		for _, kind := range kinds() {
			for name, r := range c.store.candidate().types[kind].resources {
				if r.name != name || r.kind != kind {
					t.Errorf("%s %s is held as %s %s", r.kind, r.name, kind, name)
				}
			}
		}
		c.store.candidate().snapshot()
	})
}

func translated(t *testing.T, c *Client, kind, name string, m proto.Message) *resource {
	t.Helper()
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.translator.translate(kind, name, "a", 1, packed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
