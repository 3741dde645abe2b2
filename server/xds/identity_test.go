package xds

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// said is a stream that brings one message.
type said struct {
	grpc.ServerStream
	message proto.Message
}

func (s said) RecvMsg(m any) error {
	proto.Merge(m.(proto.Message), s.message)
	return nil
}

// In either form of ADS a node is who its certificate says, or is refused.
func TestEitherFormIsAuthenticated(t *testing.T) {
	node := testNode(t, "web", "cinema", map[string]any{"SERVICE_ACCOUNT": "web"})
	for _, message := range []proto.Message{&discoveryv3.DeltaDiscoveryRequest{Node: node}, &discoveryv3.DiscoveryRequest{Node: node}} {
		for account, want := range map[string]codes.Code{"web": codes.OK, "payments": codes.PermissionDenied} {
			s := &authenticated{said{message: message}, "cinema", account}
			if err := s.RecvMsg(message.ProtoReflect().New().Interface()); status.Code(err) != want {
				t.Errorf("%T as %s: %v, want %s", message, account, err, want)
			}
		}
	}
}
