package xds

import (
	"cmp"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// AccessLog hears what Envoys report by their access log service:
// *tap.Hub. While nobody wants events, entries are not even read.
type AccessLog interface {
	Wanted() bool
	Observe(*mesh.TapEvent)
}

// accessLog is Envoy's AccessLogService: the entries of proxies that are not
// ours become the events that our sidecars send.
type accessLog struct {
	server *Server
	alsv3.UnimplementedAccessLogServiceServer
}

// StreamAccessLogs implements alsv3.AccessLogServiceServer. The first message
// names the node.
func (a accessLog) StreamAccessLogs(stream alsv3.AccessLogService_StreamAccessLogsServer) error {
	to := a.server.opts.AccessLog
	if to == nil {
		return status.Error(codes.Unimplemented, "this server takes no access log")
	}
	var from *reporter
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&alsv3.StreamAccessLogsResponse{})
		}
		if err != nil {
			return err
		}
		if id := m.GetIdentifier(); id != nil {
			from = reporterOf(id.GetNode())
		}
		if from == nil {
			return status.Error(codes.InvalidArgument, "the first message names no node")
		}
		a.server.metrics.logged.WithLabelValues("http").Add(float64(len(m.GetHttpLogs().GetLogEntry())))
		a.server.metrics.logged.WithLabelValues("tcp").Add(float64(len(m.GetTcpLogs().GetLogEntry())))
		if !to.Wanted() {
			continue
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			if !intermediate(e.GetCommonProperties()) {
				to.Observe(from.http(e))
			}
		}
		for _, e := range m.GetTcpLogs().GetLogEntry() {
			if !intermediate(e.GetCommonProperties()) {
				to.Observe(from.tcp(e))
			}
		}
	}
}

// intermediate tells an entry about a stream that goes on. Older Envoys say so
// by a field of its own, newer by the type.
func intermediate(c *datav3.AccessLogCommon) bool {
	switch c.GetAccessLogType() {
	case datav3.AccessLogType_TcpPeriodic, datav3.AccessLogType_TcpUpstreamConnected, datav3.AccessLogType_DownstreamPeriodic,
		datav3.AccessLogType_DownstreamStart, datav3.AccessLogType_DownstreamTunnelSuccessfullyEstablished,
		datav3.AccessLogType_UpstreamPeriodic, datav3.AccessLogType_UpstreamPoolReady:
		return true
	}
	return c.GetIntermediateLogEntry() //nolint:staticcheck // what older Envoys send
}

// reporter is the proxy that sends entries.
type reporter struct {
	node     string
	workload mesh.Workload
}

// reporterOf reads a node as Istio describes its proxies: an ID of
// "type~address~pod.namespace~domain", and metadata.
func reporterOf(n *corev3.Node) *reporter {
	r := &reporter{node: short(n.GetId())}
	if parts := strings.Split(r.node, "~"); len(parts) == 4 {
		r.node = parts[2]
	}
	fields := n.GetMetadata().GetFields()
	labels := fields["LABELS"].GetStructValue().GetFields()
	label := func(names ...string) string {
		for _, name := range names {
			if v := short(labels[name].GetStringValue()); v != "" {
				return v
			}
		}
		return ""
	}
	r.workload = mesh.Workload{
		Cluster:   short(fields["CLUSTER_ID"].GetStringValue()),
		Namespace: short(fields["NAMESPACE"].GetStringValue()),
		Name:      short(cmp.Or(fields["WORKLOAD_NAME"].GetStringValue(), n.GetCluster(), mesh.Unknown)),
		App:       label("service.istio.io/canonical-name", "app.kubernetes.io/name", "app"),
		Version:   label("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"),
	}
	return r
}

func (r *reporter) http(e *datav3.HTTPAccessLogEntry) *mesh.TapEvent {
	ev := r.common(e.GetCommonProperties())
	req, resp := e.GetRequest(), e.GetResponse()
	ev.Protocol = mesh.HTTP
	ev.Authority = short(req.GetAuthority())
	ev.Path = mesh.RedactTarget(cmp.Or(req.GetOriginalPath(), req.GetPath()))
	if req.GetRequestMethod() != corev3.RequestMethod_METHOD_UNSPECIFIED {
		ev.Method = req.GetRequestMethod().String()
	}
	ev.Status = int(resp.GetResponseCode().GetValue())
	ev.Details = short(resp.GetResponseCodeDetails())
	ev.RequestBytes, ev.ResponseBytes = int64(req.GetRequestBodyBytes()), int64(resp.GetResponseBodyBytes())
	headers := lowered(req.GetRequestHeaders())
	answer, trailers := lowered(resp.GetResponseHeaders()), lowered(resp.GetResponseTrailers())
	if strings.HasPrefix(headers["content-type"], "application/grpc") || trailers["grpc-status"] != "" {
		ev.Protocol = mesh.GRPC
		ev.GRPCStatus = short(cmp.Or(trailers["grpc-status"], answer["grpc-status"]))
	}
	ev.AnsweredBy = mesh.AnsweredByProxy
	if ev.Details == "via_upstream" || ev.Details == "" && ev.Flags == string(mesh.FlagNone) && ev.Status != 0 {
		ev.AnsweredBy = mesh.AnsweredByUpstream
	}
	ev.TraceID, ev.SpanID = traceOf(headers)
	ev.RequestHeaders, ev.ResponseHeaders = mesh.RedactHeaders(listed(headers), nil), mesh.RedactHeaders(listed(answer), nil)
	return ev
}

