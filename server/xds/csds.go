package xds

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Status is the configuration state of the nodes: *skew.Tracker.
type Status interface {
	View(at time.Time) skew.NodesView
	Node(id string, at time.Time) (skew.NodeDetail, bool)
}

// csds serves client status (CSDS), the server's view: every node that is
// known, connected or not, resource by resource.
type csds struct {
	statusv3.UnimplementedClientStatusDiscoveryServiceServer
	server *Server
}

// StreamClientStatus answers each request on the stream.
func (c csds) StreamClientStatus(str statusv3.ClientStatusDiscoveryService_StreamClientStatusServer) error {
	for {
		req, err := str.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		resp, err := c.FetchClientStatus(str.Context(), req)
		if err != nil {
			return err
		}
		if err := str.Send(resp); err != nil {
			return err
		}
	}
}

// FetchClientStatus gives the state of the nodes that a matcher selects; of all
// without one.
func (c csds) FetchClientStatus(_ context.Context, req *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	for _, m := range req.GetNodeMatchers() {
		if len(m.GetNodeMetadatas()) > 0 {
			return nil, status.Error(codes.InvalidArgument, "node_matchers select by node_id here, not by node_metadatas")
		}
	}
	s := c.server
	now := s.opts.Now()
	resp := &statusv3.ClientStatusResponse{}
	for _, n := range s.opts.Status.View(now).Nodes {
		if !selected(req.GetNodeMatchers(), n.ID) {
			continue
		}
		if detail, ok := s.opts.Status.Node(n.ID, now); ok {
			resp.Config = append(resp.Config, clientConfig(&detail))
		}
	}
	return resp, nil
}

func selected(matchers []*matcherv3.NodeMatcher, id string) bool {
	for _, m := range matchers {
		of := m.GetNodeId()
		fold := func(s string) string {
			if of.GetIgnoreCase() {
				return strings.ToLower(s)
			}
			return s
		}
		id := fold(id)
		switch p := of.GetMatchPattern().(type) {
		case *matcherv3.StringMatcher_Exact:
			if id == fold(p.Exact) {
				return true
			}
		case *matcherv3.StringMatcher_Prefix:
			if strings.HasPrefix(id, fold(p.Prefix)) {
				return true
			}
		case *matcherv3.StringMatcher_Suffix:
			if strings.HasSuffix(id, fold(p.Suffix)) {
				return true
			}
		case *matcherv3.StringMatcher_Contains:
			if strings.Contains(id, fold(p.Contains)) {
				return true
			}
		}
	}
	return len(matchers) == 0
}

func clientConfig(n *skew.NodeDetail) *statusv3.ClientConfig {
	facts, _ := structpb.NewStruct(map[string]any{ // plain strings and numbers: no error
		"NAMESPACE": n.Workload.Namespace, "WORKLOAD_NAME": n.Workload.Name, "CLUSTER_ID": n.Workload.Cluster,
		"SIDELIGHT_BUILD": n.Build, "SIDELIGHT_STATE": string(n.State), "SIDELIGHT_REASON": n.Reason, "SIDELIGHT_REVISION": float64(n.Revision),
	})
	out := &statusv3.ClientConfig{Node: &corev3.Node{Id: n.ID, Cluster: n.Workload.App, Metadata: facts}}
	for i := range n.Resources {
		out.GenericXdsConfigs = append(out.GenericXdsConfigs, genericConfig(n, &n.Resources[i]))
	}
	return out
}

func genericConfig(n *skew.NodeDetail, r *skew.ResourceStatus) *statusv3.ClientConfig_GenericXdsConfig {
	out := &statusv3.ClientConfig_GenericXdsConfig{TypeUrl: mesh.TypeURL(r.Type), Name: r.Name, VersionInfo: r.Applied}
	switch r.State {
	case skew.Synced:
		out.ConfigStatus, out.ClientStatus = statusv3.ConfigStatus_SYNCED, adminv3.ClientResourceStatus_ACKED
	case skew.Rejected, skew.Unsupported:
		out.ConfigStatus, out.ClientStatus = statusv3.ConfigStatus_ERROR, adminv3.ClientResourceStatus_NACKED
		out.ErrorState = &adminv3.UpdateFailureState{Details: r.Error, VersionInfo: r.Sent}
		if !r.SentAt.IsZero() {
			out.ErrorState.LastUpdateAttempt = timestamppb.New(r.SentAt)
		}
	default:
		out.ConfigStatus, out.ClientStatus = statusv3.ConfigStatus_STALE, adminv3.ClientResourceStatus_REQUESTED
		if r.SentAt.IsZero() && n.Connected {
			out.ConfigStatus = statusv3.ConfigStatus_NOT_SENT
		}
	}
	if !r.AppliedAt.IsZero() {
		out.LastUpdated = timestamppb.New(r.AppliedAt)
	}
	return out
}
