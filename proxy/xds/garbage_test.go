package xds

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

type deltaStream = grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]

// scripted is a control plane that does what the test says.
type scripted struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	opened chan struct{}
	serve  func(deltaStream) error
}

func (s *scripted) DeltaAggregatedResources(stream deltaStream) error {
	select {
	case s.opened <- struct{}{}:
	default:
	}
	return s.serve(stream)
}

func wrap(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return packed
}

func response(kind, nonce string, resources ...*discoveryv3.Resource) *discoveryv3.DeltaDiscoveryResponse {
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: mesh.TypeURL(kind), Nonce: nonce, SystemVersionInfo: "1", Resources: resources}
}

// TestServerThatBreaksTheProtocol: the stream is ended and tried again, and
// what runs goes on running.
func TestServerThatBreaksTheProtocol(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		resp *discoveryv3.DeltaDiscoveryResponse
		want string
	}{
		{"unknown type", &discoveryv3.DeltaDiscoveryResponse{TypeUrl: "type.googleapis.com/x", Nonce: "1"}, `server sent type "type.googleapis.com/x", which was not asked for`},
		{"no type", &discoveryv3.DeltaDiscoveryResponse{Nonce: "1"}, `server sent type "", which was not asked for`},
		{"type not asked for", response(mesh.TypeRoute, "1"), "which was not asked for"},
		{"no nonce", response(mesh.TypeCluster, ""), "server sent a response without nonce"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, address := serve(t, "", func(s *grpc.Server) {
				discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, &scripted{serve: func(stream deltaStream) error {
					if err := stream.Send(tt.resp); err != nil {
						return err
					}
					<-stream.Context().Done()
					return nil
				}})
			})
			s := startSidecar(t, Options{Servers: []string{address}})
			eventually(t, tt.want, func() bool { return strings.Contains(s.Status().LastError, tt.want) })
		})
	}
}

// TestResponsesThatAreRefused looks at the one answer to each.
func TestResponsesThatAreRefused(t *testing.T) {
	good := &discoveryv3.Resource{Name: "a", Version: "1", Resource: wrap(edsCluster("a"))}
	tests := []struct {
		name      string
		resources []*discoveryv3.Resource
		want      string
	}{
		{"no content", []*discoveryv3.Resource{{Name: "a"}}, "cluster a: the response carries no content"},
		{"other type", []*discoveryv3.Resource{{Name: "a", Resource: wrap(routes("a", "b"))}}, "cluster a: is a envoy.config.route.v3.RouteConfiguration, not a Cluster"},
		{"other name", []*discoveryv3.Resource{{Name: "b", Resource: wrap(edsCluster("a"))}}, `cluster b: the resource calls itself "a"`},
		{"twice", []*discoveryv3.Resource{good, good}, "cluster a: is in the response twice"},
		{"nil", []*discoveryv3.Resource{nil}, "cluster : the response carries no content"},
		{
			"two of three",
			[]*discoveryv3.Resource{{Name: "x"}, good, {Name: "y"}},
			"cluster x: the response carries no content; cluster y: the response carries no content",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t)
			subs := newSubscriptions()
			c.subscribe(subs)
			replies, err := c.receive(subs, response(mesh.TypeCluster, "7", tt.resources...), time.Now())
			if err != nil || len(replies) != 1 {
				t.Fatalf("receive gives %d replies and %v", len(replies), err)
			}
			if got := replies[0].GetErrorDetail().GetMessage(); got != tt.want {
				t.Errorf("NACK says\n%s\nwant\n%s", got, tt.want)
			}
			if got := replies[0].GetResponseNonce(); got != "7" {
				t.Errorf("NACK has nonce %q", got)
			}
			if n := len(c.store.versions(mesh.TypeCluster)); n != 0 {
				t.Errorf("%d resources of a refused response were kept", n)
			}
		})
	}
}