func (r *reporter) tcp(e *datav3.TCPAccessLogEntry) *mesh.TapEvent {
	ev := r.common(e.GetCommonProperties())
	ev.Protocol = mesh.TCP
	ev.Details = short(e.GetCommonProperties().GetConnectionTerminationDetails())
	ev.RequestBytes = int64(e.GetConnectionProperties().GetReceivedBytes())
	ev.ResponseBytes = int64(e.GetConnectionProperties().GetSentBytes())
	ev.AnsweredBy = mesh.AnsweredByUpstream
	if ev.Flags != string(mesh.FlagNone) {
		ev.AnsweredBy = mesh.AnsweredByProxy
	}
	return ev
}

// maxAccessField bounds what clients and services wrote into an entry.
const maxAccessField = 256

func short(text string) string { return mesh.Shorten(text, maxAccessField) }

func (r *reporter) common(c *datav3.AccessLogCommon) *mesh.TapEvent {
	ev := &mesh.TapEvent{
		At: c.GetStartTime().AsTime(), Node: r.node, Route: short(c.GetRouteName()), Cluster: short(c.GetUpstreamCluster()),
		Flags: flagsOf(c.GetResponseFlags()), TLS: "none", Attempts: []mesh.Attempt{},
	}
	if y := ev.At.Year(); c.GetStartTime() == nil || y < 1970 || y > 9999 {
		ev.At = time.Now()
	}
	peer := mesh.Workload{Name: mesh.Unknown, Namespace: mesh.Unknown}
	// Istio names clusters "direction|port|subset|host".
	direction, rest, _ := strings.Cut(ev.Cluster, "|")
	if host := rest[strings.LastIndexByte(rest, '|')+1:]; strings.Contains(rest, "|") && host != "" {
		ev.Service = serviceOfHost(host)
	}
	ev.Direction = "outbound"
	if strings.HasPrefix(direction, "inbound") {
		ev.Direction = "inbound"
	}
	if tls := c.GetTlsProperties(); tls != nil {
		for _, san := range tls.GetPeerCertificateProperties().GetSubjectAltName() {
			ev.TLS = "mutual_tls"
			uri := short(san.GetUri())
			if strings.HasPrefix(uri, "spiffe://") {
				ev.SourcePrincipal = uri
			}
			if w, ok := workloadOfIdentity(uri); ok && ev.Direction == "inbound" {
				peer = w
			}
		}
	}
	ev.Source, ev.Destination = r.workload, peer
	if ev.Direction == "inbound" {
		ev.Source, ev.Destination = peer, r.workload
	}
	ev.DurationMS = ms(cmp.Or(c.GetDuration(), c.GetTimeToLastDownstreamTxByte()))
	ev.FirstByteMS = ms(c.GetTimeToFirstDownstreamTxByte())
	if there, back := c.GetTimeToFirstUpstreamTxByte(), c.GetTimeToFirstUpstreamRxByte(); there != nil && back != nil {
		ev.ProxyMS = ms(there) + max(0, ms(c.GetTimeToFirstDownstreamTxByte())-ms(back))
	}
	r.attempts(ev, c)
	return ev
}

// attempts tells of the last try, which is all that Envoy tells; those before
// it are counted.
func (r *reporter) attempts(ev *mesh.TapEvent, c *datav3.AccessLogCommon) {
	endpoint := short(addressOf(c.GetUpstreamRemoteAddress()))
	n := int(min(c.GetUpstreamRequestAttemptCount(), 32))
	if n == 0 && endpoint != "" {
		n = 1
	}
	for i := range n {
		a := mesh.Attempt{Flags: string(mesh.FlagNone), Reason: "an earlier try: Envoy tells of the last one only"}
		if i == n-1 {
			a = mesh.Attempt{Endpoint: endpoint, Flags: ev.Flags, Reason: short(c.GetUpstreamTransportFailureReason()), StartMS: ms(c.GetTimeToFirstUpstreamTxByte())}
			a.DurationMS = max(0, ms(c.GetTimeToLastUpstreamRxByte())-a.StartMS)
		}
		ev.Attempts = append(ev.Attempts, a)
	}
}

