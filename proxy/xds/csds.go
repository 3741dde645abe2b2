package xds

import (
	"context"
	"errors"
	"io"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// RegisterClientStatus serves the sidecar's configuration by CSDS, as gRPC's own
// xDS clients do: one config, of the asked itself.
func RegisterClientStatus(s *grpc.Server, dump func() *Dump) {
	statusv3.RegisterClientStatusDiscoveryServiceServer(s, clientStatus{dump: dump})
}

type clientStatus struct {
	statusv3.UnimplementedClientStatusDiscoveryServiceServer
	dump func() *Dump
}

// StreamClientStatus answers each request on the stream.
func (c clientStatus) StreamClientStatus(str statusv3.ClientStatusDiscoveryService_StreamClientStatusServer) error {
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

// FetchClientStatus gives what this sidecar runs.
func (c clientStatus) FetchClientStatus(_ context.Context, req *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	if len(req.GetNodeMatchers()) > 0 {
		return nil, status.Error(codes.InvalidArgument, "node_matchers are for control planes; a sidecar knows itself only")
	}
	d := c.dump()
	config := &statusv3.ClientConfig{Node: d.node}
	for i := range d.resources {
		h := &d.resources[i]
		x := &statusv3.ClientConfig_GenericXdsConfig{
			TypeUrl: mesh.TypeURL(h.Type), Name: h.Name, VersionInfo: h.Version, LastUpdated: h.updated(),
			ConfigStatus: statusv3.ConfigStatus_SYNCED, ClientStatus: h.client(), ErrorState: h.failure(), IsStaticResource: d.bootstrap != nil,
		}
		if x.ClientStatus == adminv3.ClientResourceStatus_NACKED {
			x.ConfigStatus = statusv3.ConfigStatus_ERROR
		}
		if !req.GetExcludeResourceContents() {
			x.XdsConfig = h.packed
		}
		config.GenericXdsConfigs = append(config.GenericXdsConfigs, x)
	}
	return &statusv3.ClientStatusResponse{Config: []*statusv3.ClientConfig{config}}, nil
}
