package dialect

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Istio is the standard metrics of Istio's proxies, which Sidelight's sidecars
// speak too.
//
// TCP bytes are named from the answering side: "sent" is what was sent in
// response, "received" what came in with the request. An edge counts by
// direction, the request's first, hence the crossing.
func Istio() *Dialect {
	counter := func(f Field) metric { return metric{field: f, scale: 1, key: edgeKey} }
	tcp := func(f Field) metric { return metric{field: f, scale: 1, key: tcpKey} }
	bytes := func(f Field) metric { return metric{field: f, scale: 1, histogram: true, key: edgeKey} }
	requests := counter(Requests)
	requests.outcome = istioOutcome
	closed := tcp(TCPClosed)
	closed.outcome = istioOutcome // a connection that failed says so when it is over
	return &Dialect{Name: "istio", metrics: map[string]metric{
		mesh.MetricRequests:         requests,
		mesh.MetricDuration:         {field: Latency, scale: 1, histogram: true, key: edgeKey},
		mesh.MetricRequestBytes:     bytes(RequestBytes),
		mesh.MetricResponseBytes:    bytes(ResponseBytes),
		mesh.MetricTCPOpened:        tcp(TCPOpened),
		mesh.MetricTCPClosed:        closed,
		mesh.MetricTCPSentBytes:     tcp(ReceivedBytes),
		mesh.MetricTCPReceivedBytes: tcp(SentBytes),
	}}
}

// Sidelight is what Sidelight's own sidecars say beyond the standard metrics.
func Sidelight() *Dialect {
	counter := func(f Field) metric { return metric{field: f, scale: 1, key: edgeKey} }
	responses := counter(Responses)
	responses.outcome = sidelightOutcome
	return &Dialect{Name: "sidelight", metrics: map[string]metric{
		mesh.MetricResponses:           responses,
		mesh.MetricAttempts:            counter(Attempts),
		mesh.MetricUpstreamConnections: counter(NewConnections),
		mesh.MetricActiveConnections:   {field: ActiveConnections, scale: 1, key: tcpKey},
	}}
}

// Process is what every Prometheus client library says of its process.
func Process() *Dialect {
	return &Dialect{Name: "process", metrics: map[string]metric{
		"process_start_time_seconds": {field: ProcessStart, scale: 1},
	}}
}

func edgeKey(l Labels) mesh.EdgeKey {
	return mesh.EdgeKey{
		Reporter: reporter(l(mesh.LabelReporter)),
		Source: workload(l, mesh.LabelSourceCluster, mesh.LabelSourceNamespace, mesh.LabelSourceWorkload,
			mesh.LabelSourceCanonical, mesh.LabelSourceApp, mesh.LabelSourceRevision),
		Target: workload(l, mesh.LabelDestCluster, mesh.LabelDestWorkloadNamespace, mesh.LabelDestWorkload,
			mesh.LabelDestCanonical, mesh.LabelDestApp, mesh.LabelDestRevision),
		Service: mesh.Service{
			// PassthroughCluster and BlackHoleCluster are names without a host.
			Host:      cmp.Or(known(l(mesh.LabelDestService)), known(l(mesh.LabelDestServiceName))),
			Namespace: known(l(mesh.LabelDestServiceNamespace)),
			Name:      known(l(mesh.LabelDestServiceName)),
		},
		Protocol: protocol(l(mesh.LabelProtocol)),
		Security: security(l(mesh.LabelSecurity)),
	}
}

func tcpKey(l Labels) mesh.EdgeKey {
	key := edgeKey(l)
	key.Protocol = mesh.TCP
	return key
}

func reporter(s string) mesh.Reporter {
	switch r := mesh.Reporter(s); r {
	case mesh.FromSource, mesh.FromWaypoint:
		return r
	}
	return mesh.FromDestination
}

// workload gives the zero workload when its name is not known: what else the
// labels say ("latest", a namespace that was guessed) must not make several
// unknown workloads out of one.
func workload(l Labels, cluster, namespace, name, canonical, app, version string) mesh.Workload {
	w := mesh.Workload{
		Cluster:   known(l(cluster)),
		Namespace: known(l(namespace)),
		Name:      known(l(name)),
		App:       known(l(canonical)),
		Version:   known(l(version)),
	}
	if w.IsUnknown() {
		return mesh.Workload{}
	}
	if w.App == "" {
		w.App = known(l(app))
	}
	return w
}

func istioOutcome(l Labels) mesh.Outcome {
	return mesh.Outcome{Code: code(l(mesh.LabelCode)), GRPC: clip(l(mesh.LabelGRPCStatus)), Flags: flags(l(mesh.LabelFlags))}
}

func sidelightOutcome(l Labels) mesh.Outcome {
	o := istioOutcome(l)
	switch by := l(mesh.LabelResponseSource); by {
	case mesh.AnsweredByProxy:
		o.AnsweredBy = by
		o.Details = clip(known(l(mesh.LabelDetails)))
		o.Object = clip(known(l(mesh.LabelConfigObject)))
	case mesh.AnsweredByUpstream:
		o.AnsweredBy = by
	}
	return o
}

// known makes nothing of the word that stands for it.
func known(s string) string {
	if s == mesh.Unknown {
		return ""
	}
	return clip(s)
}

func protocol(s string) mesh.Protocol {
	switch {
	case strings.EqualFold(s, string(mesh.GRPC)):
		return mesh.GRPC
	case strings.EqualFold(s, string(mesh.TCP)):
		return mesh.TCP
	}
	return mesh.HTTP
}

func security(s string) string {
	switch s {
	case "mutual_tls":
		return "mutual_tls"
	case "none":
		return "none"
	}
	return mesh.Unknown
}

func flags(s string) string {
	if s == "" {
		return string(mesh.FlagNone)
	}
	return clip(s)
}

// code gives 0 for what is no status: the client went away.
func code(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 999 {
		return 0
	}
	return n
}

// clip bounds what comes from the wire. Labels that differ only past the bound
// count as one.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