func TestNackIsBounded(t *testing.T) {
	c := newTestClient(t)
	subs := newSubscriptions()
	c.subscribe(subs)
	resp := response(mesh.TypeCluster, "1")
	for i := range 1000 {
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: fmt.Sprintf("cluster-%d", i)})
	}
	replies, err := c.receive(subs, resp, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if text := replies[0].GetErrorDetail().GetMessage(); len(text) > maxNack+100 || !strings.Contains(text, "more") {
		t.Errorf("NACK of %d bytes ends in %q", len(text), text[len(text)-40:])
	}
}

// TestWhatWasUnsubscribedIsIgnored: a response may cross our unsubscription.
func TestWhatWasUnsubscribedIsIgnored(t *testing.T) {
	c := newTestClient(t)
	subs := newSubscriptions()
	c.subscribe(subs)
	receive := func(resp *discoveryv3.DeltaDiscoveryResponse) []*discoveryv3.DeltaDiscoveryRequest {
		t.Helper()
		replies, err := c.receive(subs, resp, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return replies
	}
	replies := receive(response(mesh.TypeCluster, "1", &discoveryv3.Resource{Name: "a", Resource: wrap(edsCluster("a"))}))
	if len(replies) != 2 || replies[1].GetResourceNamesSubscribe()[0] != "a" {
		t.Fatalf("after the cluster: %v", replies)
	}
	gone := response(mesh.TypeCluster, "2")
	gone.RemovedResources = []string{"a", "never heard of"}
	replies = receive(gone)
	if len(replies) != 2 || replies[1].GetResourceNamesUnsubscribe()[0] != "a" {
		t.Fatalf("after its removal: %v", replies)
	}
	replies = receive(response(mesh.TypeEndpoint, "3", &discoveryv3.Resource{Name: "a", Resource: wrap(endpoints("a", 1))}))
	if len(replies) != 1 || replies[0].GetErrorDetail() != nil {
		t.Errorf("after the late endpoints: %v", replies)
	}
	if n := len(c.store.versions(mesh.TypeEndpoint)); n != 0 {
		t.Errorf("%d assignments are kept that nobody names", n)
	}
}

// TestAbsentResourcesAreNotWaitedFor: a server may say that there is none.
func TestAbsentResourcesAreNotWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name string
		resp func(*discoveryv3.DeltaDiscoveryResponse)
	}{
		{"removed", func(r *discoveryv3.DeltaDiscoveryResponse) { r.RemovedResources = []string{"a"} }},
		{"error", func(r *discoveryv3.DeltaDiscoveryResponse) {
			r.ResourceErrors = []*discoveryv3.ResourceError{{
				ResourceName: &discoveryv3.ResourceName{Name: "a"}, ErrorDetail: &statuspb.Status{Message: "no such cluster"},
			}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t)
			subs := newSubscriptions()
			c.subscribe(subs)
			for _, resp := range []*discoveryv3.DeltaDiscoveryResponse{
				response(mesh.TypeCluster, "1", &discoveryv3.Resource{Name: "a", Resource: wrap(edsCluster("a"))}),
				response(mesh.TypeListener, "2"),
				response(mesh.TypeEndpoint, "3"),
			} {
				if resp.GetNonce() == "3" {
					tt.resp(resp)
				}
				if _, err := c.receive(subs, resp, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if needs := c.store.candidate().needs(); len(needs) != 0 {
				t.Errorf("still waits for %v", needs)
			}
		})
	}
}

// TestGarbageOnThePort: something else listens there.
func TestGarbageOnThePort(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			noise := make([]byte, 4096)
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			_, _ = conn.Write(noise)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = lis.Close()
		<-served
	})
	s := startSidecar(t, Options{Servers: []string{lis.Addr().String()}})
	eventually(t, "an error", func() bool { return s.Status().LastError != "" })
	if s.Status().Connected || s.Configured() {
		t.Error("noise is taken for a control plane")
	}
}

func newTestClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{Node: mesh.Node{ID: testNode, Build: "1.2.3"}, Servers: []string{"127.0.0.1:1"}, Runtime: &fakeRuntime{}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
