package expr

import (
	"strconv"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// The fields of a tap filter. Server and sidecar compile the same filter
// against the same schema: the server to tell the viewer where it is wrong, the
// sidecar to decide when a response has ended.
const (
	tapFrom = iota
	tapTo
	tapWorkload
	tapNamespace
	tapService
	tapHost
	tapMethod
	tapPath
	tapRoute
	tapObject
	tapStatus
	tapGRPC
	tapError
	tapDuration
	tapBytes
	tapRequestBytes
	tapResponseBytes
	tapFlags
	tapAnsweredBy
	tapDetails
	tapAttempts
	tapTLS
	tapSourcePrincipal
	tapDestinationPrincipal
	tapDirection
	tapProtocol
	tapCluster
	tapRevision
	tapTrace
	tapSeenBy
	tapQueue
	tapConnect
	tapHeader
	tapResponseHeader
)

// TapSchema is the schema of tap filters; TapValue gives its values.
func TapSchema() *Schema {
	return &Schema{
		Fields: []Field{
			tapFrom:                 {Name: "from", Aliases: []string{"source"}, Help: "calling workload: name, namespace/name or app"},
			tapTo:                   {Name: "to", Aliases: []string{"destination"}, Help: "answering workload: name, namespace/name or app"},
			tapWorkload:             {Name: "workload", Help: "either side: name, namespace/name or app"},
			tapNamespace:            {Name: "namespace", Aliases: []string{"ns"}, Help: "namespace of either side"},
			tapService:              {Name: "service", Aliases: []string{"svc"}, Help: "what was called: host or short name"},
			tapHost:                 {Name: "host", Aliases: []string{"authority"}, Help: "Host or :authority as sent"},
			tapMethod:               {Name: "method", Help: "GET, POST …"},
			tapPath:                 {Name: "path", Help: "path, without the query"},
			tapRoute:                {Name: "route", Help: "name of the route that matched"},
			tapObject:               {Name: "object", Aliases: []string{"config"}, Help: "configuration object behind the route: VirtualService cinema/tickets"},
			tapStatus:               {Name: "status", Aliases: []string{"code"}, Kind: Number, Unit: Code, Help: "HTTP status; 5xx names a class, 0 means no answer"},
			tapGRPC:                 {Name: "grpc", Aliases: []string{"grpc_status"}, Help: "gRPC status: 14 or Unavailable"},
			tapError:                {Name: "error", Aliases: []string{"failed"}, Kind: Bool, Help: "5xx, a gRPC error, or no answer"},
			tapDuration:             {Name: "duration", Aliases: []string{"latency", "took"}, Kind: Number, Unit: Millis, Help: "first byte in to last byte out"},
			tapBytes:                {Name: "bytes", Kind: Number, Unit: Bytes, Help: "request and response bodies together"},
			tapRequestBytes:         {Name: "request_bytes", Kind: Number, Unit: Bytes, Help: "request body"},
			tapResponseBytes:        {Name: "response_bytes", Kind: Number, Unit: Bytes, Help: "response body"},
			tapFlags:                {Name: "flags", Aliases: []string{"flag"}, Help: "response flags: UF, URX …"},
			tapAnsweredBy:           {Name: "answered_by", Aliases: []string{"by"}, Help: "upstream or proxy"},
			tapDetails:              {Name: "details", Help: "why the proxy answered: route_not_found …"},
			tapAttempts:             {Name: "attempts", Aliases: []string{"tries"}, Kind: Number, Help: "tries at an endpoint; 2 means one retry"},
			tapTLS:                  {Name: "tls", Help: "mutual_tls, tls (not the mesh's) or none"},
			tapSourcePrincipal:      {Name: "source_principal", Aliases: []string{"principal"}, Help: "identity that the caller proved: spiffe://…; empty without mutual TLS"},
			tapDestinationPrincipal: {Name: "destination_principal", Help: "identity that the called side proved"},
			tapDirection:            {Name: "direction", Aliases: []string{"dir"}, Help: "outbound or inbound"},
			tapProtocol:             {Name: "protocol", Aliases: []string{"proto"}, Help: "http, grpc or tcp"},
			tapCluster:              {Name: "cluster", Help: "upstream cluster: outbound|8080|v1|catalog.cinema.svc.cluster.local"},
			tapRevision:             {Name: "revision", Aliases: []string{"rev"}, Kind: Number, Help: "configuration revision of the route used"},
			tapTrace:                {Name: "trace", Aliases: []string{"trace_id"}, Help: "trace ID, hex"},
			tapSeenBy:               {Name: "seen_by", Aliases: []string{"reporter"}, Help: "workload whose sidecar tells of it: name, namespace/name or app"},
			tapQueue:                {Name: "queue", Aliases: []string{"queued"}, Kind: Number, Unit: Millis, Help: "waited for a connection, all tries together"},
			tapConnect:              {Name: "connect", Kind: Number, Unit: Millis, Help: "opening connections, TLS included, all tries together"},
			tapHeader:               {Name: "header", Aliases: []string{"request_header"}, Keyed: true, Help: "a field of the request by name: header[user-agent]; secrets only whether they are there"},
			tapResponseHeader:       {Name: "response_header", Keyed: true, Help: "a field of the answer by name: response_header[cache-control]"},
		},
		Words:  []int{tapWorkload, tapService, tapHost, tapPath, tapRoute, tapMethod},
		Secret: mesh.SecretHeader,
	}
}

// TapHeaders gives the values of a header field as they may be shown; name is
// in lower case.
type TapHeaders func(response bool, name string) []mesh.Header

// MatchTap reports whether ev passes a filter of TapSchema. What is redacted
// of its header fields is there, but has no value.
func MatchTap(e *Expr, ev *mesh.TapEvent, headers TapHeaders) bool {
	return e.Match(func(i int) Value {
		if key, keyed := e.Key(i); keyed {
			return headerValue(headers(key.Field == tapResponseHeader, key.Name))
		}
		return TapValue(ev, i)
	})
}

func headerValue(headers []mesh.Header) Value {
	var v Value
	for _, h := range headers {
		v.List = append(v.List, h.Value)
	}
	return v
}

// TapValue gives field i of TapSchema for ev. It leaves the query out of the
// path: a filter must not be a way to guess redacted values.
func TapValue(ev *mesh.TapEvent, i int) Value {
	switch i {
	case tapFrom:
		return workloadValue(ev.Source)
	case tapTo:
		return workloadValue(ev.Destination)
	case tapWorkload:
		return Value{List: append(workloadNames(ev.Source), workloadNames(ev.Destination)...)}
	case tapNamespace:
		return Value{Text: ev.Source.Namespace, List: []string{ev.Destination.Namespace}}
	case tapService:
		return Value{Text: ev.Service.Host, List: []string{ev.Service.Name}}
	case tapHost:
		return Value{Text: ev.Authority}
	case tapMethod:
		return Value{Text: ev.Method}
	case tapPath:
		path, _, _ := strings.Cut(ev.Path, "?")
		return Value{Text: path}
	case tapRoute:
		return Value{Text: ev.Route}
	case tapObject:
		return Value{Text: ev.RouteObject}
	case tapGRPC:
		return grpcValue(ev.GRPCStatus)
	case tapFlags:
		return flagsValue(ev.Flags)
	case tapAnsweredBy:
		return Value{Text: ev.AnsweredBy}
	case tapDetails:
		return Value{Text: ev.Details}
	case tapTLS:
		return Value{Text: ev.TLS}
	case tapSourcePrincipal:
		return Value{Text: ev.SourcePrincipal}
	case tapDestinationPrincipal:
		return Value{Text: ev.DestinationPrincipal}
	case tapDirection:
		return Value{Text: ev.Direction}
	case tapProtocol:
		return Value{Text: string(ev.Protocol)}
	case tapCluster:
		return Value{Text: ev.Cluster}
	case tapTrace:
		return Value{Text: ev.TraceID}
	case tapSeenBy:
		if ev.Direction == "inbound" {
			return workloadValue(ev.Destination)
		}
		return workloadValue(ev.Source)
	case tapError:
		return Value{Bool: TapFailed(ev)}
	default:
		return Value{Num: tapNumber(ev, i)}
	}
}

func tapNumber(ev *mesh.TapEvent, i int) float64 {
	switch i {
	case tapStatus:
		return float64(ev.Status)
	case tapDuration:
		return ev.DurationMS
	case tapBytes:
		return float64(ev.RequestBytes + ev.ResponseBytes)
	case tapRequestBytes:
		return float64(ev.RequestBytes)
	case tapResponseBytes:
		return float64(ev.ResponseBytes)
	case tapAttempts:
		return float64(len(ev.Attempts))
	case tapRevision:
		return float64(ev.Revision)
	}
	return tapWaits(ev, i)
}

func tapWaits(ev *mesh.TapEvent, i int) (sum float64) {
	for _, a := range ev.Attempts {
		switch i {
		case tapQueue:
			sum += a.QueueMS
		case tapConnect:
			sum += a.ConnectMS
		}
	}
	return sum
}

// TapFailed reports whether ev counts as an error: no answer, a 5xx, a gRPC
// status other than OK, or a TCP connection that ended with a flag.
func TapFailed(ev *mesh.TapEvent) bool {
	if ev.Protocol == mesh.TCP {
		return ev.Flags != "" && ev.Flags != string(mesh.FlagNone)
	}
	if ev.Status == 0 || ev.Status >= 500 {
		return true
	}
	switch ev.GRPCStatus {
	case "", "0", "OK", "Ok":
		return false
	}
	return true
}

func workloadValue(w mesh.Workload) Value { return Value{List: workloadNames(w)} }

func workloadNames(w mesh.Workload) []string {
	if w.IsUnknown() {
		return []string{mesh.Unknown}
	}
	return []string{w.Namespace + "/" + w.Name, w.Name, w.App}
}

func flagsValue(flags string) Value {
	switch {
	case flags == "" || flags == string(mesh.FlagNone):
		return Value{}
	case strings.Contains(flags, ","):
		return Value{List: strings.Split(flags, ",")}
	default:
		return Value{Text: flags}
	}
}

// grpcValue offers a status by number and by name, however the sidecar wrote it.
func grpcValue(status string) Value {
	if status == "" {
		return Value{}
	}
	if n, err := strconv.Atoi(status); err == nil && n >= 0 && n < len(grpcNames) {
		return Value{Text: status, List: grpcNames[n : n+1]}
	}
	for n, name := range grpcNames {
		if strings.EqualFold(status, name) {
			return Value{Text: status, List: []string{strconv.Itoa(n)}}
		}
	}
	return Value{Text: status}
}

// grpcNames are the names of https://grpc.io/docs/guides/status-codes, in the
// spelling of Envoy's access log.
var grpcNames = []string{
	"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
	"PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange",
	"Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
}