func ms(d *durationpb.Duration) float64 { return float64(d.AsDuration()) / float64(time.Millisecond) }

func addressOf(a *corev3.Address) string {
	s := a.GetSocketAddress()
	if s == nil {
		return a.GetPipe().GetPath()
	}
	return net.JoinHostPort(s.GetAddress(), strconv.Itoa(int(s.GetPortValue())))
}

// serviceOfHost reads the parts of a Kubernetes host name; others are external
// and stand for themselves.
func serviceOfHost(host string) mesh.Service {
	if name, rest, ok := strings.Cut(host, "."); ok && strings.Contains(host, ".svc.") {
		namespace, _, _ := strings.Cut(rest, ".")
		return mesh.Service{Host: host, Namespace: namespace, Name: name}
	}
	return mesh.Service{Host: host, Name: host}
}

// workloadOfIdentity reads spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT. The account
// is all that a certificate tells of who it is.
func workloadOfIdentity(uri string) (mesh.Workload, bool) {
	parts := strings.Split(strings.TrimPrefix(uri, "spiffe://"), "/")
	if !strings.HasPrefix(uri, "spiffe://") || len(parts) != 5 || parts[1] != "ns" || parts[3] != "sa" {
		return mesh.Workload{}, false
	}
	return mesh.Workload{Namespace: parts[2], Name: parts[4], App: parts[4]}, true
}

// traceOf finds the trace in the headers that the proxy logs.
func traceOf(headers map[string]string) (trace, span string) {
	if parts := strings.Split(headers["traceparent"], "-"); len(parts) == 4 && len(parts[1]) == 32 {
		return parts[1], short(parts[2])
	}
	return short(headers["x-b3-traceid"]), short(headers["x-b3-spanid"])
}

func lowered(headers map[string]string) map[string]string {
	out := make(map[string]string, len(headers))
	for name, value := range headers {
		out[strings.ToLower(name)] = value
	}
	return out
}

func listed(headers map[string]string) map[string][]string {
	out := make(map[string][]string, len(headers))
	for name, value := range headers {
		if !strings.HasPrefix(name, ":") {
			out[name] = []string{value}
		}
	}
	return out
}

// flagsOf gives the short forms, joined as our sidecar joins them.
func flagsOf(f *datav3.ResponseFlags) string {
	var flags []string
	for _, known := range []struct {
		set  bool
		flag mesh.Flag
	}{
		{f.GetNoHealthyUpstream(), mesh.FlagNoHealthyUpstream},
		{f.GetUpstreamConnectionFailure(), mesh.FlagUpstreamConnectionFailure},
		{f.GetUpstreamOverflow(), mesh.FlagUpstreamOverflow},
		{f.GetNoRouteFound(), mesh.FlagNoRouteFound},
		{f.GetNoClusterFound(), mesh.FlagNoClusterFound},
		{f.GetUpstreamRetryLimitExceeded(), mesh.FlagUpstreamRetryLimitExceeded},
		{f.GetUpstreamRequestTimeout(), mesh.FlagUpstreamRequestTimeout},
		{f.GetUpstreamConnectionTermination(), mesh.FlagUpstreamConnectionTerm},
		{f.GetUpstreamRemoteReset(), mesh.FlagUpstreamRemoteReset},
		{f.GetUpstreamProtocolError(), mesh.FlagUpstreamProtocolError},
		{f.GetDownstreamConnectionTermination() || f.GetDownstreamRemoteReset(), mesh.FlagDownstreamTermination},
		{f.GetDownstreamProtocolError(), mesh.FlagDownstreamProtocolError},
		{f.GetDelayInjected(), mesh.FlagDelayInjected},
		{f.GetFaultInjected(), mesh.FlagFaultInjected},
		{f.GetRateLimited(), mesh.FlagRateLimited},
		{f.GetLocalReset(), mesh.FlagLocalReset},
		{f.GetStreamIdleTimeout(), mesh.FlagStreamIdleTimeout},
		{f.GetDurationTimeout(), mesh.FlagDurationTimeout},
		{f.GetDnsResolutionFailure(), mesh.FlagDNSFailure},
		{f.GetUnauthorizedDetails() != nil, mesh.FlagUnauthorized},
		{f.GetOverloadManager(), mesh.FlagOverload},
	} {
		if known.set {
			flags = append(flags, string(known.flag))
		}
	}
	if len(flags) == 0 {
		return string(mesh.FlagNone)
	}
	slices.Sort(flags)
	return strings.Join(flags, ",")
}
