package xds

import (
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// envoyConnectTimeout is what a cluster without a connect timeout means in
// Envoy's API.
const envoyConnectTimeout = 5 * time.Second

func (t *translator) cluster(m *clusterv3.Cluster, r *resource, into *problems) {
	c := &cluster.Config{
		Name:           m.GetName(),
		ConnectTimeout: duration(m.GetConnectTimeout(), envoyConnectTimeout, "connect_timeout", into),
		Services:       servicesOf(m.GetMetadata()),
		External:       m.GetMetadata().GetFilterMetadata()["sidelight"].GetFields()["external"].GetBoolValue(),
		Object:         objectOf(m.GetMetadata()),
		Revision:       r.revision,
	}
	switch m.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN:
		c.Policy = cluster.RoundRobin
	case clusterv3.Cluster_LEAST_REQUEST:
		c.Policy = cluster.LeastRequest
	case clusterv3.Cluster_RANDOM:
		c.Policy = cluster.Random
	default:
		into.add("lb_policy", "%s is not supported by build %s", m.GetLbPolicy(), t.build)
	}
	if m.GetDnsLookupFamily() == clusterv3.Cluster_V6_ONLY {
		into.add("dns_lookup_family", "V6_ONLY is not supported by build %s", t.build)
	}
	t.discovery(m, c, into)
	t.httpOptions(m, c, into)
	t.breakers(m.GetCircuitBreakers(), c, into)
	r.cluster = c
}

// discovery says where the cluster's endpoints come from.
func (t *translator) discovery(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	if _, ok := m.GetClusterDiscoveryType().(*clusterv3.Cluster_Type); !ok && m.GetClusterDiscoveryType() != nil {
		into.add("cluster_type", "not supported by build %s", t.build)
		return
	}
	switch m.GetType() {
	case clusterv3.Cluster_EDS:
		c.EDS = true
		c.ServiceName = m.GetEdsClusterConfig().GetServiceName()
		overADS(m.GetEdsClusterConfig().GetEdsConfig(), "eds_cluster_config.eds_config", into)
	case clusterv3.Cluster_STATIC, clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
		c.Endpoints = t.endpoints(m.GetLoadAssignment(), "load_assignment", into)
		if m.GetLoadAssignment() == nil && m.GetType() != clusterv3.Cluster_STATIC {
			into.add("load_assignment", "is missing")
		}
	default:
		into.add("type", "%s is not supported by build %s", m.GetType(), t.build)
	}
}

// httpOptionsKey is where Envoy keeps a cluster's HTTP options.
const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

func (t *translator) httpOptions(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	for key, packed := range m.GetTypedExtensionProtocolOptions() {
		path := "typed_extension_protocol_options[" + `"` + key + `"]`
		if key != httpOptionsKey {
			into.add(path, "not supported by build %s", t.build)
			continue
		}
		options, ok := extension(packed, path, into).(*upstreamhttpv3.HttpProtocolOptions)
		if !ok {
			into.add(path, "is no HttpProtocolOptions")
			continue
		}
		c.HTTP2 = options.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil
		common := options.GetCommonHttpProtocolOptions()
		c.IdleTimeout = duration(common.GetIdleTimeout(), 0, path+".common_http_protocol_options.idle_timeout", into)
		n := common.GetMaxRequestsPerConnection().GetValue()
		if n > 1 {
			into.add(path+".common_http_protocol_options.max_requests_per_connection", "%d is not supported by build %s, only 1 is", n, t.build)
		}
		c.Limits.MaxRequestsPerConnection = n
	}
}

func (t *translator) breakers(m *clusterv3.CircuitBreakers, c *cluster.Config, into *problems) {
	for _, th := range m.GetThresholds() {
		if th.GetPriority() != corev3.RoutingPriority_DEFAULT {
			into.add("circuit_breakers.thresholds", "priority %s is not supported by build %s", th.GetPriority(), t.build)
			continue
		}
		c.Limits.MaxConnections = th.GetMaxConnections().GetValue()
		c.Limits.MaxRequests = th.GetMaxRequests().GetValue()
		c.Limits.MaxRetries = th.GetMaxRetries().GetValue()
	}
}

// servicesOf reads what clients call the cluster, from Istio's metadata.
func servicesOf(m *corev3.Metadata) []mesh.Service {
	var out []mesh.Service
	for _, v := range m.GetFilterMetadata()["istio"].GetFields()["services"].GetListValue().GetValues() {
		f := v.GetStructValue().GetFields()
		s := mesh.Service{
			Host:      f["host"].GetStringValue(),
			Namespace: f["namespace"].GetStringValue(),
			Name:      f["name"].GetStringValue(),
		}
		if s.Name == "" {
			s.Name, _, _ = strings.Cut(s.Host, ".")
		}
		if s.Host != "" {
			out = append(out, s)
		}
	}
	return out
}
