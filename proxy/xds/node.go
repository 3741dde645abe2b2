package xds

import (
	"fmt"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Ports tells the control plane where the sidecar listens and for whom.
type Ports struct {
	Identity    bool          // the sidecar has a certificate, or will
	Register    bool          // the app's ports are to be endpoints, without an object of their own
	Outbound    string        // "127.0.0.1:15001"; "" = none
	Inbound     []Inbound     // one per port of the app
	TCPOutbound []TCPOutbound // one per TCP service that the app calls
	Gateway     string        // IP address to listen on at the mesh's edge; "" = this is a sidecar

	Interception    string   // "" (explicit ports), "REDIRECT" or "TPROXY"
	CaptureOutbound []string // where the kernel brings what the app sends
	CaptureInbound  []string // and what comes for it
}

// Inbound is one port of the app.
type Inbound struct {
	Address     string // where the sidecar listens
	App         string // where the app listens
	Protocol    mesh.Protocol
	ServicePort int
}

// TCPOutbound is a port that leads to one TCP service.
type TCPOutbound struct {
	Address string
	Host    string
	Port    int
}

// xdsNode introduces the sidecar on the ADS stream. The metadata's keys are
// Istio's where it has one.
func xdsNode(n mesh.Node, serviceAccount, locality string, ports Ports) (*corev3.Node, error) {
	labels := map[string]any{}
	for k, v := range n.Labels {
		labels[k] = v
	}
	for k, v := range map[string]string{
		"app": n.Workload.App, "service.istio.io/canonical-name": n.Workload.App,
		"version": n.Workload.Version, "service.istio.io/canonical-revision": n.Workload.Version,
	} {
		if v != "" {
			labels[k] = v
		}
	}
	metadata := map[string]any{
		"NAMESPACE":       n.Workload.Namespace,
		"WORKLOAD_NAME":   n.Workload.Name,
		"CLUSTER_ID":      n.Workload.Cluster,
		"SERVICE_ACCOUNT": serviceAccount,
		"LABELS":          labels,
		"SIDELIGHT_BUILD": n.Build,
		"SIDELIGHT_KIND":  n.Kind,
	}
	if n.PullS > 0 {
		metadata["SIDELIGHT_PULL"] = time.Duration(n.PullS * float64(time.Second)).String()
	}
	if ports.Identity {
		metadata["SIDELIGHT_IDENTITY"] = true
	}
	if ports.Register {
		metadata["SIDELIGHT_REGISTER"] = true
	}
	if ports.Outbound != "" {
		metadata["SIDELIGHT_OUTBOUND"] = ports.Outbound
	}
	if ports.Gateway != "" {
		metadata["SIDELIGHT_GATEWAY_ADDRESS"] = ports.Gateway
	}
	inbound := []any{}
	for _, p := range ports.Inbound {
		inbound = append(inbound, map[string]any{
			"address": p.Address, "app": p.App, "protocol": string(p.Protocol), "service_port": p.ServicePort,
		})
	}
	metadata["SIDELIGHT_INBOUND"] = inbound
	tcp := []any{}
	for _, p := range ports.TCPOutbound {
		tcp = append(tcp, map[string]any{"address": p.Address, "host": p.Host, "port": p.Port})
	}
	metadata["SIDELIGHT_TCP_OUTBOUND"] = tcp
	if ports.Interception != "" {
		metadata["INTERCEPTION_MODE"] = ports.Interception
		metadata["SIDELIGHT_CAPTURE_OUTBOUND"] = anys(ports.CaptureOutbound)
		metadata["SIDELIGHT_CAPTURE_INBOUND"] = anys(ports.CaptureInbound)
	}
	fields, err := structpb.NewStruct(metadata)
	if err != nil {
		return nil, fmt.Errorf("node metadata: %w", err)
	}
	return &corev3.Node{
		Id:                   n.ID,
		Cluster:              n.Workload.App,
		Metadata:             fields,
		Locality:             localityOf(locality),
		UserAgentName:        "sidelight-proxy",
		UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: n.Build},
	}, nil
}

// localityOf reads "region/zone/sub-zone", of which the end may be missing; nil
// for nothing.
func localityOf(text string) *corev3.Locality {
	if text == "" {
		return nil
	}
	parts := strings.SplitN(text+"//", "/", 4)
	return &corev3.Locality{Region: parts[0], Zone: parts[1], SubZone: parts[2]}
}

func anys(list []string) []any {
	out := make([]any, 0, len(list))
	for _, s := range list {
		out = append(out, s)
	}
	return out
}
