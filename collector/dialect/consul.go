package dialect

import (
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Consul is Envoy's own cluster statistics under the tags that Consul gives
// them. There are no workloads in Consul, but services, which stand on both
// ends of an edge; only the caller's Envoy tells of it. Envoys without these
// tags, Istio's among them, count connections to their control plane by the
// same names and are left alone.
func Consul() *Dialect {
	upstream := func(f Field, p mesh.Protocol) metric {
		return metric{field: f, scale: 1, when: consulUpstream, key: consulKey(p)}
	}
	requests := upstream(Requests, mesh.HTTP)
	requests.when = func(l Labels) bool { return consulUpstream(l) && l("envoy_response_code") != "" }
	requests.outcome = func(l Labels) mesh.Outcome {
		return mesh.Outcome{Code: code(l("envoy_response_code")), Flags: string(mesh.FlagNone)}
	}
	latency := upstream(Latency, mesh.HTTP)
	latency.histogram = true
	return &Dialect{Name: "consul", metrics: map[string]metric{
		"envoy_cluster_upstream_rq":                requests,
		"envoy_cluster_upstream_rq_time":           latency, // milliseconds
		"envoy_cluster_upstream_rq_total":          upstream(Attempts, mesh.HTTP),
		"envoy_cluster_upstream_cx_total":          upstream(TCPOpened, mesh.TCP),
		"envoy_cluster_upstream_cx_destroy":        upstream(TCPClosed, mesh.TCP),
		"envoy_cluster_upstream_cx_tx_bytes_total": upstream(SentBytes, mesh.TCP),
		"envoy_cluster_upstream_cx_rx_bytes_total": upstream(ReceivedBytes, mesh.TCP),
		"envoy_cluster_upstream_cx_active":         upstream(ActiveConnections, mesh.TCP),
	}}
}

func consulUpstream(l Labels) bool { return known(l("consul_destination_service")) != "" }

func consulKey(protocol mesh.Protocol) func(Labels) mesh.EdgeKey {
	return func(l Labels) mesh.EdgeKey {
		target := consulService(l, "consul_destination_", l("consul_destination_service"))
		key := mesh.EdgeKey{
			Reporter: mesh.FromSource, Target: target, Protocol: protocol, Security: "mutual_tls",
			Source: consulService(l, "consul_source_", l.first("consul_source_service", "local_cluster", "workload")),
		}
		if key.Source.Namespace == "" {
			key.Source.Namespace = l.first("namespace")
		}
		if key.Source.Cluster == "" { // Consul before 1.12 does not name the source's
			key.Source.Cluster = l.first("cluster")
		}
		if key.Source.Name != "" && key.Source.Namespace == "" {
			key.Source.Namespace = "default"
		}
		if protocol != mesh.TCP {
			key.Service = mesh.Service{Host: target.Name + ".service.consul", Namespace: target.Namespace, Name: target.Name}
		}
		return key
	}
}

func consulService(l Labels, prefix, name string) mesh.Workload {
	if name = known(name); name == "" {
		return mesh.Workload{}
	}
	w := mesh.Workload{Cluster: known(l(prefix + "datacenter")), Namespace: known(l(prefix + "namespace")), Name: name, App: name}
	if prefix == "consul_destination_" && w.Namespace == "" {
		w.Namespace = "default"
	}
	if subset := known(l(prefix + "service_subset")); subset != "" && !strings.EqualFold(subset, "default") {
		w.Version = subset
	}
	return w
}
