package xds

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// A server that goes by the version alone, as go-control-plane's does, says that
// nothing is new when it is asked for more names.
func TestPullMoreNames(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var req discoveryv3.DiscoveryRequest
		if err := protojson.Unmarshal(body, &req); err != nil {
			t.Error(err)
		}
		if req.GetVersionInfo() == "7" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		resp := &discoveryv3.DiscoveryResponse{VersionInfo: "7"}
		for _, name := range req.GetResourceNames() {
			packed, err := anypb.New(&endpointv3.ClusterLoadAssignment{ClusterName: name})
			if err != nil {
				t.Error(err)
			}
			resp.Resources = append(resp.Resources, packed)
		}
		out, err := proto.Marshal(resp)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", protobufType)
		_, _ = w.Write(out)
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := newPullStream(ctx, server.Listener.Addr().String(), time.Hour, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(version string, names ...string) {
		if err := p.Send(&discoveryv3.DiscoveryRequest{TypeUrl: mesh.TypeURL(mesh.TypeEndpoint), VersionInfo: version, ResourceNames: names}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int) {
		t.Helper()
		if resp, err := p.Recv(); err != nil || len(resp.GetResources()) != n {
			t.Fatalf("%v, %v; want %d", resp, err, n)
		}
	}
	ask("", "catalog")
	want(1)
	ask("7", "catalog")
	ask("7", "catalog", "reviews")
	want(2)
}
