package xds

import (
	"cmp"
	"context"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// Authenticated lets only those have configuration whose certificate says what
// their node says: its namespace and service account. Caller gives who a call
// is from.
func Authenticated(caller func(context.Context) (namespace, account string, ok bool)) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		namespace, account, ok := caller(stream.Context())
		if !ok {
			return errNoCertificate
		}
		return next(srv, &authenticated{stream, namespace, account})
	}
}

// authenticated compares what a node says of itself with its certificate.
type authenticated struct {
	grpc.ServerStream
	namespace, account string
}

func (s *authenticated) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	switch m := m.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		return s.node(m.GetNode())
	case *discoveryv3.DiscoveryRequest:
		return s.node(m.GetNode())
	case *meshv1.AgentMessage:
		if h := m.GetHello(); h != nil {
			return sameIdentity(h.GetWorkload().GetNamespace(), s.account, s.namespace, s.account)
		}
	}
	return nil
}

// node checks a node that a request tells; only the first one does.
func (s *authenticated) node(n *corev3.Node) error {
	if n == nil {
		return nil
	}
	return nodeIs(n, s.namespace, s.account)
}

var errNoCertificate = status.Error(codes.Unauthenticated, "this port takes nodes with a certificate of the mesh only: join first")

// nodeIs compares what a node says of itself with its certificate's.
func nodeIs(n *corev3.Node, namespace, account string) error {
	fields := n.GetMetadata().GetFields()
	return sameIdentity(cmp.Or(fields["NAMESPACE"].GetStringValue(), "default"),
		cmp.Or(fields["SERVICE_ACCOUNT"].GetStringValue(), "default"), namespace, account)
}

func sameIdentity(namespace, account, certNamespace, certAccount string) error {
	if namespace == certNamespace && account == certAccount {
		return nil
	}
	return status.Errorf(codes.PermissionDenied, "the node says that it is %s/%s, and its certificate that it is %s/%s",
		namespace, account, certNamespace, certAccount)
}
