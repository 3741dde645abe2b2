package tap

import (
	"encoding/hex"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// newEvent copies an exchange, except its headers. The path is still as the
// client sent it.
func newEvent(x *forward.Exchange) mesh.TapEvent {
	ev := mesh.TapEvent{
		At:            x.Begin,
		Direction:     string(x.Direction),
		Source:        workload(x.Source),
		Destination:   workload(x.Destination),
		Service:       x.Service,
		Protocol:      x.Protocol,
		Method:        x.Method,
		Authority:     x.Authority,
		Path:          x.Path,
		Status:        x.Status,
		GRPCStatus:    x.GRPCStatus,
		Flags:         x.Flags.String(),
		AnsweredBy:    x.AnsweredBy(),
		Route:         x.RouteName,
		RouteObject:   x.RouteObject,
		Cluster:       x.Cluster,
		Revision:      x.Revision,
		Attempts:      make([]mesh.Attempt, len(x.Attempts)),
		DurationMS:    millis(x.Duration),
		FirstByteMS:   millis(x.FirstByte),
		ProxyMS:       millis(x.Own),
		RequestBytes:  x.RequestBytes,
		ResponseBytes: x.ResponseBytes,
		TLS:           x.TLS,
		Object:        x.Object,
	}
	if x.Source != nil && x.Destination != nil {
		ev.SourcePrincipal, ev.DestinationPrincipal = x.Source.Principal, x.Destination.Principal
	}
	if x.Details != forward.DetailsViaUpstream {
		ev.Details = x.Details
	}
	if !x.Trace.ID.IsZero() {
		ev.TraceID = hex.EncodeToString(x.Trace.ID[:])
		ev.SpanID = hex.EncodeToString(x.Trace.Span[:])
	}
	for i, a := range x.Attempts {
		ev.Attempts[i] = mesh.Attempt{
			Endpoint: a.Endpoint, StartMS: millis(a.Start), DurationMS: millis(a.Duration), QueueMS: millis(a.Queue), ConnectMS: millis(a.Connect),
			Status: a.Status, Flags: a.Flags.String(), Reason: mesh.Shorten(a.Reason, maxField),
		}
		if !a.Workload.IsUnknown() {
			ev.Attempts[i].Workload = a.Workload.Namespace + "/" + a.Workload.Name
		}
	}
	return ev
}

func workload(p *forward.Peer) mesh.Workload {
	if p == nil {
		return mesh.Workload{}
	}
	return p.Workload
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
