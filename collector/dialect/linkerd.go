package dialect

import (
	"net"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Linkerd is the metrics of Linkerd's proxies, before and since policy came
// (2.12). They name the called workload only: whose proxy it is, discovery
// must tell, as Linkerd's own does from the pod's linkerd.io/proxy-* labels
// (deployment, namespace, pod …), or else as workload and namespace.
//
// gRPC is told from other requests by its status alone, which latencies lack:
// both count as HTTP. Edges are counted at the caller, which knows both ends. At the called side
// only callers without identity count, whom nobody else sees.
func Linkerd() *Dialect {
	request := func(f Field) metric {
		return metric{field: f, scale: 1, when: linkerdTells, key: linkerdKey(mesh.HTTP)}
	}
	responses := request(Requests)
	responses.outcome = linkerdOutcome
	latency := request(Latency)
	latency.histogram = true
	tcp := func(f Field) metric {
		return metric{field: f, scale: 1, when: linkerdCalls, key: linkerdKey(mesh.TCP)}
	}
	refused := metric{field: Requests, scale: 1, when: linkerdRefused, key: linkerdRouteKey, outcome: linkerdRouteOutcome}
	return &Dialect{Name: "linkerd", metrics: map[string]metric{
		"response_total":                             responses,
		"response_latency_ms":                        latency,
		"tcp_open_total":                             tcp(TCPOpened),
		"tcp_close_total":                            tcp(TCPClosed),
		"tcp_write_bytes_total":                      tcp(SentBytes),
		"tcp_read_bytes_total":                       tcp(ReceivedBytes),
		"tcp_open_connections":                       tcp(ActiveConnections),
		"outbound_http_route_request_statuses_total": refused,
		"outbound_grpc_route_request_statuses_total": refused,
	}}
}

func linkerdTells(l Labels) bool {
	switch l("direction") {
	case "outbound":
		return true
	case "inbound":
		return l("tls") != "" && l("client_id") == ""
	}
	return false
}

// linkerdCalls is the caller's end of a connection to another workload: the
// other end of the proxy talks to its own application.
func linkerdCalls(l Labels) bool {
	return l("direction") == "outbound" && l("peer") == "dst" && linkerdWorkload(l, "dst_").Name != ""
}

// linkerdRefused is a request that the caller's proxy answered itself before it
// chose an endpoint: response_total, which endpoints count, does not have it.
func linkerdRefused(l Labels) bool {
	return (l("error") == "FailFast" || l("error") == "LoadShed") && l("parent_name") != ""
}

func linkerdKey(protocol mesh.Protocol) func(Labels) mesh.EdgeKey {
	return func(l Labels) mesh.EdgeKey {
		k := mesh.EdgeKey{Protocol: protocol, Security: "none", Reporter: mesh.FromSource, Source: linkerdWorkload(l, ""), Target: linkerdWorkload(l, "dst_")}
		if l("tls") == "true" {
			k.Security = "mutual_tls"
		}
		if l("direction") == "inbound" {
			k.Reporter, k.Source, k.Target = mesh.FromDestination, mesh.Workload{}, k.Source
		}
		if protocol != mesh.TCP {
			k.Service = linkerdService(l)
		}
		return k
	}
}

// linkerdWorkload reads the labels of a workload's kind, the nearest to what
// operators deploy first.
func linkerdWorkload(l Labels, prefix string) mesh.Workload {
	name := l.first(prefix+"workload", prefix+"deployment", prefix+"statefulset", prefix+"daemonset", prefix+"k8s_job",
		prefix+"replicationcontroller", prefix+"replicaset", prefix+"pod")
	if name == "" {
		return mesh.Workload{}
	}
	return mesh.Workload{
		Cluster: known(l(prefix + "cluster")), Namespace: l.first(prefix + "namespace"), Name: name,
		App: l.first(prefix + "app"), Version: l.first(prefix + "version"),
	}
}

func linkerdService(l Labels) mesh.Service {
	host := known(l("authority"))
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	s := mesh.Service{Host: host, Namespace: known(l("dst_namespace")), Name: known(l("dst_service"))}
	if s.Host == "" && s.Name != "" {
		s.Host = s.Name + "." + s.Namespace + ".svc.cluster.local"
	}
	return s
}

func linkerdOutcome(l Labels) mesh.Outcome {
	o := mesh.Outcome{Code: code(l("status_code")), GRPC: clip(l.first("grpc_status", "grpc_status_code")), Flags: string(mesh.FlagNone)}
	if f, ok := linkerdErrors[l("error")]; ok {
		o.Flags = string(f)
	}
	if l("classification") == "failure" && o.Code < 500 && (o.GRPC == "" || o.GRPC == "0") {
		o.Details = "classified_as_failure"
		o.Code = 500 // by the service's own rules
	}
	return o
}

func linkerdRouteKey(l Labels) mesh.EdgeKey {
	ns, name := known(l("parent_namespace")), known(l("parent_name"))
	return mesh.EdgeKey{
		Reporter: mesh.FromSource, Source: linkerdWorkload(l, ""), Protocol: mesh.HTTP, Security: mesh.Unknown,
		Service: mesh.Service{Host: name + "." + ns + ".svc.cluster.local", Namespace: ns, Name: name},
	}
}

func linkerdRouteOutcome(l Labels) mesh.Outcome {
	o := mesh.Outcome{Code: code(l("http_status")), GRPC: clip(l("grpc_status")), Flags: string(linkerdErrors[l("error")])}
	if o.Code == 0 {
		o.Code = 503
	}
	return o
}

// linkerdErrors says Linkerd's errors in the flags that all dialects share.
var linkerdErrors = map[string]mesh.Flag{
	"FailFast":               mesh.FlagNoHealthyUpstream,
	"LoadShed":               mesh.FlagUpstreamOverflow,
	"RequestTimeout":         mesh.FlagUpstreamRequestTimeout,
	"ResponseHeadersTimeout": mesh.FlagUpstreamRequestTimeout,
	"ResponseStreamTimeout":  mesh.FlagUpstreamRequestTimeout,
	"Refused":                mesh.FlagUpstreamConnectionFailure,
	"Reset":                  mesh.FlagUpstreamConnectionTerm,
	"GoAway":                 mesh.FlagUpstreamConnectionTerm,
	"Io":                     mesh.FlagUpstreamConnectionTerm,
	"Cancel":                 mesh.FlagDownstreamTermination,
}
