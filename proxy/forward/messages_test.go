package forward_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func TestGRPCMessages(t *testing.T) {
	s, client, h := grpcSidecar(t, route.Forward{})
	want := func(requests, responses int64) {
		t.Helper()
		s.seen.next(t)
		s.seen.mu.Lock()
		defer s.seen.mu.Unlock()
		if s.seen.requests != requests || s.seen.responses != responses {
			t.Errorf("%d messages to and %d from the service, want %d and %d", s.seen.requests, s.seen.responses, requests, responses)
		}
		if s.seen.messagesTo != payments.Name {
			t.Errorf("they went to %q", s.seen.messagesTo)
		}
	}
	if _, err := client.Check(within(t), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	want(1, 1)
	if _, err := client.Check(within(t), &healthpb.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	want(2, 1) // an answer of trailers only has no message
	ctx, cancel := context.WithCancel(within(t))
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		h.SetServingStatus("", healthpb.HealthCheckResponse_ServingStatus(1+(i+1)%2))
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	want(3, 12)
}

// A client may write what it likes into its metadata; as labels its values would
// stand in every series, so what no name can be is not believed.
func TestHostilePeerMetadata(t *testing.T) {
	s := newSidecar(t, payments, listen.Inbound)
	s.simple(route.Forward{}, backend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	encode := func(name string) string {
		m, err := structpb.NewStruct(map[string]any{"WORKLOAD_NAME": name, "NAMESPACE": "cinema"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	// A struct whose one string is not UTF-8: a label like it would be a panic.
	broken := base64.StdEncoding.EncodeToString([]byte("\x0a\x15\x0a\x0dWORKLOAD_NAME\x12\x04\x1a\x02\xff\xfe"))
	for name, tt := range map[string]struct{ metadata, want string }{
		"right":      {encode("web"), "web"},
		"longest":    {encode(strings.Repeat("a", 253)), strings.Repeat("a", 253)},
		"too long":   {encode(strings.Repeat("a", 254)), ""},
		"huge":       {encode(strings.Repeat("a", 20_000)), ""},
		"not base64": {"%%%", ""},
		"not UTF-8":  {broken, ""},
		"quotes":     {encode("a\"b\\c\nd"), "a\"b\\c\nd"},
	} {
		req := s.request("GET", "/", nil)
		req.Header.Set("X-Envoy-Peer-Metadata", tt.metadata)
		req.Header.Set("X-Envoy-Peer-Metadata-Id", "x")
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res.Body.Close()
		if got := s.seen.next(t).Source.Name; got != tt.want {
			t.Errorf("%s: the source is %.40q, want %.40q", name, got, tt.want)
		}
	}
}
