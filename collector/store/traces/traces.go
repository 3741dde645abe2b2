// Package traces stores spans and answers questions about them. It owns the
// query port that the server, the Jaeger API and the command line read
// through, the embedded store on Pebble behind it, the clients for a collector
// in another process and for the stores of others (Jaeger, Tempo), and the copy
// that goes to one. Pebble is imported here and nowhere else.
package traces

import (
	"context"
	"iter"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Querier answers questions about stored traces. Implementations are safe for
// concurrent use, give results that the caller owns, and pass
// storetest.Suite.
type Querier interface {
	// Search gives the newest traces that match, at most q.Limit: exactly
	// q.Limit when that many exist. An empty result is not an error.
	Search(ctx context.Context, q Query) (SearchResult, error)
	// Stream gives the traces that Search would list, whole and in the same
	// order, one at a time: nothing holds all of them. An error ends it.
	Stream(ctx context.Context, q Query) iter.Seq2[Trace, error]
	// Get gives one trace whole. mesh.ErrNotFound when no span of it is stored,
	// mesh.ErrInvalid when id is not 32 hex digits (leading zeros may be missing).
	Get(ctx context.Context, id string) (Trace, error)
	// Services lists the services that sent spans, sorted.
	Services(ctx context.Context) ([]string, error)
	// Operations lists a service's operations, sorted; empty when unknown.
	Operations(ctx context.Context, service string) ([]string, error)
	// Stats gives totals since the store was opened and what it holds.
	Stats() Stats
}

// Query selects traces. Zero fields do not restrict. All conditions on spans
// must hold on one and the same span, except MinDuration, MaxDuration, From
// and To, which speak of the trace.
type Query struct {
	Service   string
	Operation string
	Workload  string // "namespace/name"
	Source    string // "namespace/name": an edge's client
	Target    string // "namespace/name": an edge's server
	Route     string
	Status    string // "503", "5xx"
	Errors    bool   // only traces with an error span
	Clean     bool   // only traces without one
	Tags      map[string]string

	MinDuration, MaxDuration time.Duration
	From, To                 time.Time
	Limit                    int // default 20, at most 1000
}

// SearchResult is what a search found, newest first.
type SearchResult struct {
	Traces       []Summary `json:"traces"`
	TotalScanned int       `json:"total_scanned"`
	Complete     bool      `json:"complete"` // false: the scan's limit ended it before the time range did
}

// Summary is one line of a result list.
type Summary struct {
	TraceID    string         `json:"trace_id"`
	Service    string         `json:"service"` // of the root span, or of the earliest when the root is missing
	Operation  string         `json:"operation"`
	Start      time.Time      `json:"start"`
	DurationMS float64        `json:"duration_ms"`
	Spans      int            `json:"spans"`
	Errors     int            `json:"errors"`
	Status     int            `json:"status"` // HTTP status of the root, 0 when it has none
	Services   []ServiceCount `json:"services"`
}

// ServiceCount is a service's share in one trace.
type ServiceCount struct {
	Name   string `json:"name"`
	Spans  int    `json:"spans"`
	Errors int    `json:"errors"`
}

// Trace is one trace whole. Times are microseconds after Start. A Querier gives
// the spans by start and leaves the fields that say so empty: server/trace fills
// them in and orders the spans as a tree, parents first.
type Trace struct {
	TraceID      string    `json:"trace_id"`
	Start        time.Time `json:"start"`
	DurationMS   float64   `json:"duration_ms"`
	Spans        []Span    `json:"spans"`
	CriticalPath []string  `json:"critical_path"` // span IDs; filled by server/trace
	Origins      []string  `json:"origins"`       // spans where errors began, by time; filled by server/trace
	Gaps         []Gap     `json:"gaps"`          // of the critical path; filled by server/trace
	Calls        []Call    `json:"calls"`         // who called whom; filled by server/trace
	Services     []string  `json:"services"`      // filled by server/trace
	Problems     []string  `json:"problems"`      // "2 spans without their parent", "clock skew of 3 ms at ..."
}

// Span is one operation of a trace.
type Span struct {
	SpanID     string      `json:"span_id"`
	ParentID   string      `json:"parent_id"`
	Depth      int         `json:"depth"` // filled by server/trace
	Role       string      `json:"role"`  // "" | outbound | inbound | attempt | hedge; filled by server/trace
	Hop        string      `json:"hop"`   // span that stands for the call this is a part of, often itself; filled by server/trace
	Service    string      `json:"service"`
	Workload   string      `json:"workload"` // "namespace/name"
	Version    string      `json:"version"`  // of the service; "" when not told
	Node       string      `json:"node"`     // the instance that sent it; "" when not told
	Operation  string      `json:"operation"`
	Kind       string      `json:"kind"` // internal | server | client | producer | consumer
	StartUS    int64       `json:"start_us"`
	DurationUS int64       `json:"duration_us"`
	SelfUS     int64       `json:"self_us"` // not covered by children; filled by server/trace
	Status     string      `json:"status"`  // unset | ok | error
	Message    string      `json:"message,omitempty"`
	Attributes []Attribute `json:"attributes"`
	Events     []Event     `json:"events"`
}

// Gap is a stretch of the critical path in which a span with children waited
// or worked by itself: nothing stored tells more of it.
type Gap struct {
	SpanID     string `json:"span_id"`
	FromUS     int64  `json:"from_us"`
	DurationUS int64  `json:"duration_us"`
}

// Call is an edge of the graph of one trace.
type Call struct {
	Source     string `json:"source"` // "namespace/name", or a service; "" for who called first
	Target     string `json:"target"` // the same, or a host outside the mesh
	Calls      int    `json:"calls"`
	Errors     int    `json:"errors"`
	DurationUS int64  `json:"duration_us"` // sum
}

// Attribute is a key and its value as text.
type Attribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Event is a dated note on a span.
type Event struct {
	AtUS       int64       `json:"at_us"`
	Name       string      `json:"name"`
	Attributes []Attribute `json:"attributes"`
}

// Writer stores spans. It returns once they are safe from the end of this
// process. mesh.ErrExhausted asks the sender to slow down and try again;
// mesh.ErrUnavailable says that the store is closed or cannot write.
type Writer interface {
	WriteSpans(ctx context.Context, td ptrace.Traces) error
	// WriteOTLP takes an encoded export request, or TracesData, of so many
	// spans, and owns it from the call on.
	WriteOTLP(ctx context.Context, message []byte, spans int) error
}

// Stats counts what the store took, holds and lost.
type Stats struct {
	Spans   uint64 `json:"spans"`  // taken since the store was opened
	Traces  uint64 `json:"traces"` // distinct, since the store was opened
	Refused uint64 `json:"refused"`
	Bytes   uint64 `json:"bytes"` // on disk
	Corrupt uint64 `json:"corrupt"`
	// Of the hours that are held: what was sampled out when they were sealed.
	SampledTraces uint64    `json:"sampled_traces"`
	SampledSpans  uint64    `json:"sampled_spans"`
	OldestAt      time.Time `json:"oldest_at,omitzero"`
}
