package xds

import (
	"net"
	"strconv"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// ClustersJSON gives envoy.admin.v3.Clusters, in the order given.
func ClustersJSON(upstreams []*forward.Upstream) ([]byte, error) {
	out := &adminv3.Clusters{}
	for _, u := range upstreams {
		config := u.Config()
		c := &adminv3.ClusterStatus{Name: config.Name, ObservabilityName: config.Name, AddedViaApi: config.EDS}
		for _, h := range u.Hosts().All() {
			e := h.Endpoint()
			c.HostStatuses = append(c.HostStatuses, &adminv3.HostStatus{
				Address: socketAddress(e.Address), Hostname: e.Hostname, Weight: max(e.Weight, 1), Priority: e.Priority,
				Stats:        []*adminv3.SimpleMetric{{Name: "rq_active", Type: adminv3.SimpleMetric_GAUGE, Value: uint64(max(h.Active(), 0))}},
				HealthStatus: &adminv3.HostHealthStatus{EdsHealthStatus: edsHealth(e.Health), FailedOutlierCheck: h.Ejected()},
			})
		}
		out.ClusterStatuses = append(out.ClusterStatuses, c)
	}
	return toJSON(out)
}

func edsHealth(h cluster.Health) corev3.HealthStatus {
	if v, ok := corev3.HealthStatus_value[h.String()]; ok {
		return corev3.HealthStatus(v)
	}
	return corev3.HealthStatus_HEALTHY
}

func socketAddress(address string) *corev3.Address {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	n, _ := strconv.ParseUint(port, 10, 16) // an address without a port has port 0
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(n)},
	}}}
}

// ListenersJSON gives envoy.admin.v3.Listeners.
func ListenersJSON(configs []*listen.Config) ([]byte, error) {
	out := &adminv3.Listeners{}
	for _, c := range configs {
		out.ListenerStatuses = append(out.ListenerStatuses, &adminv3.ListenerStatus{Name: c.Name, LocalAddress: socketAddress(c.Address)})
	}
	return toJSON(out)
}

// CertificatesJSON gives envoy.admin.v3.Certificates; nil for a sidecar that has
// none.
func CertificatesJSON(id *mesh.Identity, now time.Time) ([]byte, error) {
	out := &adminv3.Certificates{}
	if id != nil {
		out.Certificates = []*adminv3.Certificate{{CertChain: []*adminv3.CertificateDetails{{
			SerialNumber: id.Serial, ValidFrom: timestamppb.New(id.NotBefore), ExpirationTime: timestamppb.New(id.NotAfter),
			DaysUntilExpiration: uint64(max(id.NotAfter.Sub(now), 0) / (24 * time.Hour)),
			SubjectAltNames:     []*adminv3.SubjectAlternateName{{Name: &adminv3.SubjectAlternateName_Uri{Uri: id.Principal}}},
		}}}}
	}
	return toJSON(out)
}

// ServerInfoJSON gives envoy.admin.v3.ServerInfo.
func ServerInfoJSON(d *Dump, build string, state ServerState, up time.Duration) ([]byte, error) {
	// As Envoy does, with LIVE in words, which is the enumeration's zero.
	return indented(protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}, &adminv3.ServerInfo{
		Version: "sidelight-proxy/" + build, State: adminv3.ServerInfo_State(state), Node: d.node,
		UptimeCurrentEpoch: durationpb.New(up.Truncate(time.Second)), UptimeAllEpochs: durationpb.New(up.Truncate(time.Second)),
	})
}

// ServerState is where a sidecar is in its life, in Envoy's words.
type ServerState int32

// The states; a sidecar without configuration is initializing.
const (
	Live         = ServerState(adminv3.ServerInfo_LIVE)
	Draining     = ServerState(adminv3.ServerInfo_DRAINING)
	Initializing = ServerState(adminv3.ServerInfo_INITIALIZING)
)

// String gives Envoy's word.
func (s ServerState) String() string { return adminv3.ServerInfo_State(s).String() }
