package xds

import (
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// endpoints lists an assignment's endpoints. Of localities only the priority
// counts: Envoy heeds their weights only where a cluster asks for it, and such a
// cluster is refused.
func (t *translator) endpoints(m *endpointv3.ClusterLoadAssignment, path string, into *problems) []cluster.Endpoint {
	out := []cluster.Endpoint{}
	for i, locality := range m.GetEndpoints() {
		at := join(path, "endpoints["+strconv.Itoa(i)+"]")
		for j, lb := range locality.GetLbEndpoints() {
			e := endpoint(lb, at+".lb_endpoints["+strconv.Itoa(j)+"]", into)
			e.Priority = locality.GetPriority()
			out = append(out, e)
		}
	}
	return out
}

func endpoint(m *endpointv3.LbEndpoint, path string, into *problems) cluster.Endpoint {
	e := cluster.Endpoint{
		Address:  address(m.GetEndpoint().GetAddress(), path+".endpoint.address", into),
		Hostname: m.GetEndpoint().GetHostname(),
		Weight:   m.GetLoadBalancingWeight().GetValue(),
		Workload: workloadOf(m.GetMetadata()),
		TLSMode:  tlsMode(m.GetMetadata()),
	}
	switch m.GetHealthStatus() {
	case corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY:
		e.Health = cluster.Healthy
	case corev3.HealthStatus_DEGRADED:
		e.Health = cluster.Degraded
	case corev3.HealthStatus_DRAINING:
		e.Health = cluster.Draining
	default: // UNHEALTHY, TIMEOUT, and what later versions may add
		e.Health = cluster.Unhealthy
	}
	return e
}

// workloadOf reads Istio's "name;namespace;canonical-name;canonical-revision;cluster".
// Missing parts at the end stay empty.
func workloadOf(m *corev3.Metadata) mesh.Workload {
	text := m.GetFilterMetadata()["istio"].GetFields()["workload"].GetStringValue()
	if text == "" {
		return mesh.Workload{}
	}
	parts := append(strings.Split(text, ";"), "", "", "", "")
	return mesh.Workload{Name: parts[0], Namespace: parts[1], App: parts[2], Version: parts[3], Cluster: parts[4]}
}
