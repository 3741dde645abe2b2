package meshv1

import "github.com/sidelight-mesh/sidelight/mesh"

// FromTapEvent gives the message for ev. Seq and Node stay behind: the server
// numbers events itself and knows the node from the stream.
func FromTapEvent(ev mesh.TapEvent) *TapEvent {
	x := &TapEvent{
		At:            fromTime(ev.At),
		Direction:     ev.Direction,
		Source:        FromWorkload(ev.Source),
		Destination:   FromWorkload(ev.Destination),
		Service:       FromService(ev.Service),
		Protocol:      string(ev.Protocol),
		Method:        ev.Method,
		Authority:     ev.Authority,
		Path:          ev.Path,
		Status:        int32(ev.Status),
		GrpcStatus:    ev.GRPCStatus,
		Flags:         ev.Flags,
		AnsweredBy:    ev.AnsweredBy,
		Details:       ev.Details,
		Route:         ev.Route,
		RouteObject:   ev.RouteObject,
		Cluster:       ev.Cluster,
		Revision:      ev.Revision,
		DurationMs:    ev.DurationMS,
		FirstByteMs:   ev.FirstByteMS,
		ProxyMs:       ev.ProxyMS,
		RequestBytes:  ev.RequestBytes,
		ResponseBytes: ev.ResponseBytes,
		TraceId:       ev.TraceID,
		SpanId:        ev.SpanID,
		Tls:           ev.TLS,
		Object:        ev.Object, SourcePrincipal: ev.SourcePrincipal, DestinationPrincipal: ev.DestinationPrincipal,
		RequestHeaders:  fromHeaders(ev.RequestHeaders),
		ResponseHeaders: fromHeaders(ev.ResponseHeaders),
	}
	for _, a := range ev.Attempts {
		x.Attempts = append(x.Attempts, &Attempt{
			Endpoint: a.Endpoint, Workload: a.Workload, StartMs: a.StartMS, DurationMs: a.DurationMS,
			Status: int32(a.Status), Flags: a.Flags, Reason: a.Reason, QueueMs: a.QueueMS, ConnectMs: a.ConnectMS,
		})
	}
	return x
}

// Mesh gives the event. Attempts is never nil, since the API's lists are never
// null.
func (x *TapEvent) Mesh() mesh.TapEvent {
	ev := mesh.TapEvent{
		At:            toTime(x.GetAt()),
		Direction:     x.GetDirection(),
		Source:        x.GetSource().Mesh(),
		Destination:   x.GetDestination().Mesh(),
		Service:       x.GetService().Mesh(),
		Protocol:      mesh.Protocol(x.GetProtocol()),
		Method:        x.GetMethod(),
		Authority:     x.GetAuthority(),
		Path:          x.GetPath(),
		Status:        int(x.GetStatus()),
		GRPCStatus:    x.GetGrpcStatus(),
		Flags:         x.GetFlags(),
		AnsweredBy:    x.GetAnsweredBy(),
		Details:       x.GetDetails(),
		Route:         x.GetRoute(),
		RouteObject:   x.GetRouteObject(),
		Cluster:       x.GetCluster(),
		Revision:      x.GetRevision(),
		Attempts:      make([]mesh.Attempt, 0, len(x.GetAttempts())),
		DurationMS:    x.GetDurationMs(),
		FirstByteMS:   x.GetFirstByteMs(),
		ProxyMS:       x.GetProxyMs(),
		RequestBytes:  x.GetRequestBytes(),
		ResponseBytes: x.GetResponseBytes(),
		TraceID:       x.GetTraceId(),
		SpanID:        x.GetSpanId(),
		TLS:           x.GetTls(),
		Object:        x.GetObject(), SourcePrincipal: x.GetSourcePrincipal(), DestinationPrincipal: x.GetDestinationPrincipal(),
		RequestHeaders:  toHeaders(x.GetRequestHeaders()),
		ResponseHeaders: toHeaders(x.GetResponseHeaders()),
	}
	for _, a := range x.GetAttempts() {
		ev.Attempts = append(ev.Attempts, mesh.Attempt{
			Endpoint: a.GetEndpoint(), Workload: a.GetWorkload(), StartMS: a.GetStartMs(), DurationMS: a.GetDurationMs(),
			Status: int(a.GetStatus()), Flags: a.GetFlags(), Reason: a.GetReason(), QueueMS: a.GetQueueMs(), ConnectMS: a.GetConnectMs(),
		})
	}
	return ev
}

func fromHeaders(headers []mesh.Header) []*Header {
	if len(headers) == 0 {
		return nil
	}
	out := make([]*Header, 0, len(headers))
	for _, h := range headers {
		out = append(out, &Header{Name: h.Name, Value: h.Value, Redacted: h.Redacted, Bytes: int32(h.Bytes)})
	}
	return out
}

func toHeaders(headers []*Header) []mesh.Header {
	if len(headers) == 0 {
		return nil
	}
	out := make([]mesh.Header, 0, len(headers))
	for _, h := range headers {
		out = append(out, mesh.Header{Name: h.GetName(), Value: h.GetValue(), Redacted: h.GetRedacted(), Bytes: int(h.GetBytes())})
	}
	return out
}
