package mesh

import "time"

// TapEvent is one request (or TCP connection) as one sidecar saw it end.
type TapEvent struct {
	Seq       uint64    `json:"seq"` // by the server, per session
	At        time.Time `json:"at"`  // when the request began
	Node      string    `json:"node"`
	Direction string    `json:"direction"` // outbound | inbound

	Source      Workload `json:"source"`
	Destination Workload `json:"destination"`
	Service     Service  `json:"service"`
	Protocol    Protocol `json:"protocol"`

	Method     string `json:"method,omitempty"`
	Authority  string `json:"authority,omitempty"`
	Path       string `json:"path,omitempty"` // query values are hashed unless revealed
	Status     int    `json:"status"`
	GRPCStatus string `json:"grpc_status,omitempty"`

	Flags       string `json:"flags"`       // "-" for none
	AnsweredBy  string `json:"answered_by"` // upstream | proxy
	Details     string `json:"details,omitempty"`
	Object      string `json:"object,omitempty"` // configuration that made the proxy answer: "AuthorizationPolicy cinema/deny"
	Route       string `json:"route,omitempty"`
	RouteObject string `json:"route_object,omitempty"` // "VirtualService cinema/tickets"
	Cluster     string `json:"cluster,omitempty"`
	Revision    uint64 `json:"revision,omitempty"` // configuration revision of the route used

	Attempts []Attempt `json:"attempts"`

	DurationMS  float64 `json:"duration_ms"`
	FirstByteMS float64 `json:"first_byte_ms,omitempty"`
	ProxyMS     float64 `json:"proxy_ms"` // the sidecar's own share

	RequestBytes  int64 `json:"request_bytes"`
	ResponseBytes int64 `json:"response_bytes"`

	TraceID string `json:"trace_id,omitempty"`
	SpanID  string `json:"span_id,omitempty"`
	TLS     string `json:"tls"` // mutual_tls | tls (not the mesh's) | none

	// Who the two ends proved to be, as spiffe://…; "" without mutual TLS.
	SourcePrincipal      string `json:"source_principal,omitempty"`
	DestinationPrincipal string `json:"destination_principal,omitempty"`

	RequestHeaders  []Header `json:"request_headers,omitempty"` // only if the session asked
	ResponseHeaders []Header `json:"response_headers,omitempty"`
}

// Header gives the values of a header field, its name in lower case.
func (ev *TapEvent) Header(response bool, name string) []Header {
	from := ev.RequestHeaders
	if response {
		from = ev.ResponseHeaders
	}
	var values []Header
	for _, h := range from {
		if h.Name == name {
			values = append(values, h)
		}
	}
	return values
}

// Attempt is one try at an endpoint.
type Attempt struct {
	Endpoint   string  `json:"endpoint"`
	Workload   string  `json:"workload,omitempty"` // "namespace/name"
	StartMS    float64 `json:"start_ms"`           // after the request's begin
	DurationMS float64 `json:"duration_ms"`
	// Of the duration: waiting for a connection, and opening one, TLS included.
	QueueMS   float64 `json:"queue_ms,omitempty"`
	ConnectMS float64 `json:"connect_ms,omitempty"`

	Status int    `json:"status"`           // 0 when no answer came
	Flags  string `json:"flags"`            // "-" for none
	Reason string `json:"reason,omitempty"` // "connection refused", "per-try timeout 1s"
}

// Header is one header field. A redacted value is empty and Redacted is true.
type Header struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Redacted bool   `json:"redacted,omitempty"`
	Bytes    int    `json:"bytes,omitempty"` // of the redacted value
}

// TapLedger accounts for every event that a tap session's filter matched:
// Matched = Delivered + SampledOut + DroppedSidecar + DroppedServer +
// DroppedSocket once everything under way has arrived.
type TapLedger struct {
	Matched        uint64 `json:"matched"`
	Delivered      uint64 `json:"delivered"`
	SampledOut     uint64 `json:"sampled_out"`     // over the session's limit, at the sidecars
	DroppedSidecar uint64 `json:"dropped_sidecar"` // sidecar's buffer full or stream lost
	DroppedServer  uint64 `json:"dropped_server"`  // session's queue full
	DroppedSocket  uint64 `json:"dropped_socket"`  // viewer too slow
}

// Lost is the sum of all kinds of loss.
func (l TapLedger) Lost() uint64 {
	return l.SampledOut + l.DroppedSidecar + l.DroppedServer + l.DroppedSocket
}
